"""A version's life, and the handles that keep it alive."""

from __future__ import annotations

from typing import Any

import pytest

from pasarela_server.errors import BackendMissing, ModelUnavailable
from pasarela_server.repository.servable import State, VersionSlot

PATIENCE_S = 30.0


class FakeServable:
    """Remembers what is done to it."""

    config: Any = None
    version = 1
    impediment = ""

    def __init__(self, error: Exception | None = None) -> None:
        self.done: list[str] = []
        self.error = error

    async def infer(self, request: Any) -> Any:
        raise NotImplementedError

    async def detect(self, image: Any, overrides: Any = None, deadline_monotonic_s: float | None = None) -> Any:
        raise NotImplementedError

    def stop(self, *, drain: bool) -> None:
        self.done.append(f"stop drain={drain}")

    def close(self) -> None:
        self.done.append("close")
        if self.error:
            raise self.error


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def slot(changes: list[str]) -> VersionSlot:
    return VersionSlot("m", 1, changes.append)


def test_a_version_that_is_loading_cannot_be_used(slot: VersionSlot) -> None:
    assert slot.status.state is State.LOADING
    with pytest.raises(ModelUnavailable, match="model 'm' version 1 is not ready: it is being loaded"):
        slot.acquire()


def test_a_published_version_is_handed_out(slot: VersionSlot, changes: list[str]) -> None:
    servable = FakeServable()
    slot.publish(servable)

    with slot.acquire() as handle:
        assert handle.servable is servable
    assert slot.status.state is State.READY
    assert changes == ["m"]


@pytest.mark.parametrize(("missing", "kind"), [(False, ModelUnavailable), (True, BackendMissing)])
def test_a_failed_version_says_why(slot: VersionSlot, missing: bool, kind: type[Exception]) -> None:
    slot.fail("model.onnx is empty", backend_missing=missing)

    assert slot.status.state is State.UNAVAILABLE
    with pytest.raises(ModelUnavailable, match=r"not ready: model\.onnx is empty") as raised:
        slot.acquire()
    assert type(raised.value) is kind


def test_a_version_without_handles_is_closed_when_it_is_retired(slot: VersionSlot, changes: list[str]) -> None:
    servable = FakeServable()
    slot.publish(servable)
    slot.acquire().release()

    slot.retire()

    assert servable.done == ["close"]
    assert slot.status.state is State.UNAVAILABLE
    assert slot.wait_closed(0)
    assert changes == ["m", "m", "m"]


def test_a_version_in_use_is_closed_when_its_last_handle_is_gone(slot: VersionSlot) -> None:
    servable = FakeServable()
    slot.publish(servable)
    first, second = slot.acquire(), slot.acquire()

    slot.retire()
    first.release()
    first.release()

    assert slot.status.state is State.UNLOADING
    assert servable.done == []
    with pytest.raises(ModelUnavailable, match="it is being unloaded"):
        slot.acquire()

    second.release()
    assert slot.wait_closed(PATIENCE_S)
    assert servable.done == ["close"]


def test_handles_are_released_when_a_request_fails(slot: VersionSlot) -> None:
    servable = FakeServable()
    slot.publish(servable)
    with pytest.raises(ZeroDivisionError), slot.acquire():
        raise ZeroDivisionError

    slot.retire()

    assert servable.done == ["close"]


def test_an_abandoned_version_fails_what_waits_and_stays_until_its_handles_are_back(slot: VersionSlot) -> None:
    servable = FakeServable()
    slot.publish(servable)
    handle = slot.acquire()
    slot.retire()

    assert not slot.wait_closed(0)
    slot.abandon()
    assert servable.done == ["stop drain=False"]

    handle.release()
    assert slot.wait_closed(PATIENCE_S)
    assert servable.done == ["stop drain=False", "close"]


def test_an_error_while_closing_is_logged_and_ends_it(slot: VersionSlot, caplog: pytest.LogCaptureFixture) -> None:
    slot.publish(FakeServable(RuntimeError("stuck")))

    slot.retire()

    assert slot.wait_closed(0)
    assert "model m version 1: closing it failed" in caplog.text


def test_a_failed_version_needs_no_closing(slot: VersionSlot) -> None:
    slot.fail("broken")

    slot.retire()

    assert slot.wait_closed(0)
    assert slot.status.reason == "broken"
