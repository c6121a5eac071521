"""What users of one process share: steps, waiting, and the end. In greenlets, but without Locust and without a server."""

import itertools
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from loadtest.access import Access, Way
from loadtest.plan.arrivals import Turns
from loadtest.plan.steps import PlacedStep, Step, place
from loadtest.records import RequestRecord
from loadtest.scenario.read import parse_scenario
from loadtest.users.recorder import Recorder
from loadtest.users.schedule import send_all
from loadtest.users.sending import Sending
from loadtest.users.unary import Answer
from pasarela_client.timings import NOT_TOLD

SCENARIO = parse_scenario(
    {
        "title": "?",
        "requests": [{"user": "detect", "model": "m"}],
        "load": {"kind": "closed"},
    },
    "s",
)


class HandClock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s


class Events:
    """Locust's events of requests, as far as a recorder needs them."""

    def __init__(self) -> None:
        self.fired: list[dict[str, Any]] = []

    @property
    def events(self) -> "Events":
        return self

    @property
    def request(self) -> "Events":
        return self

    def fire(self, **event: Any) -> None:
        self.fired.append(event)


Made = tuple[Sending, HandClock, list[int], Events, list[Any]]


@pytest.fixture
def made() -> Made:
    clock, quiet, events, lots = HandClock(), list[int](), Events(), list[Any]()
    recorder = Recorder(events, lots.append)
    sending = Sending(SCENARIO, Access("127.0.0.1:1"), clock, recorder, quiet.append)  # type: ignore[arg-type]
    return sending, clock, quiet, events, lots


def until(holds: Callable[[], bool]) -> None:
    with gevent.Timeout(5):
        while not holds():
            gevent.sleep(0.005)


def test_nothing_is_begun_before_a_step_runs_and_after_it_ended(made: Made) -> None:
    sending, clock, _, _, _ = made
    assert sending.wait_for_step() is None
    (step,) = place([Step("s", 2, users=1)], 1.0, 0)
    sending.add_steps([step])
    assert sending.wait_for_step() is None
    assert not sending.active()
    clock.time_s = 1.0
    assert sending.wait_for_step() == step
    assert sending.active(step)
    clock.time_s = 3.0
    assert sending.wait_for_step() is None
    assert not sending.active()


def test_who_sends_what_is_due_passes_over_no_step(made: Made) -> None:
    """However late he is: what was due in a step that has ended meanwhile is still sent."""
    sending, clock, _, _, _ = made
    steps = place([Step("a", 1, 5, 5), Step("b", 1, 5, 5), Step("c", 1, 5, 5)], 0.0, 0)
    sending.add_steps(steps)
    clock.time_s = 2.5
    taken: list[PlacedStep] = []
    while (step := sending.wait_for_step(after=taken[-1].index if taken else -1)) is not None:
        taken.append(step)
    assert taken == steps
    assert sending.wait_for_step() == steps[2]


def test_a_request_belongs_to_the_step_in_which_it_was_due(made: Made) -> None:
    sending, _, _, _, _ = made
    sending.add_steps(place([Step("a", 1, users=1), Step("b", 1, users=1)], 1.0, 0))
    assert [sending.step_index(time_s) for time_s in (0.5, 1.0, 2.0, 3.5)] == [0, 0, 1, 1]


def test_quiet_is_when_the_last_of_a_lot_has_ended(made: Made) -> None:
    sending, clock, quiet, _, _ = made
    sending.add_steps(place([Step("a", 1, users=1), Step("b", 1, users=1)], 0.0, 3))
    sending.under_way = 1
    clock.time_s = 2.0
    gevent.sleep(0.2)
    assert quiet == []
    sending.under_way = 0
    until(lambda: bool(quiet))
    assert quiet == [4]


def test_an_open_loop_is_not_quiet_before_everything_that_arrived_was_sent(made: Made) -> None:
    sending, clock, quiet, _, _ = made
    sending.add_steps(place([Step("a", 1, 5, 5)], 0.0, 0))
    clock.time_s = 1.0
    gevent.sleep(0.2)
    assert quiet == []
    sending.sent_through = 0
    until(lambda: bool(quiet))


class Taken:
    """A call that is answered at once."""

    user, model, timeout_s = "detect", "m", 1.0

    def __call__(self, sending: Sending, way: Any, number: int) -> Answer:
        return Answer(0, NOT_TOLD)


def test_what_was_due_when_the_run_ended_and_was_not_sent_is_recorded() -> None:
    """A generator that is behind must not look like one of which less was asked."""
    clock, lots = HandClock(), list[Any]()
    recorder = Recorder(Events(), lots.extend)
    scenario = parse_scenario(
        {"title": "?", "requests": [{"user": "detect"}], "load": {"kind": "open", "rate": 10, "arrivals": "even"}}, "s"
    )
    sending = Sending(scenario, Access("127.0.0.1:1"), clock, recorder, lambda _: None)  # type: ignore[arg-type]
    (step,) = place([Step("10/s", 1, 10, 10)], 0.0, 0)
    sending.add_steps([step])
    clock.time_s = 0.55
    sending.finish()
    clock.time_s = 0.8
    send_all(sending, step, [Taken()], itertools.repeat(Way(None, None)), 5)  # type: ignore[arg-type]
    recorder.flush()
    assert [(record.due_s, record.outcome) for record in lots] == [(tenth / 10, "unsent") for tenth in range(6)]


@pytest.mark.parametrize(
    ("shares", "users"),
    [
        (1, 4),
        (2, 2),
        (4, 1),  # reason: each process has one user, and all entries are still asked
    ],
)
def test_few_users_of_each_process_take_all_entries(shares: int, users: int) -> None:
    taken = set()
    for share in range(shares):
        turns = Turns([1.0] * 4, share, shares)
        taken |= {next(turns) for _ in range(users)}
    assert taken == {0, 1, 2, 3}


def test_finishing_ends_every_wait(made: Made) -> None:
    sending, _, _, _, _ = made
    sending.add_steps(place([Step("a", 1000, users=1)], 0.0, 0))
    pausing = gevent.spawn(sending.pause, 1000)
    gevent.sleep(0)
    sending.finish()
    assert pausing.join(5) is None
    assert pausing.ready()
    assert sending.over
    assert not sending.active()
    sending.pause(1000)
    assert sending.wait_for_step() is None


def test_records_reach_locust_at_once_and_the_run_in_lots(made: Made) -> None:
    sending, _, _, events, lots = made
    done = RequestRecord(0, "stream", "m", "open", 1.0, "done", 1.0, 1.25, response_bytes=7)
    late = RequestRecord(0, "detect", "m", "open", 1.0, "late", 1.0, 1.5, message="too late")
    left = RequestRecord(0, "leaver", "m", "open", 1.0, "left", 1.0, 1.5)
    for record in (done, late, left):
        sending.record(record)
    assert [(event["name"], event["response_time"]) for event in events.fired] == [
        ("StreamDetect m", 250.0),
        ("Detect m", 500.0),
        ("Detect m (left)", 500.0),
    ]
    assert [str(event["exception"]) for event in events.fired] == ["None", "too late", "None"]
    assert lots == []
    sending.recorder.start()
    until(lambda: bool(lots))
    assert lots == [[done, late, left]]
    sending.record(done)
    sending.end()
    assert lots == [[done, late, left], [done]]
    assert sending.cut_off
