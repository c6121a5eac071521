"""The shared-memory RPCs of the inference service."""

from __future__ import annotations

import functools

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import Unsupported
from pasarela_server.shared_memory.device import DeviceMemory, DeviceRegion
from pasarela_server.shared_memory.region import AVAILABLE, SystemRegion
from pasarela_server.shared_memory.regions import Regions

_SWITCHED_OFF = "it was started with --allow-shared-memory false"


class SharedMemoryCalls:
    """Registers regions in which clients place inputs and find outputs. Used from the event loop."""

    def __init__(
        self, device_memory: DeviceMemory | str = "it has no CUDA device that it can use", *, allowed: bool = True
    ) -> None:
        """Starts without any region.

        Args:
            device_memory: The GPU's runtime; or why there is none.
            allowed: False refuses to register any region, of either kind.
        """
        self._device_memory = device_memory if allowed else _SWITCHED_OFF
        self._allowed = allowed
        self.regions = Regions()

    @property
    def extensions(self) -> tuple[str, ...]:
        """Names of the protocol's extensions that work here."""
        system = ("system_shared_memory",) if AVAILABLE and self._allowed else ()
        return system if isinstance(self._device_memory, str) else (*system, "cuda_shared_memory")

    def system_status(self, request: pb.SystemSharedMemoryStatusRequest) -> pb.SystemSharedMemoryStatusResponse:
        """What is registered."""
        response = pb.SystemSharedMemoryStatusResponse()
        for region in self.regions.status(SystemRegion, request.name):
            response.regions[region.name].MergeFrom(
                pb.SystemSharedMemoryStatusResponse.RegionStatus(
                    name=region.name, key=region.key, offset=region.offset, byte_size=region.byte_size
                )
            )
        return response

    def system_register(self, request: pb.SystemSharedMemoryRegisterRequest) -> pb.SystemSharedMemoryRegisterResponse:
        """Opens a region."""
        if not self._allowed:
            raise Unsupported(f"SystemSharedMemoryRegister is not offered by this server: {_SWITCHED_OFF}")
        self.regions.register(
            request.name,
            functools.partial(SystemRegion.open, request.name, request.key, request.offset, request.byte_size),
        )
        return pb.SystemSharedMemoryRegisterResponse()

    def system_unregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        """Forgets a region, or all of them."""
        self.regions.unregister(SystemRegion, request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    def cuda_status(self, request: pb.CudaSharedMemoryStatusRequest) -> pb.CudaSharedMemoryStatusResponse:
        """What is registered."""
        self._require_device_memory("CudaSharedMemoryStatus")
        response = pb.CudaSharedMemoryStatusResponse()
        for region in self.regions.status(DeviceRegion, request.name):
            response.regions[region.name].MergeFrom(
                pb.CudaSharedMemoryStatusResponse.RegionStatus(
                    name=region.name, device_id=region.device_id, byte_size=region.byte_size
                )
            )
        return response

    def cuda_register(self, request: pb.CudaSharedMemoryRegisterRequest) -> pb.CudaSharedMemoryRegisterResponse:
        """Opens a region."""
        memory = self._require_device_memory("CudaSharedMemoryRegister")
        self.regions.register(
            request.name,
            functools.partial(
                DeviceRegion.open, memory, request.name, request.raw_handle, request.device_id, request.byte_size
            ),
        )
        return pb.CudaSharedMemoryRegisterResponse()

    def cuda_unregister(self, request: pb.CudaSharedMemoryUnregisterRequest) -> pb.CudaSharedMemoryUnregisterResponse:
        """Forgets a region, or all of them; also where there can be none, since clients call this before all else."""
        self.regions.unregister(DeviceRegion, request.name)
        return pb.CudaSharedMemoryUnregisterResponse()

    def _require_device_memory(self, method: str) -> DeviceMemory:
        if isinstance(self._device_memory, str):
            raise Unsupported(f"{method} is not offered by this server: {self._device_memory}")
        return self._device_memory
