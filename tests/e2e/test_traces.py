"""From a client's span to the engine, in one trace: received by a collector over OTLP, as it is spoken."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import grpc
import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from pasarela_client import Detector
from pasarela_proto import detection_pb2, inference_pb2
from tests.tiny_models import write_detector, write_onnx

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STAGES = {"receive", "decode_queue", "decode", "letterbox", "queue", "batch", "infer", "nms_queue", "nms", "encode"}
JPEG = cv2.imencode(".jpg", np.full((48, 64, 3), 127, np.uint8))[1].tobytes()


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps all spans, with the service that they are of."""

    def __init__(self):
        self.lock = threading.Lock()
        self.spans = []
        self.url = ""

    def Export(self, request, context):  # noqa: N802 - the service names it so
        with self.lock:
            for each in request.resource_spans:
                named = {pair.key: pair.value.string_value for pair in each.resource.attributes}
                for scope in each.scope_spans:
                    self.spans += [(named["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def of(self, service):
        with self.lock:
            return [span for name, span in self.spans if name == service]


@pytest.fixture
def collector():
    server = grpc.server(ThreadPoolExecutor(4))
    kept = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)
    kept.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield kept
    server.stop(None).wait()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("traced")
    write_detector(root / "garments" / "1", ("shirt", "hat"))
    write_onnx(root / "add" / "1", 1)
    return root


@pytest.fixture
def tracing_client(monkeypatch, collector):
    """A program that traces itself, for this test only: the real provider is set once in a process."""
    provider = TracerProvider(resource=Resource({"service.name": "client"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=collector.url, insecure=True)))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield provider
    provider.shutdown()


def flags(collector, *more):
    settings = ("mode=opentelemetry", f"opentelemetry,url={collector.url}", *more)
    return [word for setting in settings for word in ("--trace-config", setting)]


def children(spans, parent):
    return {span.name: span for span in spans if span.parent_span_id == parent.span_id}


@pytest.mark.parametrize("fronts", ["0", "2"])
def test_a_clients_span_goes_on_in_the_server(repository, start_server, collector, tracing_client, fronts):
    traced = flags(collector, "rate=0")
    with start_server(repository, "--frontends", fronts, *traced) as server:
        with (
            Detector(server.address, "garments") as detector,
            tracing_client.get_tracer("x").start_as_current_span("job"),
        ):
            detector.detect(JPEG, request_id="mine")
        assert server.stop() == 0
    (call,) = (span for span in collector.of("client") if span.name == "pasarela.v1.DetectionService/Detect")
    spans = collector.of("pasarela")
    of_call = [span for span in spans if span.trace_id == call.trace_id]
    (request,) = children(of_call, call).values()
    assert request.name == "pasarela.v1.DetectionService/Detect"
    assert {pair.key: pair.value for pair in request.attributes}["pasarela.request_id"].string_value == "mine"
    stages = children(of_call, request)
    assert stages.keys() == STAGES - {"infer"}
    assert children(of_call, stages["batch"]).keys() == {"infer"}
    assert all(request.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= request.end_time_unix_nano for span in stages.values())  # fmt: skip
    assert call.start_time_unix_nano <= request.start_time_unix_nano
    (whole,) = (span for span in spans if span.trace_id != call.trace_id)
    assert (whole.name, stages["batch"].links[0].span_id) == ("batch", whole.span_id)


@pytest.mark.parametrize("fronts", ["0", "2"])
def test_who_decides_what_is_traced(repository, start_server, stubs_of, collector, fronts):
    """A caller that traces is followed, on every kind of call; one that does not want it is not; for all others the rate counts."""

    def parent(number, flags="01"):
        return [("traceparent", f"00-{TRACE}-{number:016x}-{flags}")]

    detect = detection_pb2.DetectRequest(model_name="garments", image={"encoded": JPEG})
    infer = inference_pb2.ModelInferRequest(
        model_name="add",
        inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 2]}],
        raw_input_contents=[np.zeros((1, 2), np.float32).tobytes()],
    )
    wrong = detection_pb2.DetectRequest(model_name="garments", image={"encoded": b"no picture"}, id="wrong")
    with start_server(repository, "--frontends", fronts, *flags(collector, "rate=0")) as server:
        stubs = stubs_of(server.address)
        stubs.detection.Detect(detect)
        stubs.detection.Detect(detect, metadata=parent(1))
        stubs.detection.Detect(detect, metadata=parent(2, "00"))
        stubs.detection.Detect(detect, metadata=[("traceparent", "nonsense")])
        frames = [detection_pb2.StreamDetectRequest(frame_index=index, request=detect) for index in range(2)]
        assert len(list(stubs.detection.StreamDetect(iter(frames), metadata=parent(3)))) == 2
        stubs.inference.ModelInfer(infer, metadata=parent(4))
        assert len(list(stubs.inference.ModelStreamInfer(iter([infer]), metadata=parent(5)))) == 1
        with pytest.raises(grpc.RpcError):
            stubs.detection.Detect(wrong, metadata=parent(6))
        told = stubs.inference.TraceSetting(
            inference_pb2.TraceSettingRequest(settings={"trace_rate": {"value": ["1"]}})
        ).settings
        assert list(told["trace_mode"].value) == ["opentelemetry"]
        stubs.inference.ModelInfer(infer)
        assert server.stop() == 0
    servers = [span for span in collector.of("pasarela") if span.kind == span.SPAN_KIND_SERVER]
    found = sorted((int.from_bytes(span.parent_span_id), span.name.rpartition("/")[2]) for span in servers)
    assert found == [
        (0, "ModelInfer"),
        (1, "Detect"),
        (3, "StreamDetect"),
        (3, "StreamDetect"),
        (4, "ModelInfer"),
        (5, "ModelStreamInfer"),
        (6, "Detect"),
    ]
    (failed,) = (span for span in servers if span.status.code == span.status.STATUS_CODE_ERROR)
    assert failed.status.message == "INVALID_ARGUMENT"
    assert {span.trace_id.hex() for span in servers if span.parent_span_id} == {TRACE}


@pytest.fixture
def stubs_of():
    from types import SimpleNamespace

    from pasarela_proto import detection_pb2_grpc, inference_pb2_grpc

    with contextlib.ExitStack() as channels:

        def connect(address):
            channel = channels.enter_context(grpc.insecure_channel(address))
            return SimpleNamespace(
                inference=inference_pb2_grpc.GRPCInferenceServiceStub(channel),
                detection=detection_pb2_grpc.DetectionServiceStub(channel),
            )

        yield connect


def test_a_collector_that_is_not_there_holds_up_nothing(repository, start_server, stubs_of):
    closed = ("--trace-config", "opentelemetry,url=http://127.0.0.1:9", "--trace-config", "mode=opentelemetry,rate=1")
    request = detection_pb2.DetectRequest(model_name="garments", image={"encoded": JPEG})
    with start_server(repository, *closed) as server:
        assert stubs_of(server.address).detection.Detect(request).detections.scores
        assert server.stop() == 0
