"""The statistics RPC of the inference service."""

from __future__ import annotations

from collections.abc import Sequence

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.observability.statistics import BatchStatistics, Duration, Statistics, VersionStatistics
from pasarela_server.repository.servable import State
from pasarela_server.rpc.models import Models
from pasarela_server.rpc.version import parse_version


class StatisticsCalls:
    """Tells what each version has done since it was loaded."""

    def __init__(self, models: Models, statistics: Statistics) -> None:
        self._models = models
        self._statistics = statistics

    def statistics(self, request: pb.ModelStatisticsRequest) -> pb.ModelStatisticsResponse:
        """Counts and durations of one version, one model's, or all that are ready; zeros for those never used.

        Raises:
            InvalidRequest: There is no such model, version or label, or it is not ready.
            ModelUnavailable: The version that a label stands for is not ready.
        """
        response = pb.ModelStatisticsResponse()
        for name, version in self._chosen(request):
            response.model_stats.append(_encode(name, version, self._statistics.of(name, version)))
        return response

    def _chosen(self, request: pb.ModelStatisticsRequest) -> Sequence[tuple[str, int]]:
        name = request.name
        asked = parse_version(name, request.version)
        ready = [
            (entry.name, entry.version)
            for entry in self._models.index()
            if entry.state is State.READY and entry.version is not None and (not name or entry.name == name)
        ]
        if not name:
            return ready
        if not ready:
            raise InvalidRequest(f"there are no statistics of model '{name[:200]}': no version of it is ready")
        if asked is None:
            return ready
        if isinstance(asked, str):
            with self._models.acquire(name, asked) as handle:
                return [(name, handle.servable.version)]
        chosen = [(model, version) for model, version in ready if version == asked]
        if not chosen:
            raise InvalidRequest(
                f"there are no statistics of model '{name}' version {asked}: "
                f"ready are {', '.join(str(version) for _, version in ready)}"
            )
        return chosen


def _encode(name: str, version: int, known: VersionStatistics) -> pb.ModelStatistics:
    return pb.ModelStatistics(
        name=name,
        version=str(version),
        last_inference=known.last_inference_ms,
        inference_count=known.inference_count,
        execution_count=known.execution_count,
        inference_stats=pb.InferStatistics(
            success=_duration(known.success),
            fail=_duration(known.fail),
            queue=_duration(known.queue),
            compute_input=_duration(known.compute_input),
            compute_infer=_duration(known.compute_infer),
            compute_output=_duration(known.compute_output),
            cache_hit=pb.StatisticDuration(),
            cache_miss=pb.StatisticDuration(),
        ),
        batch_stats=[_batch(rows, batch) for rows, batch in known.batches.items()],
    )


def _batch(rows: int, batch: BatchStatistics) -> pb.InferBatchStatistics:
    return pb.InferBatchStatistics(
        batch_size=rows,
        compute_input=_duration(batch.compute_input),
        compute_infer=_duration(batch.compute_infer),
        compute_output=_duration(batch.compute_output),
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)
