import queue
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client import FrameError, InvalidRequest, ServerFailure
from pasarela_client.frames import EventQueue, Exhausted, FrameFeed, FrameOrder, Sent, Unsent
from pasarela_proto import detection_pb2 as pb


def result(index: int) -> FrameError:
    return FrameError(index, InvalidRequest("no image"))


@given(st.permutations(range(20)))
def test_results_come_out_in_the_order_of_their_frames(arrival: list[int]) -> None:
    order, out = FrameOrder(), []
    for index in arrival:
        order.add(result(index))
        while (due := order.take()) is not None:
            out.append(due.frame_index)
    assert out == list(range(20))


@pytest.mark.parametrize(("before", "again"), [([0], 0), ([1], 1)], ids=["handed out already", "still waiting"])
def test_a_frame_answered_twice_is_the_servers_fault(before: list[int], again: int) -> None:
    order = FrameOrder()
    for index in before:
        order.add(result(index))
    order.take()
    with pytest.raises(ServerFailure, match=f"frame {again}"):
        order.add(result(again))


def encode(index: int, frame: int) -> pb.StreamDetectRequest:
    if frame < 0:
        raise InvalidRequest(f"{frame} is no image")
    return pb.StreamDetectRequest(frame_index=index)


def drain(events: EventQueue) -> list[object]:
    return [events.get_nowait() for _ in range(events.qsize())]


def test_what_a_feed_tells_about_each_frame() -> None:
    events: EventQueue = queue.SimpleQueue()
    feed = FrameFeed(iter([1, -1, 3]), encode, window=10, events=events)
    assert [request.frame_index for request in feed] == [0, 2]
    sent, unsent, sent_too, exhausted = drain(events)
    assert (sent, sent_too, exhausted) == (Sent(0), Sent(2), Exhausted(3))
    assert isinstance(unsent, Unsent)
    assert unsent.result.frame_index == 1


def test_what_the_iterable_raises_is_told_and_not_raised_in_the_senders_thread() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the camera is gone")

    events: EventQueue = queue.SimpleQueue()
    assert len(list(FrameFeed(broken(), encode, window=10, events=events))) == 1
    exhausted = drain(events)[-1]
    assert isinstance(exhausted, Exhausted)
    assert exhausted.frame_count == 1
    assert str(exhausted.error) == "the camera is gone"


def test_a_closed_feed_pulls_nothing_more() -> None:
    pulled = []

    def frames() -> Iterator[int]:
        for index in range(100):
            pulled.append(index)
            yield index

    feed = FrameFeed(frames(), encode, window=10, events=queue.SimpleQueue())
    next(feed)
    feed.close()
    assert list(feed) == []
    assert pulled == [0]
