"""Timings of a request: what the reply adds to them, and what stays as it was."""

import pytest

from pasarela_server.request import Timings

FULL = Timings(**{name: 100 + place for place, name in enumerate(Timings._fields)})._replace(close_reason="full")


@pytest.mark.parametrize(
    ("reason", "timings", "received_ns", "receive_ns"),
    [
        ("it was submitted after it was received", FULL, 60, 40),
        ("clocks that are read in another order give no negative time", FULL, 160, 0),
        ("it was never submitted", FULL._replace(submitted_ns=0), 60, 0),
    ],
)
def test_the_reply_adds_its_times_and_leaves_the_others(reason, timings, received_ns, receive_ns):
    answered = timings.answered(received_ns, 1_000, 1_250)
    assert answered == timings._replace(receive_ns=receive_ns, encode_ns=250, total_ns=1_250 - received_ns), reason
    assert isinstance(answered, Timings)
