"""Requests that come when they come: each is sent in a greenlet of its own when it is due, answered or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gevent

from loadtest.access import Way
from loadtest.plan.arrivals import Arrival, arrivals, choose
from loadtest.plan.steps import PlacedStep
from loadtest.scenario.loads import Arriving
from loadtest.users.sending import Sending
from loadtest.users.unary import Call, send, unsent


def send_all(sending: Sending, step: PlacedStep, calls: Sequence[Call], ways: Iterator[Way], bound: int) -> None:
    """Sends each request of a step when it is due; one that is due and not sent is recorded as such.

    Args:
        sending: The run.
        step: An open step.
        calls: What is sent, for each entry.
        ways: The connections, in turn.
        bound: Requests that may be under way.
    """
    load = sending.scenario.load
    assert isinstance(load, Arriving)
    weights = [entry.weight for entry in sending.scenario.requests]
    for arrival in arrivals(step, load.arrivals, load.seed, sending.share, sending.shares):
        if not sending.over and (wait_s := arrival.due_s - sending.now()) > 0:
            gevent.sleep(wait_s)
        if arrival.due_s >= sending.over_s:
            return
        call = calls[choose(weights, load.seed, arrival.number)]
        if sending.over:
            unsent(sending, call, arrival.due_s, step.index, "the generator was behind when the run ended")
        elif sending.under_way >= bound:
            unsent(sending, call, arrival.due_s, step.index, f"{bound} were under way already")
        else:
            gevent.spawn(_send_one, sending, call, next(ways), arrival)
            gevent.sleep(0)  # it counts as under way once it runs


def _send_one(sending: Sending, call: Call, way: Way, arrival: Arrival) -> None:
    send(sending, call, way, arrival.number, arrival.due_s, "open")
