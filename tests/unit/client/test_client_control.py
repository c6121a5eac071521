# ruff: noqa: N802 - methods are called as the protocol calls them
"""Both servers, for threads and for asyncio, against one that says what a test tells it to, over a socket."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from pasarela_client.control import AsyncServer, Server
from pasarela_client.errors import (
    DeadlineExpired,
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    PasarelaError,
    RequestCancelled,
    ServerUnreachable,
    Unsupported,
)
from pasarela_client.models import Batching, InstanceGroup
from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc

Entry = pb.RepositoryIndexResponse.ModelIndex


class Told(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """A server of one model; what it does not do is UNIMPLEMENTED."""

    def __init__(self) -> None:
        self.ready_after = 0
        """How often it is asked in vain."""
        self.config = pb.ModelConfigResponse()
        self.refuse: tuple[grpc.StatusCode, str] | None = None
        self.remaining_s = 0.0
        """How long who asked last for what there is was going to wait."""

    def ServerLive(self, request: Any, context: Any) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    def ServerReady(self, request: Any, context: Any) -> pb.ServerReadyResponse:
        self.ready_after -= 1
        return pb.ServerReadyResponse(ready=self.ready_after < 0)

    def ModelReady(self, request: Any, context: Any) -> pb.ModelReadyResponse:
        self.ready_after -= 1
        return pb.ModelReadyResponse(ready=request.name == "m" and self.ready_after < 0)

    def RepositoryIndex(self, request: Any, context: Any) -> pb.RepositoryIndexResponse:
        self.remaining_s = context.time_remaining()
        return pb.RepositoryIndexResponse(models=[Entry(name="m", version="2", state="LOADING", reason="it is large")])

    def ModelMetadata(self, request: Any, context: Any) -> pb.ModelMetadataResponse:
        tensor = pb.ModelMetadataResponse.TensorMetadata(name="x", datatype="FP32", shape=[-1, 3])
        return pb.ModelMetadataResponse(name="m", versions=["2"], platform="onnxruntime", inputs=[tensor])

    def ModelConfig(self, request: Any, context: Any) -> pb.ModelConfigResponse:
        self._maybe_refuse(context)
        if request.name != "m":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model '{request.name}'")
        return self.config

    def ModelStatistics(self, request: Any, context: Any) -> pb.ModelStatisticsResponse:
        self._maybe_refuse(context)
        return pb.ModelStatisticsResponse(model_stats=[pb.ModelStatistics(name="m", version="2", inference_count=3)])

    def RepositoryModelLoad(self, request: Any, context: Any) -> pb.RepositoryModelLoadResponse:
        self._maybe_refuse(context)
        return pb.RepositoryModelLoadResponse()

    def RepositoryModelUnload(self, request: Any, context: Any) -> pb.RepositoryModelUnloadResponse:
        return pb.RepositoryModelUnloadResponse()

    def _maybe_refuse(self, context: Any) -> None:
        if self.refuse:
            context.abort(*self.refuse)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def url(told: Told) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(told, server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


Call = Callable[..., Any]


@pytest.fixture(params=["threads", "asyncio"])
def call(request: pytest.FixtureRequest) -> Call:
    """`call(url, "describe", "m")` on either kind of server."""

    def on_threads(url: str, method: str, *arguments: Any, **options: Any) -> Any:
        with Server(url) as server:
            return getattr(server, method)(*arguments, **options)

    def on_asyncio(url: str, method: str, *arguments: Any, **options: Any) -> Any:
        async def run() -> Any:
            async with AsyncServer(url) as server:
                return await getattr(server, method)(*arguments, **options)

        return asyncio.run(run())

    return on_threads if request.param == "threads" else on_asyncio


def test_a_server_that_is_there(call: Call, url: str) -> None:
    assert call(url, "live")
    assert call(url, "ready")
    assert call(url, "ready", "m")
    assert not call(url, "ready", "n")
    assert call(url, "statistics").of("m").rows == 3


def test_nobody_there_is_not_live_and_not_ready(call: Call, unused_url: str) -> None:
    assert not call(unused_url, "live")
    assert not call(unused_url, "ready")
    with pytest.raises(ServerUnreachable, match=unused_url):
        call(unused_url, "models")


def test_a_description_holds_what_the_configuration_says(call: Call, url: str, told: Told) -> None:
    config = told.config.config
    config.max_batch_size = 8
    config.dynamic_batching.max_queue_delay_microseconds = 500
    config.dynamic_batching.preferred_batch_size.append(4)
    config.instance_group.add(count=2, kind="KIND_GPU", gpus=[0, 1])
    config.instance_group.add(count=1, kind="KIND_CPU")
    config.parameters["version_labels"].string_value = "canary=10, stable=2"
    config.parameters["metadata"].string_value = "{'names': ['hat']}"
    found = call(url, "describe", "m")
    assert found.batching == Batching(delay_us=500, preferred=(4,))
    assert found.instances == (InstanceGroup(4, "GPU", (0, 1)), InstanceGroup(1, "CPU"))
    assert (found.instance_count, found.max_batch_size) == (5, 8)
    assert (found.labels, found.class_names) == ({"stable": 2, "canary": 10}, {0: "hat"})


@pytest.mark.parametrize("labels", ["", "stable", "=1", "stable=two", '{"stable": 1}', ",,"])
def test_labels_that_are_none(call: Call, url: str, told: Told, labels: str) -> None:
    told.config.config.parameters["version_labels"].string_value = labels
    assert call(url, "describe", "m").labels == {}


def test_a_model_whose_lower_one_is_gone_is_described_without_classes(call: Call, url: str, told: Told) -> None:
    told.config.config.name = "m"
    told.config.config.parameters["model"].string_value = "gone"
    told.config.config.parameters["model_version"].string_value = "stable"
    found = call(url, "describe", "m")
    assert (found.runs, found.runs_version, found.class_names) == ("gone", "stable", {})


def test_a_server_that_tells_no_configuration_is_described_by_its_tensors(call: Call, url: str, told: Told) -> None:
    told.refuse = grpc.StatusCode.UNIMPLEMENTED, "not offered"
    found = call(url, "describe", "m")
    assert (found.inputs[0].name, found.instances, found.instance_count) == ("x", (), 0)


@pytest.mark.parametrize(
    ("status", "method", "model", "kind", "message"),
    [
        pytest.param("INVALID_ARGUMENT", "load", "n", ModelNotFound, "no model 'n'; it has: m", id="load an unknown"),
        pytest.param("INTERNAL", "load", "n", ModelNotFound, "no model 'n'; it has: m", id="as Triton says it"),
        pytest.param("INVALID_ARGUMENT", "load", "m", InvalidRequest, "as told", id="a wrong configuration"),
        pytest.param("UNAVAILABLE", "load", "m", ModelUnavailable, "as told", id="not left to clients"),
        pytest.param("DEADLINE_EXCEEDED", "load", "m", DeadlineExpired, "goes on loading it", id="too slow"),
        pytest.param("INVALID_ARGUMENT", "statistics", "n", ModelNotFound, "no model 'n'", id="of an unknown"),
        pytest.param("INVALID_ARGUMENT", "statistics", "m", ModelUnavailable, "as told", id="of one not ready"),
        pytest.param("UNIMPLEMENTED", "statistics", "", Unsupported, "as told", id="keeps none"),
    ],
)
def test_refusals(
    call: Call, url: str, told: Told, status: str, method: str, model: str, kind: type[PasarelaError], message: str
) -> None:
    told.refuse = grpc.StatusCode[status], "as told"
    with pytest.raises(kind, match=message) as raised:
        call(url, method, model)
    assert type(raised.value) is kind
    assert raised.value.model == model


def test_what_is_not_there_cannot_be_unloaded(call: Call, url: str) -> None:
    call(url, "unload", "m")
    with pytest.raises(ModelNotFound, match="no model 'n'; it has: m"):
        call(url, "unload", "n")


def test_waiting_ends_when_it_is_ready(call: Call, url: str, told: Told) -> None:
    told.ready_after = 3
    call(url, "wait_until_ready", timeout_s=60)
    assert told.ready_after == -1, "it was asked again until it was"


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("", DeadlineExpired, r"the server was not ready within 0.2 s \('m' 2 is LOADING: it is large\)"),
        ("m", ModelUnavailable, r"'m' was not ready within 0.2 s \('m' 2 is LOADING: it is large\)"),
        ("n", ModelNotFound, "no model 'n'; it has: m"),
    ],
)
def test_waiting_in_vain_says_why(
    call: Call, url: str, told: Told, model: str, kind: type[PasarelaError], message: str
) -> None:
    told.ready_after = 1_000_000
    with pytest.raises(kind, match=message):
        call(url, "wait_until_ready", model, timeout_s=0.2)


def test_waiting_for_nobody(call: Call, unused_url: str) -> None:
    with pytest.raises(ServerUnreachable, match=unused_url):
        call(unused_url, "wait_until_ready", timeout_s=0.2)


def test_a_server_that_comes_later_is_waited_for(call: Call, told: Told) -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(told, server)  # type: ignore[abstract]
    url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"  # it is bound, and nobody accepts yet
    start = threading.Timer(0.3, server.start)
    start.start()
    call(url, "wait_until_ready", timeout_s=60)
    start.join()
    server.stop(0).wait()


def test_a_closed_server_says_so(url: str) -> None:
    server = Server(url)
    assert repr(server) == f"<Server at {url}>"
    server.close()
    with pytest.raises(RequestCancelled):
        server.models()


@pytest.mark.parametrize("wrong", ["nowhere", "http://here:1", "a:1,b:2"])
def test_addresses_that_are_none(wrong: str) -> None:
    with pytest.raises(InvalidRequest):
        Server(wrong)


def test_both_kinds_offer_the_same() -> None:
    def public(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(it).parameters) for name, it in methods if not name.startswith("_")}

    assert public(Server) == public(AsyncServer)
    wanted = {"live", "ready", "metadata", "models", "describe", "load", "unload", "statistics", "wait_until_ready"}
    assert wanted <= set(public(Server))


def test_who_waited_in_vain_does_not_wait_for_the_reasons_as_long(call: Call, url: str, told: Told) -> None:
    told.ready_after = 1_000_000
    with pytest.raises(DeadlineExpired):
        call(url, "wait_until_ready", timeout_s=0.2)
    assert told.remaining_s < 5.0  # of 10 s that a question may take otherwise
