"""Streams that a clock paces, over a channel that is none: what becomes of each frame that was due."""

from collections.abc import Iterator
from typing import Any

import gevent
import grpc

from loadtest.access import Access, Way
from loadtest.plan.steps import Step, place
from loadtest.records import RequestRecord
from loadtest.scenario.read import parse_scenario
from loadtest.users.frame_stream import FrameStream, Pace
from loadtest.users.recorder import Recorder
from loadtest.users.sending import Sending
from pasarela_proto import detection_pb2 as pb
from tests.unit.loadtest.test_load_sending import Events, HandClock

SCENARIO = parse_scenario({"title": "?", "requests": [{"user": "stream"}], "load": {"kind": "closed"}}, "s")


class Broken(grpc.RpcError):
    """A connection that is not there."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "failed to connect"

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Channel:
    """Answers every frame, or breaks before the first."""

    def __init__(self, *, broken: bool = False) -> None:
        self._broken = broken

    def unary_unary(self, *_: Any, **__: Any) -> None:
        return None

    def stream_stream(self, *_: Any, **__: Any) -> Any:
        return lambda requests, metadata: Call(requests, broken=self._broken)


class Call:
    """One stream."""

    def __init__(self, requests: Iterator[pb.StreamDetectRequest], *, broken: bool) -> None:
        self._requests, self._broken = requests, broken

    def __iter__(self) -> Iterator[pb.StreamDetectResponse]:
        if self._broken:
            gevent.sleep(0)
            raise Broken
        for request in self._requests:
            yield pb.StreamDetectResponse(frame_index=request.frame_index)

    def cancel(self) -> None: ...


def stream(
    now_s: float, frames: int, *, broken: bool = False, begins_s: float = 0.0
) -> tuple[FrameStream, list[RequestRecord]]:
    """A stream of ten frames a second that is opened at some moment, with what it recorded."""
    clock, records = HandClock(), list[RequestRecord]()
    sending = Sending(SCENARIO, Access("127.0.0.1:1"), clock, Recorder(Events(), records.extend), lambda _: None)  # type: ignore[arg-type]
    sending.add_steps(place([Step("1 user", 100, users=1)], 0.0, 0))
    clock.time_s = now_s
    way = Way(Channel(broken=broken), None)  # type: ignore[arg-type]
    pace = Pace(window=8, frames=frames, fps=10)
    made = FrameStream(sending, way, [pb.DetectRequest(model_name="m")], pace, user="stream", first=0)
    made.run(begins_s)
    sending.recorder.flush()
    assert sending.under_way == 0
    return made, records


def test_frames_that_were_due_while_there_was_no_stream_count_as_left_out() -> None:
    """A camera goes on while its server is away; a report that forgets these frames would call the outage short."""
    made, records = stream(0.45, 6)
    assert [(record.due_s, record.outcome, record.frame) for record in records] == [
        *((tenth / 10, "unsent", tenth) for tenth in range(5)),
        (0.5, "done", 5),
    ]
    assert made.due == 6


def test_a_stream_that_cannot_be_opened_takes_the_place_of_a_frame() -> None:
    made, records = stream(0.0, 6, broken=True, begins_s=0.5)
    assert [record.outcome for record in records] == ["lost"]
    assert made.due == 1
