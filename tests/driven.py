"""The client for asyncio behind the methods of the one for threads, so that one test drives either."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self


class Driven:
    """An object of `pasarela_client.aio`, whose coroutines run on an event loop on a thread of its own."""

    def __init__(self, kind: Callable[..., Any], *arguments: object, **options: object) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._driven = self._run(_built(kind, arguments, options))
        except BaseException:
            self._end()
            raise

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driven, name)
        if not callable(found):
            return found

        def call(*arguments: object, **options: object) -> Any:
            given = found(*arguments, **options)
            if hasattr(given, "__anext__"):
                return _DrivenIterator(given, self._run)
            return self._run(given) if asyncio.iscoroutine(given) else given

        return call

    def __repr__(self) -> str:
        return repr(self._driven)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop.is_closed():
            return
        try:
            self.close()
        finally:
            self._end()

    def close(self) -> None:
        self._run(self._driven.close())

    def tasks(self) -> list[str]:
        """The names of what runs on the loop."""

        async def names() -> list[str]:
            return [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]

        found: list[str] = self._run(names())
        return found

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        self._run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _DrivenIterator(Iterator[Any]):
    def __init__(self, items: Any, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._items = items
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._items, name)

    def __next__(self) -> Any:
        item = self._run(_next_or_end(self._items))
        if item is _END:
            raise StopIteration
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._run(self._items.aclose())


_END = object()


async def _next_or_end(items: Any) -> Any:
    """StopIteration does not pass through a future."""
    try:
        return await anext(items)
    except StopAsyncIteration:
        return _END


async def _built(kind: Callable[..., Any], arguments: tuple[object, ...], options: dict[str, object]) -> Any:
    return kind(*arguments, **options)
