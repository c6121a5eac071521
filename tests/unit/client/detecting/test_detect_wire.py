"""Frames on their way to the server: what is sent, and for how long what is to be drawn on is kept."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from pasarela_client import Frame, FrameDropped, FrameError
from pasarela_client.commands.detecting.wire import as_sent, to_draw_on
from pasarela_client.images import encode_image
from tests.unit.client.made_results import make_found
from tests.unit.client.recordings import numbered


@pytest.mark.parametrize("keep", [True, False])
def test_pixels_travel_as_jpeg_and_are_drawn_on_as_they_were(keep: bool) -> None:
    pixels = numbered(5)
    (sent,) = as_sent([Frame(pixels, "clip.mp4", 1.5)], 90, keep=keep)
    assert (sent.origin, sent.timestamp_s) == ("clip.mp4", 1.5)
    assert encode_image(sent.image).encoded.startswith(b"\xff\xd8")
    drawn_on = to_draw_on(make_found(image=sent.image))
    assert (drawn_on is pixels) == keep
    assert keep or drawn_on is sent.image


def test_files_and_pixels_that_are_sent_as_such_stay_as_they_are() -> None:
    file, pixels = Frame(b"encoded"), Frame(numbered(5))
    assert list(as_sent([file, pixels], None, keep=True)) == [file, pixels]
    assert list(as_sent([file], 90, keep=True)) == [file]
    assert to_draw_on(make_found(image=b"encoded")) == b"encoded"
    assert to_draw_on(make_found()) is None


def test_pixels_of_frames_that_are_left_out_are_not_kept() -> None:
    """Whoever reads our output may stop reading, while a camera goes on: what was dropped must not pile up."""
    kept: list[weakref.ref[Any]] = []

    def camera() -> Frame:
        pixels = numbered(len(kept))
        kept.append(weakref.ref(pixels))
        return Frame(pixels, "door", 0.0)

    frames = as_sent(iter(camera, None), 90, keep=True)
    dropped = [FrameError(index, FrameDropped("left out"), origin=next(frames).origin) for index in range(5)]
    assert [to_draw_on(error) for error in dropped] == [None] * 5
    assert [reference() is not None for reference in kept[:4]] == [False] * 4
