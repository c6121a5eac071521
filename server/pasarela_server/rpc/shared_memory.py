"""The shared-memory RPCs of the inference service."""

from __future__ import annotations

from typing import Never

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import Unsupported


class SharedMemoryCalls:
    """Registers regions in which clients place inputs and find outputs."""

    def system_status(self, request: pb.SystemSharedMemoryStatusRequest) -> pb.SystemSharedMemoryStatusResponse:
        """What is registered."""
        _refuse("SystemSharedMemoryStatus")

    def system_register(self, request: pb.SystemSharedMemoryRegisterRequest) -> pb.SystemSharedMemoryRegisterResponse:
        """Opens a region."""
        _refuse("SystemSharedMemoryRegister")

    def system_unregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        """Forgets a region, or all of them."""
        _refuse("SystemSharedMemoryUnregister")

    def cuda_status(self, request: pb.CudaSharedMemoryStatusRequest) -> pb.CudaSharedMemoryStatusResponse:
        """What is registered."""
        _refuse("CudaSharedMemoryStatus")

    def cuda_register(self, request: pb.CudaSharedMemoryRegisterRequest) -> pb.CudaSharedMemoryRegisterResponse:
        """Opens a region."""
        _refuse("CudaSharedMemoryRegister")

    def cuda_unregister(self, request: pb.CudaSharedMemoryUnregisterRequest) -> pb.CudaSharedMemoryUnregisterResponse:
        """Forgets a region, or all of them."""
        _refuse("CudaSharedMemoryUnregister")


def _refuse(method: str) -> Never:
    raise Unsupported(f"{method} is not offered by this server: send the data in the request")
