# Generated from ../aio/ by client/generate_sync.py (make client-sync): change that, not this.
"""Where those who carry out a stream meet."""

from __future__ import annotations

from types import TracebackType

from pasarela_client.sync.concurrency import Condition


class Meeting:
    """One lock around the window of a stream, and a place to wait for each who waits: nobody is woken for nothing.

    ::

        with meeting:
            ...
            meeting.work.notify_all()
    """

    def __init__(self) -> None:
        self.results = Condition()
        """Where the user waits for a result that is due."""
        self.room = Condition(self.results)
        """Where the source waits until a frame may be pulled."""
        self.work = Condition(self.results)
        """Where requests wait for a frame that may be sent, and calls for their next try."""

    def __enter__(self) -> None:
        self.results.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.results.__exit__(kind, error, trace)

    def notify_all(self) -> None:
        """Wakes all who wait; the caller is inside."""
        self.results.notify_all()
        self.room.notify_all()
        self.work.notify_all()

    def wake(self) -> None:
        """Wakes threads from anywhere, as garbage collection is; tasks are cancelled instead."""
        self.results.wake()
        self.room.wake()
        self.work.wake()
