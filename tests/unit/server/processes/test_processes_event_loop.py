"""Which event loop a server runs on."""

from __future__ import annotations

import asyncio
import sys

import pytest
import uvloop

from pasarela_server.processes.event_loop import run


async def _own_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_it_is_libuvs() -> None:
    assert isinstance(run(_own_loop()), uvloop.Loop)


def test_without_it_asyncios_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert not isinstance(run(_own_loop()), uvloop.Loop)


def test_what_is_raised_comes_out() -> None:
    async def fails() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        run(fails())
