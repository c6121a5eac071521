"""What a run is said to have come to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client import DeadlineExpired, Detections, FrameDropped, FrameError, InvalidRequest, ServerUnreachable
from pasarela_client.commands.detecting.lines import format_result, format_time
from pasarela_client.commands.detecting.summary import format_summary
from pasarela_client.commands.detecting.tally import Latencies, Tally
from pasarela_client.timings import Timings

FAILED = FrameError(0, InvalidRequest("no image"))
DROPPED = FrameError(0, FrameDropped("left out"))
LOST = FrameError(0, ServerUnreachable("gone"))
LATE = FrameError(0, DeadlineExpired("too late"))


def tally_of(*results: Detections | FrameError, has_deadline: bool = False) -> Tally:
    tally = Tally()
    for result in results:
        tally.add(result, has_deadline=has_deadline)
    return tally


@pytest.mark.parametrize(
    ("result", "has_deadline", "field", "all_done"),
    [
        (FAILED, False, "failed", False),
        (LOST, False, "lost", False),
        # reason: a live source that is left behind on purpose is no failure
        (DROPPED, False, "dropped", True),
        (LATE, True, "late", True),
        # reason: nobody asked for a deadline, so a server that does not answer in time has failed
        (LATE, False, "failed", False),
    ],
)
def test_what_counts_as_what(result: FrameError, has_deadline: bool, field: str, all_done: bool) -> None:
    tally = tally_of(result, has_deadline=has_deadline)
    assert getattr(tally, field) == tally.count == 1
    assert tally.all_done is all_done


def test_a_source_that_is_not_whole_and_a_picture_that_is_not_saved_are_failures() -> None:
    assert not Tally(faults=1).all_done
    assert not Tally(unsaved=1).all_done
    assert Tally().all_done


def test_the_summary_of_images(found: Detections) -> None:
    measured = replace(found, timings=Timings(round_trip_ns=40_000_000))
    tally = tally_of(measured, measured, FAILED)
    tally.faults = 1
    assert format_summary(tally, elapsed_s=4.0, places=["found (2 with boxes)", "found.csv"]).splitlines() == [
        "2 images done, 1 failed, 1 source unreadable or not whole in 4.0 s, 0.5 a second; latency p50 40 ms, p99 40 ms",
        "found 4 trousers, 2 skirt",
        "written: found (2 with boxes), found.csv",
    ]


def test_the_summary_of_a_camera(found: Detections) -> None:
    frame = replace(found[:0], timestamp_s=1.5, frame_index=0)
    tally = tally_of(frame, DROPPED, DROPPED, LOST, LATE, has_deadline=True)
    assert format_summary(tally, elapsed_s=0.5, places=[], interrupted=True).splitlines() == [
        "interrupted: 1 frame done, 2 dropped to keep up, 1 too late, 1 lost in 0.5 s, 2.0 a second",
        "found nothing",
    ]


def test_the_summary_of_nothing() -> None:
    assert format_summary(tally_of(FAILED), elapsed_s=0.0, places=[]) == "0 images done, 1 failed"


def test_many_classes_are_told_in_short(found: Detections) -> None:
    tally = Tally(done=1)
    tally.classes.update({f"class{index}": index for index in range(1, 13)})
    line = format_summary(tally, elapsed_s=1.0, places=[]).splitlines()[1]
    assert line.startswith("found 12 class12, 11 class11,")
    assert line.endswith("5 class5, 10 of 4 other classes")


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=200), st.sampled_from([1, 50, 90, 99, 100]))
def test_latencies_are_true_to_a_hundredth(times_ns: list[int], percent: int) -> None:
    latencies = Latencies()
    for time_ns in times_ns:
        latencies.add(time_ns)
    exact_ms = float(np.percentile(times_ns, percent, method="inverted_cdf")) / 1e6
    assert latencies.percentile_ms(percent) == pytest.approx(exact_ms, rel=0.01)


def test_latencies_that_nobody_measured() -> None:
    latencies = Latencies()
    latencies.add(0)
    assert latencies.percentile_ms(50) is None


@pytest.mark.parametrize(
    ("timestamp_s", "text"),
    [(0.0, "0:00.000"), (75.25, "1:15.250"), (3661.5, "1:01:01.500"), (59.9996, "1:00.000")],
)
def test_times_of_a_recording(timestamp_s: float, text: str) -> None:
    assert format_time(timestamp_s) == text


def test_a_frame_is_one_line(found: Detections) -> None:
    frame = replace(found, origin="clip.mp4", timestamp_s=12.5, frame_index=3)
    assert format_result(frame, None, timings=False) == "clip.mp4  0:12.500  1 skirt, 2 trousers  0 ms"
    assert format_result(frame[:0], None, timings=False) == "clip.mp4  0:12.500  nothing  0 ms"
