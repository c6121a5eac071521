"""Where those who carry out a stream meet."""

from __future__ import annotations

from types import TracebackType

from pasarela_client.aio.concurrency import Condition


class AsyncMeeting:
    """One lock around the window of a stream, and a place to wait for each who waits: nobody is woken for nothing.

    ::

        async with meeting:
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

    async def __aenter__(self) -> None:
        await self.results.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.results.__aexit__(kind, error, trace)

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
