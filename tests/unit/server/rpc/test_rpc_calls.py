"""The door: counting open requests, refusing new ones."""

import asyncio

import pytest

from pasarela_server.errors import ServerStopping
from pasarela_server.rpc.calls import OpenCalls


async def test_idle_when_the_last_request_has_its_answer():
    calls = OpenCalls()
    await calls.wait_idle()
    with calls.admitted():
        with calls.admitted():
            assert len(calls) == 2
        idle = asyncio.ensure_future(calls.wait_idle())
        await asyncio.sleep(0)
        assert not idle.done()
    await idle
    assert len(calls) == 0


async def test_a_failed_request_is_not_open_any_more():
    calls = OpenCalls()
    with pytest.raises(KeyError), calls.admitted():
        raise KeyError
    await calls.wait_idle()


async def test_stopping_refuses_new_requests_and_keeps_open_ones():
    calls = OpenCalls()
    with calls.admitted():
        calls.stop()
        await calls.wait_stopping()
        with pytest.raises(ServerStopping), calls.admitted():
            raise AssertionError("admitted")
        assert calls.stopping
        assert len(calls) == 1


def test_streams_are_counted_while_they_are_open():
    told = []
    calls = OpenCalls(lambda method, difference: told.append((method, difference)))
    with calls.streaming("s/Stream"):
        assert (len(calls), told) == (1, [("s/Stream", 1)])
    with pytest.raises(KeyError), calls.streaming("s/Other"):
        raise KeyError
    assert (len(calls), told) == (0, [("s/Stream", 1), ("s/Stream", -1), ("s/Other", 1), ("s/Other", -1)])
    calls.stop()
    with pytest.raises(ServerStopping), calls.streaming("s/Stream"):
        pass
    assert len(told) == 4
