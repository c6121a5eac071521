"""One request for each entry of a scenario, before the load: what is wrong with all of them is told at once."""

from __future__ import annotations

import grpc

from loadtest.access import Access, Way
from loadtest.images import detect_requests
from loadtest.scenario import RawRequests, Requests, Scenario
from loadtest.tensors import raw_request
from pasarela_client.errors import PasarelaError, from_rpc_error
from pasarela_proto import inference_pb2
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub
from pasarela_proto.inference_pb2_grpc import GRPCInferenceServiceStub


class NoAnswer(Exception):
    """A request was not answered; the message says which, and why."""

    def __init__(self, error: PasarelaError, model: str) -> None:
        super().__init__(error.message if model in error.message else f"{model}: {error.message}")
        self.error = error


def try_requests(scenario: Scenario, access: Access) -> None:
    """Asks once for each entry.

    Raises:
        NoAnswer: One was not answered.
        InvalidRequest: The address is none, or a file of the connection cannot be read.
        NoImages: There are no images to send.
        UnknownShape: There is no saying which tensors a model takes.
    """
    way = access.open()
    with way.channel:
        for entry in scenario.requests:
            try:
                _ask(entry, way)
            except grpc.RpcError as error:
                raise NoAnswer(from_rpc_error(error, url=access.url, model=entry.model), entry.model) from error


def _ask(entry: Requests, way: Way) -> None:
    if isinstance(entry, RawRequests):
        raw = GRPCInferenceServiceStub(way.channel)
        named = inference_pb2.ModelMetadataRequest(name=entry.model)
        described = raw.ModelMetadata(named, timeout=entry.timeout, metadata=way.metadata)
        raw.ModelInfer(raw_request(entry, described), timeout=entry.timeout, metadata=way.metadata)
    else:
        request = detect_requests(entry.model, entry.images)[0]
        DetectionServiceStub(way.channel).Detect(request, timeout=entry.timeout, metadata=way.metadata)
