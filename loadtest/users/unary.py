"""Requests that are one call each: sent one by one, by users or as they arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from loadtest.access import Way
from loadtest.records import Loop, RequestRecord
from loadtest.users.outcomes import CUT_OFF, DONE, Ending, ending_of
from loadtest.users.sending import Sending
from pasarela_client.errors import from_rpc_error
from pasarela_client.timings import NOT_TOLD, Timings


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    response_bytes: int
    timings: Timings
    ending: Ending = DONE


class Call(Protocol):
    """One kind of request, ready to be sent as often as wanted."""

    user: str
    model: str
    timeout_s: float

    def __call__(self, sending: Sending, way: Way, number: int) -> Answer:
        """Sends the request of a number, and waits for its answer.

        Raises:
            grpc.RpcError: There was none.
        """
        ...


def send(sending: Sending, call: Call, way: Way, number: int, due_s: float, loop: Loop) -> bool:
    """Sends one request, waits for its end and records it; says whether it went well.

    Args:
        sending: The run.
        call: What is sent.
        way: On which connection.
        number: Which of the requests it is; tells which image.
        due_s: When it was to be sent.
        loop: From when its latency counts.
    """
    sending.under_way += 1
    sent_s = sending.now()
    answer: Answer | None = None
    try:
        answer = call(sending, way, number)
        done_s: float | None = sending.now()
        ending = answer.ending
    except (grpc.RpcError, ValueError) as error:  # a channel that was closed meanwhile raises ValueError
        done_s = sending.now()
        if sending.cut_off or not isinstance(error, grpc.RpcError):
            ending, done_s = CUT_OFF, None
        else:
            told = from_rpc_error(error, url=sending.access.url, model=call.model)
            ending = ending_of(told, done_s - sent_s, call.timeout_s)
    finally:
        sending.under_way -= 1
    sending.record(
        RequestRecord(
            step=sending.step_index(due_s),
            user=call.user,
            model=call.model,
            loop=loop,
            due_s=due_s,
            outcome=ending.outcome,
            sent_s=sent_s,
            done_s=done_s,
            status=ending.status,
            message=ending.message,
            response_bytes=answer.response_bytes if answer else 0,
            timings=answer.timings if answer else NOT_TOLD,
            worker=sending.share,
        )
    )
    return ending.outcome in {"done", "left"}


def unsent(sending: Sending, call: Any, due_s: float, step: int, why: str) -> None:
    """Records a request that was due and never sent."""
    sending.record(
        RequestRecord(
            step=step,
            user=call.user,
            model=call.model,
            loop="open",
            due_s=due_s,
            outcome="unsent",
            status="",
            message=why,
            worker=sending.share,
        )
    )
