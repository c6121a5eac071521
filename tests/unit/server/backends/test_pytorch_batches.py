"""Batches on a lane, on a lane whose device is the CPU: what a GPU does with them is checked where there is one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.backends.base import ArtefactSpec, PartsSession
from pasarela_server.backends.pytorch_batches import BatchSession
from pasarela_server.backends.pytorch_network import Network
from pasarela_server.errors import BackendFailure
from pasarela_server.tensor import DataType, TensorSpec


class HostLane:
    """A lane on the CPU. It plays a recording as a GPU does: into the tensors of the first run."""

    def __init__(self, *, fails_above: int | None = None, message: str = "") -> None:
        self.played: list[int] = []
        self.waited = 0
        self.fails_above = fails_above
        self.message = message

    def working(self):
        return torch.inference_mode()

    def host(self, shape, dtype):
        return torch.full(shape, 77, dtype=dtype)  # nobody may rely on what memory holds

    def resident(self, shape, dtype):
        return torch.zeros(shape, dtype=dtype)

    def record(self, run):
        outputs = run()
        rows = len(outputs[0])
        if self.fails_above is not None and rows > self.fails_above:
            raise RuntimeError(self.message or "operation not permitted when stream is capturing")

        def play():
            self.played.append(rows)
            for kept, new in zip(outputs, run(), strict=True):
                kept.copy_(new.clone())

        return play, outputs

    def wait(self):
        self.waited += 1


class Scaled(torch.nn.Module):
    """Twice the image's values, and one number for each image."""

    def forward(self, images):
        return images.float() * 2, images.float().sum((1, 2, 3))


def session_of(lane, *, sizes=(1, 2, 4), compute=None, batched=True, module=None):
    first = -1 if batched else 2
    spec = ArtefactSpec(
        inputs=(TensorSpec("images", DataType.FP32, (first, 3, 4, 5)),),
        outputs=(
            TensorSpec("doubled", DataType.FP32, (first, 3, 4, 5)),
            TensorSpec("sum", DataType.FP32, (first,)),
        ),
        batched=batched,
        pixel_inputs=frozenset({"images"}),
    )
    network = Network(
        torch, module or Scaled(), "cpu", compute=compute, answers=(torch.float32, torch.float32), pixels=(True,)
    )
    session = BatchSession(network, lane, spec)
    pixels, values = (("|u1", (4, 5, 3)),), (("<f4", (3, 4, 5)),)
    forms = (pixels, values) if batched else ((("<f4", (2, 3, 4, 5)),),)
    return session, session.record(forms, sizes)


def images(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, 3, 4, 5), np.float32)


def assert_doubled(answer, array):
    assert np.allclose(answer["doubled"], 2 * array, atol=1e-6)
    assert np.allclose(answer["sum"], array.sum((1, 2, 3)), atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "played"),
    [
        # reason: a size that is recorded
        (2, [2]),
        # reason: padded to the next that is recorded; the padding is not answered
        (3, [4]),
        # reason: larger than all that is recorded: step by step
        (5, []),
    ],
)
def test_a_batch_plays_the_recording_that_it_fits_into(rows, played):
    lane = HostLane()
    session, failures = session_of(lane)
    assert_doubled(session.infer({"images": images(rows)}), images(rows))
    assert (lane.played, failures, session.sizes) == (played, [], (1, 2, 4))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_parts_are_answered_as_one_batch(rows):
    session, _ = session_of(HostLane())
    parts = [images(count, seed) for seed, count in enumerate(rows)]
    assert isinstance(session, PartsSession)
    assert_doubled(session.infer_parts([{"images": part} for part in parts]), np.concatenate(parts))


def test_answers_belong_to_the_caller():
    session, _ = session_of(HostLane())
    first = session.infer({"images": images(4, 1)})
    for seed in range(2, 6):
        session.infer({"images": images(4, seed)})
    assert_doubled(first, images(4, 1))
    first["doubled"][:] = 0  # and may be written to
    assert_doubled(session.infer({"images": images(4, 1)}), images(4, 1))


def test_rows_of_an_earlier_batch_do_not_show():
    session, _ = session_of(HostLane())
    session.infer({"images": np.full((4, 3, 4, 5), np.nan, np.float32)})
    assert_doubled(session.infer({"images": images(3)}), images(3))


def test_pixels_are_scaled_on_the_device():
    lane = HostLane()
    session, _ = session_of(lane)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    values = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    pixels.flags.writeable = False
    assert_doubled(session.infer({"images": pixels}), values)
    assert lane.played == [4]


def test_floats_are_brought_to_the_precision_that_the_network_computes_in():
    session, _ = session_of(HostLane(), compute=torch.float16)
    array = images(2)
    answer = session.infer({"images": array})
    assert answer["doubled"].dtype == np.float32
    assert np.array_equal(answer["doubled"], 2 * array.astype(np.float16).astype(np.float32))


def test_another_shape_runs_step_by_step():
    lane = HostLane()
    session, _ = session_of(lane)
    wider = np.ones((2, 3, 8, 8), np.float32)
    assert_doubled(session.infer({"images": wider}), wider)
    assert lane.played == []


def test_a_network_without_batches_plays_its_one_size():
    lane = HostLane()
    session, failures = session_of(lane, sizes=(1,), batched=False)
    assert failures == []
    assert_doubled(session.infer({"images": images(2)}), images(2))
    assert lane.played == [2]


def test_what_cannot_be_recorded_runs_step_by_step_and_says_why():
    lane = HostLane(fails_above=0)
    session, failures = session_of(lane)
    assert failures == ["batches of 4 rows: operation not permitted when stream is capturing"] * 2
    assert session.sizes == ()
    assert_doubled(session.infer({"images": images(2)}), images(2))


def test_smaller_sizes_are_recorded_where_memory_is_short():
    lane = HostLane(fails_above=2, message="CUDA out of memory. Tried to allocate 2.00 GiB")
    session, failures = session_of(lane)
    assert len(failures) == 2
    assert session.sizes == (1, 2)
    assert_doubled(session.infer({"images": images(2)}), images(2))
    assert lane.played == [2]


def test_a_batch_that_does_not_fit_into_memory_says_what_to_do_and_leaves_the_session_whole():
    class Greedy(Scaled):
        def forward(self, images):
            if len(images) > 4:
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
            return super().forward(images)

    session, _ = session_of(HostLane(), module=Greedy())
    with pytest.raises(
        BackendFailure, match="not enough memory for a batch of 9 rows: lower the model's max_batch_size"
    ):
        session.infer({"images": images(9)})
    assert_doubled(session.infer({"images": images(2)}), images(2))


def test_a_closed_session_holds_nothing():
    session, _ = session_of(HostLane())
    session.close()
    assert session.sizes == ()
    with pytest.raises(RuntimeError, match="closed"):
        session.infer({"images": images(1)})
