"""Several processes in front of one: clients cannot tell, except when one of them dies."""

import os
import select
import signal
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc
from tests.server_log import wait_for_log
from tests.tiny_models import write_onnx


@pytest.fixture(scope="module")
def tiny_repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    write_onnx(root / "add" / "1", 1)
    return root


@pytest.fixture
def fronted(tiny_repository, start_server):
    """A server of its own for each test, with two fronts."""
    with start_server(tiny_repository, "--frontends", "2") as running:
        yield running


@pytest.fixture(scope="module")
def shared_fronted(tiny_repository, start_server):
    """A server with two fronts that all tests share which leave it as it is."""
    with start_server(tiny_repository, "--frontends", "2") as running:
        yield running


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_ended(pids):
    """Returns when all of these processes have ended, whoever's children they are."""
    waiting = [os.pidfd_open(pid) for pid in pids]
    try:
        for each in waiting:
            assert select.select([each], [], [], 60)[0], "it lives on"
    finally:
        for each in waiting:
            os.close(each)


def add(x, **rest):
    tensor = {"name": "x", "datatype": "FP32", "shape": x.shape}
    return pb.ModelInferRequest(model_name="add", inputs=[tensor], raw_input_contents=[x.tobytes()], **rest)


def answer(response):
    return np.frombuffer(response.raw_output_contents[0], np.float32)


def test_every_connection_gets_answers(shared_fronted):
    """Connections are spread by chance: of thirty, hardly all to the same front."""
    for number in range(30):
        channel = grpc.insecure_channel(shared_fronted.address, options=[("grpc.use_local_subchannel_pool", 1)])
        with channel:
            infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
            response = infer(add(np.full((1, 2), number, np.float32), id=str(number)))
        assert (response.id, response.model_version) == (str(number), "1")
        assert answer(response).tolist() == [number + 1] * 2


def test_a_stream_keeps_its_order(shared_fronted, stubs_for):
    requests = [add(np.full((1, 2), number, np.float32), id=str(number)) for number in range(100)]
    replies = list(stubs_for(shared_fronted.address).inference.ModelStreamInfer(iter(requests)))
    assert [reply.infer_response.id for reply in replies] == [str(number) for number in range(100)]
    assert [answer(reply.infer_response)[0] for reply in replies] == [number + 1 for number in range(100)]


def test_health_and_reflection_are_the_backs(shared_fronted, stubs_for):
    stubs = stubs_for(shared_fronted.address)
    assert stubs.health.Check(health_pb2.HealthCheckRequest(service="add")).status == 1
    with pytest.raises(grpc.RpcError) as unknown:
        stubs.health.Check(health_pb2.HealthCheckRequest(service="trousers"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    assert "trousers" in unknown.value.details()
    assert set(ProtoReflectionDescriptorDatabase(stubs.channel).get_services()) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "pasarela.v1.DetectionService",
    }


@pytest.mark.parametrize("path", ["/inference.GRPCInferenceService/Dance", "/no.such.Service/Call"])
def test_an_unknown_method_is_unimplemented(shared_fronted, stubs_for, path):
    with pytest.raises(grpc.RpcError) as refused:
        stubs_for(shared_fronted.address).channel.unary_unary(path)(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stream_that_the_server_ends_while_the_client_still_writes_ends_with_its_status(shared_fronted, stubs_for):
    inference = stubs_for(shared_fronted.address).inference
    wrong = pb.ModelInferRequest(model_name="trousers")
    for _ in range(30):
        with pytest.raises(grpc.RpcError) as ended:
            list(inference.ModelStreamInfer(iter([wrong] * 200), metadata=(("triton_grpc_error", "true"),)))
        assert ended.value.code() is grpc.StatusCode.NOT_FOUND, ended.value.details()


def test_a_deadline_holds_through_a_front(shared_fronted, stubs_for):
    watch = stubs_for(shared_fronted.address).health.Watch(health_pb2.HealthCheckRequest(), timeout=0.5)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as late:
        next(watch)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_the_statistics_count_each_request_once(shared_fronted, stubs_for):
    inference = stubs_for(shared_fronted.address).inference

    def count():
        (found,) = inference.ModelStatistics(pb.ModelStatisticsRequest(name="add")).model_stats
        return found.inference_stats.success.count

    before = count()
    for _ in range(7):
        inference.ModelInfer(add(np.zeros((1, 2), np.float32)))
    assert count() == before + 7


def test_a_front_that_is_killed_takes_only_its_own_clients_along_and_comes_back(fronted):
    """Sixteen watchers are hardly all connected to the same front."""
    first, second = children(fronted.process.pid)
    channels = [
        grpc.insecure_channel(fronted.address, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(16)
    ]
    watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for channel in channels]
    assert {next(watch).status for watch in watches} == {health_pb2.HealthCheckResponse.SERVING}

    os.kill(first, signal.SIGKILL)
    pid = int(wait_for_log(fronted, r"front \d \(process (\d+)\) listens")[1])
    assert sorted(children(fronted.process.pid)) == sorted([second, pid])
    for channel in channels:
        live = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ServerLive
        assert live(pb.ServerLiveRequest(), wait_for_ready=True).live, "there is a new connection where one is needed"
    assert fronted.stop() == 0

    ends = [end_of(watch) for watch in watches]
    lost, kept = ("UNAVAILABLE", []), ("OK", [health_pb2.HealthCheckResponse.NOT_SERVING])
    assert (lost in ends, kept in ends, len(ends)) == (True, True, ends.count(lost) + ends.count(kept))
    for channel in channels:
        channel.close()


def end_of(watch):
    """The status with which a watch ends, and what it said before."""
    said = []
    try:
        said += [each.status for each in watch]
    except grpc.RpcError as error:
        return error.code().name, said
    return "OK", said


def test_when_the_main_process_is_killed_the_fronts_end_and_leave_nothing(fronted, stubs_for):
    fronts = children(fronted.process.pid)
    watching = stubs_for(fronted.address).health.Watch(health_pb2.HealthCheckRequest())
    assert next(watching).status == health_pb2.HealthCheckResponse.SERVING

    fronted.process.kill()

    wait_ended(fronts)
    with pytest.raises(grpc.RpcError) as ended:
        next(watching)
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "pasarela-" not in ended.value.details(), "no path of the server is told"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_to_all_processes_drains(fronted, stubs_for, number):
    """As a terminal or a service manager sends it."""
    fronts = children(fronted.process.pid)
    watching = stubs_for(fronted.address).health.Watch(health_pb2.HealthCheckRequest())
    assert next(watching).status == health_pb2.HealthCheckResponse.SERVING

    for pid in fronts:
        os.kill(pid, number)
    assert fronted.stop(number) == 0

    assert next(watching).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert list(watching) == []
    wait_ended([pid for pid in fronts if Path(f"/proc/{pid}").exists()])
    assert "Traceback" not in fronted.log.read_text()


def test_a_port_in_use_is_one_clear_line(fronted, tiny_repository, start_server):
    port = fronted.address.rpartition(":")[2]
    with (
        pytest.raises(
            AssertionError, match=rf"code 1: .*{port}: Address already in use; choose another port"
        ) as refused,
        start_server(tiny_repository, "--frontends", "2", "--grpc-port", port),
    ):
        pass
    assert str(refused.value).count("\n") <= 1
