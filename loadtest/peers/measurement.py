"""The same images, or tensors, sent to Pasarela, Triton and MLServer in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from loadtest.benchmark.bench import Bench, CoresOf, MeasuredVariant
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Measurement, Step
from loadtest.benchmark.measurements.raw import add_load
from loadtest.benchmark.settings import SATURATED
from loadtest.peers.servers import mlserver, package_versions, triton
from loadtest.peers.setups import (
    SetUp,
    mlserver_set_ups,
    triton_set_ups,
    triton_tensors,
    write_mlserver_folder,
    write_triton_repository,
)
from loadtest.server_process import StartedServer, free_port
from pasarela_server.config.cores import available_cores

_TRITON = "Triton 2.51.0"
_MLSERVER = "MLServer 1.7.1"
_TENSOR_CLIENTS = 4
_IDLE_S = 1.0


def prepare_images(bench: Bench) -> Sequence[Step]:
    """All servers are up; one at a time gets load."""
    cores, variant = available_cores(), bench.variant("openvino")
    rows: dict[str, tuple[StartedServer, dict[str, Any]]] = {
        "pasarela": (_ours(bench, variant), _images(_detection_model(variant), [1]))
    }
    set_ups = triton_set_ups(cores)
    server = _triton(bench, set_ups, variant)
    for set_up in set_ups:
        rows[f"triton {set_up.name}"] = (server, _images(set_up.name, [1, 1]))
        bench.note(f"{_TRITON}, {set_up.name}: {set_up.said()}")
    folder, ports, set_ups = bench.folder("mlserver"), [free_port() for _ in range(3)], mlserver_set_ups(cores)
    write_mlserver_folder(folder, set_ups, variant.artefact.absolute(), variant.side, ports)
    peer = bench.stack.enter_context(mlserver(folder, [one.name for one in set_ups], ports[0], bench.log()))
    for set_up in set_ups:
        rows[f"mlserver {set_up.name}"] = (peer, _images(set_up.name, [1, 1]))
        bench.note(f"{_MLSERVER}, {set_up.name}: {set_up.said()}, no parallel workers")
    packages = ("openvino", "simplejpeg", "opencv-python-headless", "numpy")
    bench.note(f"Triton runs with {package_versions('triton', packages)}")
    bench.note(f"MLServer runs with {package_versions('mlserver', packages)}")
    bench.note("the same ModelInfer requests go to all: one image each, as a BYTES tensor; the same load generator")
    steps = [step for name, (one, request) in rows.items() for step in _image_steps(bench, name, one, request)]
    servers = {one.pid: (name, one) for name, (one, _) in reversed(rows.items())}
    return [*steps, *(_idle_step(name, one) for name, one in servers.values())]


def prepare_tensors(bench: Bench) -> Sequence[Step]:
    """The ONNX variant on both servers."""
    cores, variant = available_cores(), bench.variant("onnx")
    set_up = triton_tensors(cores)
    peer = _triton(bench, (set_up,), variant)
    bench.note(f"{_TRITON}, {set_up.name}: {set_up.said()}; no shared memory")

    def sent(subject: str, send: Callable[[], Any]) -> Step:
        def take(figures: Figures) -> None:
            load, cores_taken = send()
            add_load(figures, subject, f"tensors_{_TENSOR_CLIENTS}", load, cores_taken)

        return Step(f"{subject}, tensors", take)

    ours = bench.server([variant.name])
    shape = [1, 3, variant.side, variant.side]
    shapes = {variant.input_name: ",".join(map(str, shape[1:]))}

    def to_triton() -> Any:
        if bench.perf_analyzer is None:
            request = {"kind": "tensor", "model": set_up.name, "input_name": "images", "shape": shape}
            return bench.closed_load(peer, request, _TENSOR_CLIENTS)
        return bench.analyze(peer, set_up.name, _TENSOR_CLIENTS, {})

    def to_ours() -> Any:
        if bench.perf_analyzer is None:
            return bench.tensor_load(ours, variant, _TENSOR_CLIENTS, shared=False)
        return bench.analyze(ours, variant.name, _TENSOR_CLIENTS, shapes)

    return [sent("pasarela", to_ours), sent("triton tensors", to_triton)]


def _image_steps(bench: Bench, name: str, server: StartedServer, request: dict[str, Any]) -> Sequence[Step]:
    def sent(clients: int) -> Step:
        def take(figures: Figures) -> None:
            load, cores = bench.closed_load(server, request, clients)
            add_load(figures, name, f"images_{clients}", load, cores)

        return Step(f"{name}, clients: {clients}", take)

    return [sent(SATURATED), sent(1)]


def _idle_step(name: str, server: StartedServer) -> Step:
    """What a server takes of the cores while others get load, which would be unfair to them."""

    def take(figures: Figures) -> None:
        with CoresOf(server.pid) as cores:
            time.sleep(_IDLE_S)
        figures.add(name, "idle_cores", cores.busy)

    return Step(f"{name}, idle", take)


def _triton(bench: Bench, set_ups: Sequence[SetUp], variant: MeasuredVariant) -> StartedServer:
    repository = bench.folder("triton")
    artefact = variant.artefact.absolute()
    write_triton_repository(repository, dict.fromkeys(set_ups, artefact), variant.side)
    return bench.stack.enter_context(triton(repository, [one.name for one in set_ups], bench.log()))


def _ours(bench: Bench, variant: MeasuredVariant) -> StartedServer:
    bench.note(f"Pasarela: no settings, the defaults of {variant.name}")
    return bench.server([variant.name, _detection_model(variant)])


def _detection_model(variant: MeasuredVariant) -> str:
    """The benchmark's repository has one over each raw model."""
    return f"detect_{variant.role}"


def _images(model: str, shape: list[int]) -> dict[str, Any]:
    return {"kind": "infer", "model": model, "input_name": "image", "shape": shape}


IMAGES = Measurement("peers", "the same images to Triton and MLServer, their best settings", prepare_images)
TENSORS = Measurement("peers-raw", "float tensors to Triton, ONNX Runtime inside its Python backend", prepare_tensors)
