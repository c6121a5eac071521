"""GPUs of NVIDIA under Triton's names, where their driver and the package nvidia-ml-py are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

_log = logging.getLogger("pasarela_server.observability")

_DRIVER = Path("/dev/nvidiactl")

_FIGURES: Sequence[tuple[str, str, Callable[[Any, Any], float]]] = (
    (
        "nv_gpu_utilization",
        "How busy the GPU is, 0 to 1",
        lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
    ),
    (
        "nv_gpu_memory_total_bytes",
        "Memory of the GPU",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    ),
    (
        "nv_gpu_memory_used_bytes",
        "Memory of the GPU that is used",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    ),
    (
        "nv_gpu_power_usage",
        "Power that the GPU draws, in watts",
        lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1e3,
    ),
    (
        "nv_gpu_power_limit",
        "Most power that the GPU may draw, in watts",
        lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementLimit(gpu) / 1e3,
    ),
    (
        "nv_energy_consumption",
        "Energy that the GPU has used since its driver was loaded, in joules",
        lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3,
    ),
)
GPU_METRICS = tuple(name for name, _, _ in _FIGURES)


def load_nvml() -> Any:
    """NVIDIA's management library, ready to be asked; None where there is no such GPU, or the package is missing."""
    try:
        import pynvml
    except ImportError:
        if _DRIVER.exists():
            _log.info("there is a GPU, and its figures are not shown: pip install 'pasarela-server[nvml]' shows them")
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


class Gpus(Collector):
    """Asks the driver at every scrape. What a GPU does not tell is left out. Thread-safe."""

    def __init__(self, load: Callable[[], Any] = load_nvml) -> None:
        """Builds it; the library is loaded by the first scrape.

        Args:
            load: Gives the library, or None.
        """
        self._load = load
        self._lock = threading.Lock()
        self._library: tuple[Any] | None = None

    @override
    def collect(self) -> Iterable[Metric]:
        nvml = self._nvml()
        if nvml is None:
            return
        gpus = self._gpus(nvml)
        for name, documentation, read in _FIGURES:
            family = GaugeMetricFamily(name, documentation, labels=("gpu_uuid",))
            for uuid, gpu in gpus:
                try:
                    family.add_metric((uuid,), read(nvml, gpu))
                except nvml.NVMLError:
                    continue
            if family.samples:
                yield family

    def _nvml(self) -> Any:
        with self._lock:
            if self._library is None:
                self._library = (self._load(),)
            return self._library[0]

    @staticmethod
    def _gpus(nvml: Any) -> list[tuple[str, Any]]:
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            return [(str(nvml.nvmlDeviceGetUUID(gpu)), gpu) for gpu in handles]
        except nvml.NVMLError as error:
            _log.debug("the GPU's driver does not answer: %s", error)
            return []
