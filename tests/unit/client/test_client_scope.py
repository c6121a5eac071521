from __future__ import annotations

import threading

from pasarela_client.bulk import BulkWindow, Pace
from pasarela_client.scope import Scope


class Collects:
    """A call at which garbage collection comes by while the scope takes it."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.cancelled = False

    def __hash__(self) -> int:
        if not self._scope.over:
            self._scope.give_up()
        return 1

    def cancel(self) -> None:
        self.cancelled = True


def ends(function: object, *arguments: object) -> bool:
    thread = threading.Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
    thread.start()
    thread.join(10)
    return not thread.is_alive()


def test_a_call_that_begins_too_late_is_cancelled() -> None:
    scope = Scope()
    scope.give_up()
    late = Collects(scope)
    scope.hold(late)
    assert late.cancelled


def test_garbage_collection_may_give_up_while_a_call_is_taken() -> None:
    """A finalizer runs on whatever thread allocates, also on one that holds the lock."""
    scope = Scope()
    assert ends(scope.hold, Collects(scope))
    assert scope.over


def test_garbage_collection_may_close_while_a_result_is_put_down() -> None:
    class Position(int):
        def __hash__(self) -> int:
            window.close()
            return 0

    window = BulkWindow[str](Pace(1, 1), ordered=True)
    window.pull()
    assert ends(lambda: window.finish(Position(0), "found", answered=True))
    assert window.closed
