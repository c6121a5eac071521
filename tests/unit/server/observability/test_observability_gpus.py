"""GPUs as their driver tells of them, by a driver's double: its functions are those of the real library."""

import sys
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pasarela_server.observability.gpus import GPU_METRICS, Gpus, load_nvml


class NVMLError(Exception):
    pass


def library(*, power=True, count=2):
    def usage(gpu):
        if not power:
            raise NVMLError("Not Supported")
        return 70_000

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda gpu: f"GPU-{gpu}",
        nvmlDeviceGetUtilizationRates=lambda gpu: SimpleNamespace(gpu=25),
        nvmlDeviceGetMemoryInfo=lambda gpu: SimpleNamespace(total=1000, used=400 + gpu),
        nvmlDeviceGetPowerUsage=usage,
        nvmlDeviceGetPowerManagementLimit=lambda gpu: 300_000,
        nvmlDeviceGetTotalEnergyConsumption=lambda gpu: 5_000,
    )


def test_the_double_has_the_functions_of_the_library():
    import pynvml

    assert all(callable(getattr(pynvml, name)) for name in vars(library()))


def shown(gpus):
    registry = CollectorRegistry()
    registry.register(gpus)
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_each_gpu_has_its_figures_under_tritons_names():
    found = shown(Gpus(library))
    assert {name.partition("{")[0] for name in found} == set(GPU_METRICS)
    assert [found[f'{name}{{gpu_uuid="GPU-1"}}'] for name in GPU_METRICS] == [0.25, 1000, 401, 70, 300, 5]
    assert found['nv_gpu_memory_used_bytes{gpu_uuid="GPU-0"}'] == 400


def test_what_a_gpu_does_not_tell_is_left_out():
    found = shown(Gpus(lambda: library(power=False)))
    assert 'nv_gpu_power_usage{gpu_uuid="GPU-0"}' not in found
    assert found['nv_gpu_power_limit{gpu_uuid="GPU-0"}'] == 300


def test_a_driver_that_has_died_ends_nothing():
    broken = library()

    def fail():
        raise NVMLError("GPU is lost")

    broken.nvmlDeviceGetCount = fail
    assert shown(Gpus(lambda: broken)) == {}


def test_the_library_is_loaded_once_and_not_before_it_is_asked():
    loaded = []

    def load():
        loaded.append(1)

    gpus = Gpus(load)
    assert loaded == []
    assert shown(gpus) == shown(gpus) == {}
    assert loaded == [1]


@pytest.mark.parametrize("driver", [True, False])
def test_without_the_package_there_is_a_hint_where_there_is_a_gpu(monkeypatch, tmp_path, caplog, driver):
    if driver:
        (tmp_path / "nvidiactl").touch()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr("pasarela_server.observability.gpus._DRIVER", tmp_path / "nvidiactl")
    caplog.set_level("INFO", "pasarela_server")
    assert load_nvml() is None
    assert [record.getMessage() for record in caplog.records if "pasarela-server[nvml]" in record.getMessage()] == [
        "there is a GPU, and its figures are not shown: pip install 'pasarela-server[nvml]' shows them"
    ] * driver


def test_a_machine_without_the_driver_has_no_gpu(monkeypatch):
    def init():
        raise NVMLError("Shared Library Not Found")

    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(NVMLError=NVMLError, nvmlInit=init))
    assert load_nvml() is None
