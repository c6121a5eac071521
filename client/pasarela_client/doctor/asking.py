"""Asks a server how a model is set up, and what it has done."""

from __future__ import annotations

from pasarela_client.doctor.facts import NO_STATISTICS, Setup
from pasarela_client.errors import ModelNotFound, Unsupported
from pasarela_client.models import ModelDescription, ModelState
from pasarela_client.statistics import Counts, ModelStatistics, ModelTraffic
from pasarela_client.sync.control import Server
from pasarela_proto import inference_pb2 as pb


class AskedServer(Server):
    """A server that is examined: it is asked about one model at a time, and answers inferences, too."""

    def states(self, name: str) -> list[ModelState]:
        """All versions of a model; none if the server keeps no list.

        Raises:
            ModelNotFound: There is no such model; the message names those that there are.
            PasarelaError: The server did not say.
        """
        try:
            known = self.models()
        except Unsupported:
            return []
        states = [state for state in known if state.name == name]
        if not states:
            names = ", ".join(sorted({state.name for state in known})) or "none"
            raise ModelNotFound(f"the server has no model '{name}'; it has: {names}", model=name)
        return states

    def setup(self, name: str, version: str) -> Setup:
        """How a model is configured.

        Raises:
            PasarelaError: The server did not say.
        """
        return read_setup(self.describe(name, version))

    def counts(self, name: str, version: str) -> ModelStatistics | None:
        """What a model has done since it was loaded; None if the server keeps no statistics.

        Raises:
            PasarelaError: The server did not say.
        """
        try:
            reading = self.statistics(name, version)
        except Unsupported:
            return None
        return reading.of(name) if reading else None

    def infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        """One inference.

        Raises:
            PasarelaError: It failed.
        """
        response: pb.ModelInferResponse = self._ask("ModelInfer", request, request.model_name, retry=False)
        return response


def read_setup(model: ModelDescription) -> Setup:
    """The part of a configuration that matters here. Pure."""
    return Setup(
        name=model.name,
        backend=model.backend or model.platform,
        max_batch_size=model.max_batch_size,
        batching=model.batching,
        instances=max(1, model.instance_count),
        device=next((group.device for group in model.instances if group.device), ""),
        inputs=model.inputs,
        below=model.runs,
        below_version=model.runs_version,
        jpeg_margin=model.parameters.get("jpeg_margin", ""),
    )


def read_traffic(before: Counts | None, after: ModelStatistics | None, seconds: float) -> ModelTraffic:
    """What was done between two readings of one version's statistics. Pure.

    If another version answers now, or the same was loaded anew in between, its counts began anew too: then all that it
    has done since is taken.
    """
    if after is None:
        return NO_STATISTICS
    return after.since(before if before is not None and before.version == after.version else None, seconds)
