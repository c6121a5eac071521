"""A second signal ends the server at once, with front processes as without: what is under way is not waited for."""

import os
import select
import signal
from pathlib import Path

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from tests.hostile_backend import SLEEPS, write_hostile
from tests.hostile_server import HOSTILE
from tests.server_log import wait_for_log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("fronts", [0, 2])
def test_a_second_signal_ends_a_server_that_waits_for_a_request(tmp_path, start_server, stubs_for, fronts, number):
    write_hostile(tmp_path / "m")
    flags = ("--frontends", str(fronts), "--exit-timeout-secs", "3600")
    with start_server(tmp_path, *flags, under=HOSTILE) as running:
        children = children_of(running.process.pid)
        assert len(children) == fronts
        endless = stubs_for(running.address).inference.ModelInfer.future(sleeps())
        wait_for_log(running, "a hostile framework sleeps")
        running.process.send_signal(number)
        wait_for_log(running, "stopping; open requests: 1")
        assert not endless.done()

        assert running.stop(number) == 128 + number

        wait_ended(children)
        with pytest.raises(grpc.RpcError) as ended:
            endless.result(timeout=60)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "Traceback" not in running.log.read_text()


def sleeps():
    x = np.array([[SLEEPS, 0]], np.float32)
    tensor = {"name": "x", "datatype": "FP32", "shape": x.shape}
    return pb.ModelInferRequest(model_name="m", inputs=[tensor], raw_input_contents=[x.tobytes()])


def children_of(pid):
    """As handles, which tell of nobody else should their numbers be given away again."""
    return [os.pidfd_open(int(child)) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_ended(handles):
    for each in handles:
        assert select.select([each], [], [], 60)[0], "it lives on"
        os.close(each)
