"""What a start of a front that came to nothing is called, and whether the server gives up for it."""

import pytest

from pasarela_server.frontends.endings import MOST_KILLED_STARTS, Ending, Hand, describe, refusal

LIMIT_S = 60.0
FRONT = "front 1 (process 7)"
LAST = MOST_KILLED_STARTS


@pytest.mark.parametrize(
    ("ending", "starts", "described", "refused"),
    [
        # reason: others may answer clients by then
        pytest.param(Ending(FRONT, -9), 1, f"{FRONT} ended with code -9", "", id="killed"),
        pytest.param(Ending(FRONT, -9), LAST - 1, f"{FRONT} ended with code -9", "", id="killed, and one try is left"),
        # reason: whatever kills it does so each time
        pytest.param(
            Ending(FRONT, -9), LAST, f"{FRONT} ended with code -9",
            f"{FRONT} ended with code -9 before it listened; see the log", id="killed each time",
        ),
        # reason: it would end so again
        pytest.param(
            Ending(FRONT, 3), 1, f"{FRONT} ended with code 3",
            f"{FRONT} ended with code 3 before it listened; see the log", id="ended by itself",
        ),
        pytest.param(
            Ending(FRONT, 0), 1, f"{FRONT} ended with code 0",
            f"{FRONT} ended with code 0 before it listened; see the log", id="ended, and calls it success",
        ),
        # reason: what it says is for people, and the log has the rest
        pytest.param(
            Ending(FRONT, 1, reason="the port is taken"), 1, f"{FRONT} ended with code 1", "the port is taken",
            id="it says why",
        ),
        # reason: it said why before somebody killed it
        pytest.param(
            Ending(FRONT, -9, reason="the port is taken"), 1, f"{FRONT} ended with code -9", "the port is taken",
            id="it says why, and is killed",
        ),
        pytest.param(
            Ending(FRONT, -9, Hand.UNLINKED, "the port is taken"), 1,
            f"{FRONT} had no link to the server any more, went on, and was ended", "the port is taken",
            id="it says why, and goes on",
        ),
        # reason: the back killed it: that is no accident that may pass
        pytest.param(
            Ending(FRONT, -9, Hand.UNLINKED), 1, f"{FRONT} had no link to the server any more, went on, and was ended",
            f"{FRONT} had no link to the server any more, went on, and was ended before it listened; see the log",
            id="it goes on without a link",
        ),
        # reason: as often as it is tried, each try takes that long
        pytest.param(
            Ending(FRONT, hand=Hand.OVERDUE), 1, f"{FRONT} did not listen within 60 s and was ended",
            f"{FRONT} did not listen within 60 s and was ended; the machine may be too busy: try fewer --frontends, or 0",
            id="overdue",
        ),
        # reason: there is no process whose code could be told
        pytest.param(
            Ending("front 1", reason="OSError: no room"), 1, "front 1 cannot be started (OSError: no room)",
            "front 1 cannot be started (OSError: no room)", id="not started",
        ),
    ],
)  # fmt: skip
def test_a_start_that_came_to_nothing(ending, starts, described, refused):
    assert describe(ending, LIMIT_S) == described
    assert refusal(ending, starts, LIMIT_S) == refused
