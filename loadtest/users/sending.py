"""What all users of one Locust process share: the scenario, the clock, the steps, who is under way.

There is one `Sending` a run and process, `current` while it lasts. Steps come from who conducts the run; users ask
`wait_for_step` before they begin anything, and nothing is begun after the last step ended.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Final

import gevent
from gevent.event import Event

from loadtest.access import Access, Way
from loadtest.plan.arrivals import Turns
from loadtest.plan.steps import PlacedStep, step_at
from loadtest.records import RequestRecord
from loadtest.scenario import Scenario
from loadtest.users.recorder import Recorder

_LOOK_S: Final = 0.05
_WAIT_S: Final = 0.2
"""How soon one who waits for a step looks whether he is still wanted."""
_CLOSE_S: Final = 2.0
"""How long calls that were cut off may take to notice."""


class RunClock:
    """Seconds since the run began, the same for all processes whose machines agree on the time of day.

    It never jumps: the time of day is looked at once.
    """

    def __init__(self, started_at: float) -> None:
        """Is 0 at `started_at`, in seconds since the epoch."""
        self._offset = time.time() - time.monotonic() - started_at

    def now(self) -> float:
        """Seconds."""
        return time.monotonic() + self._offset


class Sending:
    """One run in one process. For greenlets of one thread."""

    def __init__(
        self,
        scenario: Scenario,
        access: Access,
        clock: RunClock,
        recorder: Recorder,
        on_quiet: Callable[[int], None],
        *,
        share: int = 0,
        shares: int = 1,
    ) -> None:
        """Sends nothing yet.

        Args:
            scenario: What is sent.
            access: Where to.
            clock: The run's.
            recorder: Where requests go when they have ended.
            on_quiet: Told when everything of a lot of steps has ended, with the index of its last.
            share: Which of the processes that send this one is, from 0.
            shares: How many there are.
        """
        self.scenario = scenario
        self.access = access
        self.clock = clock
        self.recorder = recorder
        self.share = share
        self.shares = shares
        self.cut_off = False
        """Whether what is under way is to end now, answered or not."""
        self.under_way = 0
        """Requests and frames that were sent and have not ended."""
        self.streams = itertools.count()
        self.turns: dict[str, Turns] = {}
        self.arrivals_taken = False
        """Whether a user of this process sends what arrives."""
        self.sent_through = -1
        """The last step of which everything that arrives was sent."""
        self.over_s = math.inf
        """When nothing might be begun any more."""
        self._on_quiet = on_quiet
        self._steps: list[PlacedStep] = []
        self._steps_changed = Event()
        self._finished = Event()
        self._never = Event()
        self._ways: list[Way] = []

    @property
    def over(self) -> bool:
        """Whether nothing may be begun any more."""
        return bool(self._finished.is_set())

    def now(self) -> float:
        """On the run's clock."""
        return self.clock.now()

    def open(self) -> Way:
        """A connection that lasts until the end of the run, or until it is closed."""
        way = self.access.open()
        self._ways.append(way)
        return way

    def close(self, way: Way) -> None:
        """Ends a connection, and all calls on it."""
        if way in self._ways:
            self._ways.remove(way)
        way.channel.close()

    def add_steps(self, steps: Sequence[PlacedStep]) -> None:
        """More to do; `on_quiet` is called once when all of it has ended."""
        self._steps.extend(steps)
        changed, self._steps_changed = self._steps_changed, Event()
        changed.set()
        gevent.spawn(self._tell_when_quiet, steps[-1])

    def finish(self) -> None:
        """No more requests from now on."""
        self.over_s = min(self.over_s, self.now())
        self._finished.set()
        self._steps_changed.set()

    def end(self) -> None:
        """Cuts off what is under way, and hands on the last records."""
        self.finish()
        self.cut_off = True
        for way in self._ways:
            way.channel.close()
        self._ways.clear()
        until_s = time.monotonic() + _CLOSE_S
        while self.under_way and time.monotonic() < until_s:
            gevent.sleep(_LOOK_S)
        self.recorder.stop()

    def active(self, step: PlacedStep | None = None) -> bool:
        """Whether something may be begun now; in this step, if one is named."""
        if self.over:
            return False
        running = step_at(self._steps, self.now())
        return running is not None and (step is None or running.index == step.index)

    def step_index(self, time_s: float) -> int:
        """The step in which a request that is due at this time counts."""
        found = step_at(self._steps, time_s)
        if found is not None:
            return found.index
        begun = [step.index for step in self._steps if step.begins_s <= time_s]
        return begun[-1] if begun else 0

    def wait_for_step(self, *, after: int | None = None) -> PlacedStep | None:
        """Waits for a step to run, and says which.

        Args:
            after: Takes the next after this one, also if it has ended meanwhile: what was due in it is still due.

        Returns:
            None if none runs by then, or none will: whoever waits has to look now and then whether he is still wanted.
        """
        now_s, changed = self.now(), self._steps_changed
        ahead = [step for step in self._steps if (step.ends_s > now_s if after is None else step.index > after)]
        if self.over or not ahead or ahead[0].begins_s > now_s:
            wait_s = _WAIT_S if self.over or not ahead else min(_WAIT_S, ahead[0].begins_s - now_s)
            (self._never if self.over else changed).wait(wait_s)
            return None
        return ahead[0]

    def pause(self, seconds: float) -> None:
        """Lets time pass, but no more once the run is over."""
        if not self.over:
            self._finished.wait(seconds)

    def record(self, record: RequestRecord) -> None:
        """A request has ended."""
        self.recorder.record(record)

    def _tell_when_quiet(self, last: PlacedStep) -> None:
        while (left_s := last.ends_s - self.now()) > 0 and not self.over:
            gevent.sleep(min(left_s, _LOOK_S))
        while (self.under_way or self._still_arrives(last)) and not self.cut_off:
            gevent.sleep(_LOOK_S)
        self.recorder.flush()
        self._on_quiet(last.index)

    def _still_arrives(self, last: PlacedStep) -> bool:
        """Whether requests of an open loop are still to be sent, as who sends them is behind."""
        return last.step.loop == "open" and self.sent_through < last.index and not self.over


class _Current:
    """Where users of this process find the run: Locust makes them, and passes nothing on but its environment."""

    sending: Sending | None = None


_current: Final = _Current()


def set_current(sending: Sending | None) -> None:
    """The run that users which begin now belong to."""
    _current.sending = sending


def current() -> Sending | None:
    """The run of this process; None between runs."""
    return _current.sending
