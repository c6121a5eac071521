"""ModelStatistics over a socket, on fake models."""

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.scheduling.execution import Execution


def request(rows=2):
    return pb.ModelInferRequest(
        model_name="m",
        inputs=[{"name": "x", "datatype": "FP32", "shape": [rows, 2]}],
        raw_input_contents=[np.zeros((rows, 2), np.float32).tobytes()],
    )


async def ask(served, name="", version=""):
    response = await served.inference.ModelStatistics(pb.ModelStatisticsRequest(name=name, version=version))
    return list(response.model_stats)


@pytest.mark.parametrize(("name", "version"), [("", ""), ("m", ""), ("m", "3")])
async def test_versions_that_are_ready_and_were_never_used_are_all_zero(served, name, version):
    (found,) = await ask(served, name, version)
    assert (found.name, found.version) == ("m", "3")
    assert (found.inference_count, found.execution_count, found.last_inference) == (0, 0, 0)
    assert found.inference_stats.HasField("cache_miss")
    assert not found.batch_stats


async def test_what_requests_and_executions_left(served):
    statistics = served.metrics.statistics
    statistics.executed("m", 3, Execution(4, 10, 100, 1))
    await served.inference.ModelInfer(request(3))
    with pytest.raises(grpc.aio.AioRpcError):
        await served.inference.ModelInfer(pb.ModelInferRequest(model_name="other"))

    (found,) = await ask(served, "m")
    assert (found.inference_count, found.execution_count) == (4, 1)
    assert found.last_inference > 1_600_000_000_000, "milliseconds since the epoch"
    stats = found.inference_stats
    assert (stats.success.count, stats.fail.count) == (1, 0)
    assert (stats.queue.ns, stats.compute_infer.ns) == (1000, 2000)
    assert stats.success.ns > 0
    (batch,) = found.batch_stats
    assert (batch.batch_size, batch.compute_infer.count, batch.compute_infer.ns) == (4, 1, 100)
    assert (batch.compute_input.ns, batch.compute_output.ns) == (10, 1)


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        pytest.param("other", "", ["'other'", "no version of it is ready"], id="unknown model"),
        pytest.param("broken", "", ["'broken'", "no version of it is ready"], id="model without a ready version"),
        pytest.param("m", "9", ["'m' version 9", "ready are 3"], id="unknown version"),
        pytest.param("m", "2", ["'m' version 2", "ready are 3"], id="version that is still loading"),
        pytest.param("m", "0", ["positive integer", "'0'"], id="no version at all"),
        pytest.param("other", "-1", ["positive integer", "'-1'"], id="neither model nor version"),
    ],
)
async def test_what_there_are_no_statistics_of(served, name, version, words):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(served, name, version)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for word in words:
        assert word in refused.value.details()
