"""The side of those who send: does what who conducts the run says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gevent

from loadtest.access import Access
from loadtest.conduct.messages import BEGIN, BROKEN, END, ENDED, FINISH, QUIET, RECORDS, STEPS
from loadtest.plan.steps import PlacedStep
from loadtest.records import RequestRecord
from loadtest.scenario.read import parse_scenario
from loadtest.users.recorder import Recorder
from loadtest.users.sending import RunClock, Sending, current, set_current


def take_part(environment: Any) -> None:
    """Listens to who conducts; `environment` is Locust's, with its runner."""
    runner = environment.runner

    def begin(msg: Any, **_: Any) -> None:
        told = msg.data
        share = told["share"]

        def hand_on(lot: Sequence[RequestRecord]) -> None:
            lines = "".join(record.to_json() + "\n" for record in lot)
            runner.send_message(RECORDS, {"share": share, "lines": lines})

        recorder = Recorder(environment, hand_on)
        sending = Sending(
            parse_scenario(told["scenario"], told["name"]),
            Access.from_message(told["access"]),
            RunClock(told["started_at"]),
            recorder,
            lambda last: runner.send_message(QUIET, {"share": share, "last": last}),
            share=share,
            shares=told["shares"],
        )
        set_current(sending)
        recorder.start()

    def steps(msg: Any, **_: Any) -> None:
        if (sending := current()) is not None:
            sending.add_steps([PlacedStep.from_message(one) for one in msg.data["steps"]])

    def finish(**_: Any) -> None:
        if (sending := current()) is not None:
            sending.finish()

    def end(**_: Any) -> None:
        gevent.spawn(_end, runner)

    def broke(exception: BaseException, **_: Any) -> None:
        if (sending := current()) is not None and not sending.over:
            why = f"{type(exception).__name__}: {exception}"
            runner.send_message(BROKEN, {"share": sending.share, "why": why})

    environment.events.user_error.add_listener(broke)
    for name, listener in ((BEGIN, begin), (STEPS, steps), (FINISH, finish), (END, end)):
        runner.register_message(name, listener)


def _end(runner: Any) -> None:
    sending = current()
    if sending is not None:
        sending.end()
        runner.send_message(ENDED, {"share": sending.share})
