"""`ModelInfer`: tensors of the shape and type that the model says."""

from __future__ import annotations

from typing import ClassVar

from loadtest.access import Way
from loadtest.scenario import RawRequests
from loadtest.tensors import raw_request
from loadtest.users.detect import PAUSE_AFTER_FAILURE_S
from loadtest.users.scenario_user import ScenarioUser
from loadtest.users.sending import Sending
from loadtest.users.server_timings import parameter_timings
from loadtest.users.unary import Answer, send
from pasarela_proto import inference_pb2 as pb
from pasarela_proto.inference_pb2_grpc import GRPCInferenceServiceStub


class RawCall:
    """Sends the same tensors again and again, and asks for timings."""

    user = "raw"

    def __init__(self, entry: RawRequests, way: Way) -> None:
        """Asks the server what the model takes.

        Raises:
            UnknownShape: The model leaves a size open that the scenario does not name, or wants no numbers.
            grpc.RpcError: There was no answer.
        """
        self.model = entry.model
        self.timeout_s = entry.timeout
        stub = GRPCInferenceServiceStub(way.channel)
        described = stub.ModelMetadata(
            pb.ModelMetadataRequest(name=entry.model), timeout=entry.timeout, metadata=way.metadata
        )
        self._request = raw_request(entry, described)

    def __call__(self, sending: Sending, way: Way, number: int) -> Answer:  # noqa: ARG002 - of the protocol
        """Sends one request."""
        stub = GRPCInferenceServiceStub(way.channel)
        response = stub.ModelInfer(self._request, timeout=self.timeout_s, metadata=way.metadata)
        return Answer(response.ByteSize(), parameter_timings(response.parameters))


class RawUser(ScenarioUser):
    """Sends tensors, waits for tensors, sends again."""

    kind: ClassVar[str] = "raw"

    def on_start(self) -> None:
        """Asks what the model takes."""
        super().on_start()
        self._call = RawCall(self.entry, self.way)

    def ask(self) -> None:
        """One call."""
        well = send(self.sending, self._call, self.way, 0, self.sending.now(), "closed")
        self.sending.pause(self.entry.pause if well else max(self.entry.pause, PAUSE_AFTER_FAILURE_S))
