"""A stream of frames: three threads that meet at one queue of events.

gRPC's sender thread pulls requests out of `FrameFeed`, which is where the user's iterable runs. A reader thread takes
the answers off the call. The user's thread, inside the generator `run_stream`, is the only one that takes events; it
hands out results in order. Neither of the two threads refers to the generator, so dropping it closes it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Final, Protocol

import grpc

from pasarela_client.errors import DeadlineExpired, PasarelaError, ServerFailure
from pasarela_client.frames import (
    Answered,
    Ended,
    EventQueue,
    Exhausted,
    Frame,
    FrameFeed,
    FrameOrder,
    FrameResult,
    Sent,
    Unsent,
)
from pasarela_proto import detection_pb2 as pb


class StreamCall(Protocol):
    """The part of a gRPC call that a stream needs."""

    def __iter__(self) -> Iterator[pb.StreamDetectResponse]:
        """The answers, as they come."""
        ...

    def cancel(self) -> object:
        """Gives the call up; harmless when it is over."""
        ...


_FAREWELL_S: Final = 1.0
"""How long a server may take to end a stream whose frames are all answered, before the call is cancelled."""


def run_stream(
    frames: Iterator[Frame],
    *,
    encode: Callable[[int, Frame], pb.StreamDetectRequest],
    decode: Callable[[pb.StreamDetectResponse], FrameResult],
    connect: Callable[[Iterator[pb.StreamDetectRequest]], StreamCall],
    convert: Callable[[grpc.RpcError], PasarelaError],
    window: int,
    timeout_s: float | None,
) -> Generator[FrameResult, None, None]:
    """Results of a stream of frames, in their order.

    The call begins with the first result that is asked for, and is cancelled when the generator is closed.

    Args:
        frames: Consumed on a thread of its own, at most `window` frames ahead of the results.
        encode: Index and frame to request; a `PasarelaError` it raises becomes the result of that frame.
        decode: Answer to result.
        connect: Begins the call with these requests.
        convert: What gRPC raised, as the error that the caller sees.
        window: Highest number of frames without a result.
        timeout_s: Longest silence of the server while a frame is unanswered; None waits for ever.

    Raises:
        PasarelaError: The stream as a whole broke.
        BaseException: What `frames` raised, after the results of all frames before it.
    """
    events: EventQueue = queue.SimpleQueue()
    feed = FrameFeed(frames, encode, window=window, events=events)
    call = connect(feed)
    threading.Thread(
        target=_read_answers, args=(call, decode, convert, events, feed), name="pasarela-answers", daemon=True
    ).start()
    order = FrameOrder()
    unanswered = 0
    silent_since = time.monotonic()
    exhausted: Exhausted | None = None
    try:
        while exhausted is None or order.next_index < exhausted.frame_count:
            match _next_event(events, _remaining_s(timeout_s, silent_since) if unanswered else None):
                case Sent():
                    silent_since = silent_since if unanswered else time.monotonic()
                    unanswered += 1
                    continue
                case Answered(result):
                    unanswered -= 1
                    order.add(result)
                case Unsent(result):
                    order.add(result)
                case Exhausted() as exhausted:
                    continue
                case Ended(error):
                    raise error or ServerFailure(f"the server ended the stream; frame {order.next_index} was due")
            while (due := order.take()) is not None:
                feed.finished()
                yield due
            silent_since = time.monotonic()
        _await_end(events)
        if exhausted.error is not None:
            raise exhausted.error
    finally:
        feed.close()
        call.cancel()


def _read_answers(
    call: StreamCall,
    decode: Callable[[pb.StreamDetectResponse], FrameResult],
    convert: Callable[[grpc.RpcError], PasarelaError],
    events: EventQueue,
    feed: FrameFeed,
) -> None:
    try:
        for response in call:
            events.put(Answered(decode(response)))
        events.put(Ended())
    except PasarelaError as error:
        events.put(Ended(error))
    except grpc.RpcError as error:
        events.put(Ended(convert(error)))
    finally:
        feed.close()


def _next_event(events: EventQueue, timeout_s: float | None) -> Sent | Unsent | Answered | Exhausted | Ended:
    try:
        return events.get(timeout=timeout_s)
    except queue.Empty:
        raise DeadlineExpired("no answer to the frames that were sent in the time allowed (timeout_s)") from None


def _await_end(events: EventQueue) -> None:
    """Lets the server end the stream by itself, so that it does not count as cancelled there."""
    until = time.monotonic() + _FAREWELL_S
    try:
        while not isinstance(events.get(timeout=max(0.0, until - time.monotonic())), Ended):
            pass
    except queue.Empty:
        return


def _remaining_s(timeout_s: float | None, since: float) -> float | None:
    return None if timeout_s is None else max(0.0, since + timeout_s - time.monotonic())
