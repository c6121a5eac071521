"""The statistics RPC of the inference service."""

from __future__ import annotations

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import Unsupported


class StatisticsCalls:
    """Tells what each version has done."""

    def statistics(self, request: pb.ModelStatisticsRequest) -> pb.ModelStatisticsResponse:
        """Counts and durations of one version, one model, or all."""
        raise Unsupported("ModelStatistics is not offered by this server: read the metrics port")
