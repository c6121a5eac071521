"""Cameras: what they give, how they are lost and found again, and that closing does not wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pasarela_client.errors import InvalidRequest, SourceUnreadable
from pasarela_client.sources import containers, open_source
from pasarela_client.sources.backoff import wait_before
from pasarela_client.sources.cameras import Camera, network, webcam, without_password
from pasarela_client.sources.handover import Handover
from pasarela_client.sources.live import LiveCamera
from pasarela_client.sources.named import Address, named_by
from pasarela_client.sources.opened import Opened
from tests.unit.client.recordings import number_of, numbered
from tests.unit.client.sources.cameras_for_tests import HttpCamera, RtspCamera, TestCamera, playing

KINDS = pytest.mark.parametrize("kind", [RtspCamera, HttpCamera])
Kind = Callable[..., TestCamera]


def small(number: int) -> np.ndarray[Any, Any]:
    return numbered(number % 256)


@KINDS
def test_frames_of_a_camera(kind: Kind) -> None:
    with playing(kind(small, [None])) as camera, open_source(camera.url, max_frames=5) as source:
        assert (source.live, source.size) == (True, (64, 48))
        frames = list(source)
    numbers = [number_of(frame.image) for frame in frames]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 5
    times = [frame.timestamp_s for frame in frames]
    assert times == sorted(times)
    assert times[0] > 1_600_000_000, "of a live source, seconds since the epoch"
    assert {frame.origin for frame in frames} == {source.name}


def test_rtsp_goes_through_its_own_connection_and_the_password_stays_out_of_names() -> None:
    with playing(RtspCamera(small, [None])) as camera, open_source(camera.url, max_frames=1) as source:
        (frame,) = source
        assert frame.origin == f"rtsp://127.0.0.1:{camera.port}/live"
        assert "secret" not in repr(source)
    assert [line.split()[0] for line in camera.requests][-1] == "PLAY"


@KINDS
def test_a_camera_that_was_lost_comes_back(kind: Kind) -> None:
    told: list[str] = []
    with (
        playing(kind(small, [90, None], fps=50)) as camera,
        open_source(camera.url, max_frames=100, notify=told.append) as source,
    ):
        frames = list(source)
    assert len(frames) == 100
    assert camera.connections == 2
    assert ["connecting again" in told[0], "back after" in told[1]] == [True, True]


@KINDS
def test_a_camera_that_stays_away_is_given_up(kind: Kind) -> None:
    told: list[str] = []
    with (
        playing(kind(small, [90], fps=50)) as camera,
        open_source(camera.url, reconnect_s=0.2, notify=told.append) as source,
        pytest.raises(SourceUnreadable, match=r"gone for .* s, given up") as raised,
    ):
        for _ in source:
            pass
    assert "secret" not in str(raised.value)
    assert str(camera.port) in str(raised.value)


@pytest.mark.parametrize("kind", ["rtsp", "http"])
def test_a_camera_that_is_not_there_is_told_at_once(kind: str) -> None:
    with playing(HttpCamera(small, [])) as camera:
        pass
    with pytest.raises(SourceUnreadable, match=f"cannot read {kind}://127.0.0.1:{camera.port}/x: Connection refused"):
        open_source(f"{kind}://user:secret@127.0.0.1:{camera.port}/x")


def test_closing_does_not_wait_for_a_camera_that_says_nothing() -> None:
    """The first connection gives frames and breaks, the second stays silent: whoever waits for frames is woken."""
    with playing(RtspCamera(small, [90, 0], fps=50)) as camera:
        source = open_source(camera.url)
        ended = threading.Event()
        silent = threading.Event()
        taken: list[Any] = []

        def take() -> None:
            for frame in source:
                taken.append(frame)
                if camera.connections == 2:
                    silent.set()
            ended.set()

        threading.Thread(target=take, daemon=True).start()
        while camera.connections < 2:
            silent.wait(0.05)
        source.close()
        assert ended.wait(5)
    assert taken


@KINDS
def test_a_camera_that_says_nothing_is_given_up(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "_TIMEOUTS_S", (1.0, 0.5))
    with (
        playing(kind(small, [0])) as camera,
        pytest.raises(SourceUnreadable, match="nothing came in the time allowed"),
        open_source(camera.url),
    ):
        pass


def test_a_camera_stands_alone() -> None:
    with pytest.raises(InvalidRequest, match="a camera stands alone"):
        open_source(["rtsp://127.0.0.1:9/x", "a.jpg"])


def test_a_frame_is_read_ahead_and_no_more() -> None:
    handover: Handover[int] = Handover()
    assert handover.put(1)
    refused = threading.Event()

    def put_another() -> None:
        if not handover.put(2):
            refused.set()

    thread = threading.Thread(target=put_another)
    thread.start()
    assert handover.peek() == 1
    handover.close()
    thread.join()
    assert refused.is_set()
    assert handover.take() is None


@pytest.mark.parametrize(
    ("attempt", "gone_s", "give_up_s", "expected"),
    [
        (0, 0.0, 60.0, 0.5),  # reason: a camera that only hiccuped is back soon
        (1, 0.5, 60.0, 1.0),
        (3, 10.0, 60.0, 4.0),
        (9, 50.0, None, 10.0),  # reason: ten seconds bother nobody
        (500, 5000.0, None, 10.0),
        (3, 58.5, 60.0, 1.5),  # reason: one last attempt when the time is up
        (4, 60.0, 60.0, None),
        (0, 0.0, 0.0, None),  # reason: no attempts at all were wanted
    ],
)
def test_how_long_to_wait_for_a_camera(
    attempt: int, gone_s: float, give_up_s: float | None, expected: float | None
) -> None:
    assert wait_before(attempt, gone_s=gone_s, give_up_s=give_up_s) == expected


@pytest.mark.parametrize(
    ("device", "platform", "expected"),
    [
        ("0", "linux", Camera("/dev/video0", "/dev/video0", "v4l2")),
        ("/dev/v4l/by-id/usb", "linux", Camera("/dev/v4l/by-id/usb", "/dev/v4l/by-id/usb", "v4l2")),
        ("1", "darwin", Camera("1", "webcam:1", "avfoundation", {"framerate": "30"})),
    ],
)
def test_cameras_of_this_machine(device: str, platform: str, expected: Camera) -> None:
    assert webcam(device, platform) == expected


def test_cameras_of_this_machine_where_nobody_knows_their_names() -> None:
    with pytest.raises(SourceUnreadable, match="on Linux and macOS"):
        webcam("0", "win32")


def test_a_webcam_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnreadable, match="cannot read /dev/video97: No such file or directory"):
        open_source(97)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:secret@host:554/a?b=c", "rtsp://host:554/a?b=c"),
        ("rtsp://host/a@b", "rtsp://host/a@b"),
        ("http://p@ss:w@rd@host/", "http://host/"),
        ("rtsp://user:pa[ss@host/live", "rtsp://host/live"),
        ("rtsp://user:pa#ss@host/live", "rtsp://host/live"),
        ("rtsp://user:a/b?c@host:554/live", "rtsp://host:554/live"),
        ("rtsp://[::1]:554/a@b", "rtsp://[::1]:554/a@b"),
        ("rtsp://[::1]/a@b", "rtsp://[::1]/a@b"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert network(url).url == url
    assert named_by(url) == [Address(url)]


def test_what_ends_the_reading_thread_is_raised_where_the_frames_are_taken() -> None:
    def open_it() -> Opened:
        raise RuntimeError("never heard of")

    camera = LiveCamera("door", open_it)
    with pytest.raises(RuntimeError, match="never heard of"):
        camera.open()
    with pytest.raises(RuntimeError, match="never heard of"):
        list(camera.frames())
