"""What the log tells of calls that were turned away: enough to notice, too little to fill a disk."""

import logging

import pytest

from pasarela_server.rpc.refusals import Refusals


@pytest.fixture
def told(caplog):
    """The lines so far, warnings only."""

    def lines():
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    return lines


def test_a_kind_is_told_once_a_minute_with_the_number_of_those_between(told):
    now_s = 0.0
    refusals = Refusals(lambda: now_s)
    for _ in range(1000):
        refusals.note("no token", "/a/B", "ipv4:1.2.3.4:5")
        now_s += 0.05
    assert told() == ["/a/B from ipv4:1.2.3.4:5 was turned away: no token"]
    now_s = 60.0
    refusals.note("no token", "/a/C", "ipv4:6.7.8.9:0")
    assert told()[1:] == [
        "/a/C from ipv4:6.7.8.9:0 was turned away: no token; so were 999 calls since the last such line"
    ]
    now_s = 120.0
    refusals.note("no token", "/a/D", "unix:")
    assert told()[2:] == ["/a/D from unix: was turned away: no token"]


def test_kinds_do_not_hide_each_other(told):
    refusals = Refusals(lambda: 0.0)
    for kind in ("no token", "an unknown token", "no token"):
        refusals.note(kind, "/a/B", "p")
    assert [line.rpartition(": ")[2] for line in told()] == ["no token", "an unknown token"]


def test_each_of_them_is_in_a_verbose_log(caplog):
    caplog.set_level(logging.DEBUG)
    refusals = Refusals(lambda: 0.0)
    for _ in range(3):
        refusals.note("no token", "/a/B", "p")
    assert len([record for record in caplog.records if record.levelno == logging.DEBUG]) == 3
