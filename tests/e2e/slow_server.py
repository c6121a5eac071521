"""A server that is slow on purpose: real gRPC, one request at a time, each as long as it is told."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pasarela_proto import detection_pb2 as pb
from pasarela_proto import detection_pb2_grpc


@dataclass
class SlowService(detection_pb2_grpc.DetectionServiceServicer):
    """Answers every image with nothing found."""

    service_s: float = 0.02
    """Of each image; only one is worked on at a time."""
    fails: frozenset[int] = frozenset()
    """Which requests fail, counted from 0."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    answered: int = 0

    def Detect(self, request: pb.DetectRequest, context: Any) -> pb.DetectResponse:  # noqa: N802 - gRPC's name
        with self.lock:
            time.sleep(self.service_s)
            number, self.answered = self.answered, self.answered + 1
        if number in self.fails:
            context.abort(grpc.StatusCode.INTERNAL, "it broke")
        return pb.DetectResponse(model_name=request.model_name, timings=pb.Timings(infer_ns=20_000_000, batch_size=1))

    def StreamDetect(self, frames: Iterator[pb.StreamDetectRequest], context: Any) -> Iterator[pb.StreamDetectResponse]:  # noqa: N802
        for frame in frames:
            yield pb.StreamDetectResponse(frame_index=frame.frame_index, response=self.Detect(frame.request, context))


class _Healthy(health_pb2_grpc.HealthServicer):
    def Watch(self, request: Any, context: Any) -> Iterator[health_pb2.HealthCheckResponse]:  # noqa: N802
        yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@contextlib.contextmanager
def serving(service: SlowService) -> Iterator[str]:
    """Yields the address."""
    with futures.ThreadPoolExecutor(64) as threads:
        server = grpc.server(threads)
        detection_pb2_grpc.add_DetectionServiceServicer_to_server(service, server)
        health_pb2_grpc.add_HealthServicer_to_server(_Healthy(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
