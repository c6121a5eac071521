"""Where the requests of one process go: into the run's records, and into Locust's own statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import gevent

from loadtest.records import BAD, RequestRecord

FLUSH_S: Final = 0.5
"""How long a record stays here at most."""
_METHODS: Final = {"raw": "ModelInfer", "stream": "StreamDetect", "slow": "StreamDetect"}


class RequestFailed(Exception):
    """How Locust's statistics are told of a request that did not end well; its text is what they group by."""


class Recorder:
    """Takes records one by one and hands them on in lots."""

    def __init__(self, environment: Any, hand_on: Callable[[Sequence[RequestRecord]], None]) -> None:
        """Hands nothing on before `start`.

        Args:
            environment: Locust's.
            hand_on: Takes a lot of records.
        """
        self._environment = environment
        self._hand_on = hand_on
        self._lot: list[RequestRecord] = []
        self._flushing: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begins to hand on."""
        self._flushing = gevent.spawn(self._flush_for_ever)

    def stop(self) -> None:
        """Hands on what is left, and nothing by itself after that."""
        if self._flushing is not None:
            self._flushing.kill()
        self.flush()

    def record(self, record: RequestRecord) -> None:
        """Adds a request that has ended."""
        self._lot.append(record)
        latency_s = record.latency_s
        name = f"{_METHODS.get(record.user, 'Detect')} {record.model}"
        failed = record.outcome in BAD
        self._environment.events.request.fire(
            request_type="gRPC",
            name=f"{name} (left)" if record.outcome == "left" else name,
            response_time=0.0 if latency_s is None else latency_s * 1000,
            response_length=record.response_bytes,
            response=None,
            context={},
            exception=RequestFailed(record.message or record.outcome) if failed else None,
        )

    def flush(self) -> None:
        """Hands on what is here."""
        if self._lot:
            lot, self._lot = self._lot, []
            self._hand_on(lot)

    def _flush_for_ever(self) -> None:
        while True:
            gevent.sleep(FLUSH_S)
            self.flush()
