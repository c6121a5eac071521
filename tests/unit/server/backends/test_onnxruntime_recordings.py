"""Nobody uses the GPU while one thread records, and nobody waits long to record."""

import threading
from collections.abc import Callable

import pytest

from pasarela_server.backends import onnxruntime_recordings
from pasarela_server.backends.onnxruntime_recordings import Recordings


def started(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


@pytest.mark.parametrize("enter", ["working", "loading"])
def test_whoever_comes_while_one_records_waits_for_its_end(enter: str) -> None:
    recordings = Recordings()
    order: list[str] = []
    coming = threading.Event()

    def come() -> None:
        coming.set()
        with getattr(recordings, enter)():
            order.append(enter)

    with recordings.recording() as alone:
        other = started(come)
        coming.wait()
        assert alone
        order.append("recorded")
    other.join()
    assert order == ["recorded", enter]


def test_a_recording_waits_for_inferences_that_are_under_way_and_stops_those_that_come() -> None:
    recordings = Recordings()
    order: list[str] = []
    under_way, end = threading.Event(), threading.Event()

    def work() -> None:
        with recordings.working():
            under_way.set()
            end.wait()
            order.append("worked")

    def record() -> None:
        with recordings.recording() as alone:
            order.append(f"recorded {alone}")

    worker = started(work)
    under_way.wait()
    recorder = started(record)
    end.set()
    worker.join()
    recorder.join()
    assert order == ["worked", "recorded True"]


def test_inferences_run_side_by_side() -> None:
    recordings = Recordings()
    together = threading.Barrier(2)

    def work() -> None:
        with recordings.working():
            together.wait()

    other = started(work)
    work()
    other.join()


def test_nobody_waits_to_record_while_another_does_or_a_model_is_loaded() -> None:
    recordings = Recordings()
    with recordings.recording() as first, recordings.recording() as second:
        assert (first, second) == (True, False)
    with recordings.loading(), recordings.recording() as alone:
        assert not alone
    with recordings.recording() as alone:
        assert alone


def test_an_inference_that_hangs_only_puts_the_recording_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_recordings, "_PATIENCE_S", 0.01)
    recordings = Recordings()
    with recordings.working():
        with recordings.recording() as alone:
            assert not alone
        with recordings.working():
            pass  # reason: the others go on
    with recordings.recording() as alone:
        assert alone


def test_what_fails_leaves_nobody_waiting() -> None:
    recordings = Recordings()
    for enter in (recordings.working, recordings.loading, recordings.recording):
        with pytest.raises(ValueError, match="broken"), enter():
            raise ValueError("broken")
    with recordings.recording() as alone:
        assert alone
    with recordings.working(), recordings.loading():
        pass
