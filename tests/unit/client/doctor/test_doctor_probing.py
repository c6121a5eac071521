"""Requests of our own: how many, and what becomes of those that fail."""

import itertools
import threading

import pytest

from pasarela_client import QueueFull
from pasarela_client.doctor.probing import probe
from pasarela_client.timings import Timings

TOLD = Timings(infer_ns=5, total_ns=6, close_reason="idle", instance=0)
SECONDS = 20


def test_each_client_sends_one_request_after_the_other_until_it_is_enough() -> None:
    sent = itertools.count(1)
    latest = 0

    def send() -> Timings:
        nonlocal latest
        latest = next(sent)
        return TOLD

    found = probe(send, clients=1, until=lambda: latest >= 5, sent="something")
    assert (found.timings, found.errors, found.clients, found.sent) == ((TOLD,) * 5, {}, 1, "something")


def test_all_clients_are_under_way_at_a_time() -> None:
    together = threading.Barrier(3)

    def send() -> Timings:
        together.wait(SECONDS)
        return TOLD

    assert len(probe(send, clients=3, until=lambda: True, sent="").timings) == 3


def test_failures_are_counted_with_what_the_first_said_and_do_not_go_on_for_ever() -> None:
    numbers = itertools.count(1)

    def send() -> Timings:
        raise QueueFull(f"full, {next(numbers)}")

    found = probe(send, clients=1, until=lambda: False, sent="")
    assert (found.timings, found.errors, found.messages) == ((), {"QueueFull": 20}, {"QueueFull": "full, 1"})
    assert (found.stages_ns, found.staged) == ({"network and client": 0.0}, False)


def test_what_nobody_expected_is_raised_where_it_is_seen() -> None:
    def send() -> Timings:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        probe(send, clients=2, until=lambda: True, sent="")


def test_a_server_that_tells_no_stages_is_noticed() -> None:
    found = probe(lambda: Timings(round_trip_ns=9), clients=1, until=lambda: True, sent="")
    assert not found.staged
    assert (found.close_reasons, found.instances) == ({}, {})
