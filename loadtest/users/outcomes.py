"""What became of a request that was not answered well. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import grpc

from loadtest.records import Outcome
from pasarela_client.errors import DeadlineExpired, ModelUnavailable, PasarelaError, QueueFull

_LONGEST_MESSAGE: Final = 160
_EARLY_S: Final = 0.005
"""Clocks of gRPC and of who waits differ by less."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended: the fields of its record that say so."""

    outcome: Outcome
    status: str = "OK"
    message: str = ""


DONE: Final = Ending("done")
CUT_OFF: Final = Ending("lost", "", "the run ended before the answer came")


def ending_of(error: PasarelaError, waited_s: float, timeout_s: float) -> Ending:
    """The ending that an error stands for.

    Args:
        error: What the server or the connection said.
        waited_s: From when its time began until it ended.
        timeout_s: The time that it had.
    """
    status = error.status.name if error.status else ""
    message = f"{type(error).__name__}: {error.message}"
    message = message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
    if isinstance(error, DeadlineExpired):
        # A server may give a request up before its time, as it could not be answered in it: that is a refusal.
        return Ending("late" if waited_s >= timeout_s - _EARLY_S else "refused", status, message)
    if isinstance(error, QueueFull) or (
        isinstance(error, ModelUnavailable) and error.status is grpc.StatusCode.UNAVAILABLE
    ):
        return Ending("refused", status, message)
    return Ending("failed", status, message)
