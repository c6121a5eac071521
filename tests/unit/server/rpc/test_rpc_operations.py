"""Operations of gRPC's outlive the tasks that wait for them."""

import asyncio
import contextlib

import pytest

from pasarela_server.rpc.operations import read_to_the_end, to_its_end


class Operation:
    """One that takes as long as it is told to, and notes how it ended."""

    def __init__(self):
        self.may_end = asyncio.Event()
        self.ended = asyncio.Event()
        self.cancelled = False

    async def run(self):
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.ended.set()
        return b"message"


async def cancel(task):
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_who_waits_is_cancelled_at_once_and_what_it_waits_for_is_not():
    operation = Operation()
    await cancel(asyncio.create_task(to_its_end(operation.run())))
    assert not operation.ended.is_set()
    operation.may_end.set()
    await operation.ended.wait()
    assert not operation.cancelled


async def test_what_fails_when_nobody_waits_is_not_complained_about(caplog):
    operation = Operation()

    async def failing():
        await operation.run()
        raise ConnectionError("the client has gone")

    await cancel(asyncio.create_task(to_its_end(failing())))
    operation.may_end.set()
    await operation.ended.wait()
    await asyncio.sleep(0)
    assert not caplog.records


async def test_a_stream_is_read_in_order_to_its_end():
    async def messages():
        for number in range(3):
            yield number

    assert [each async for each in read_to_the_end(messages())] == [0, 1, 2]


async def test_what_breaks_a_stream_reaches_its_reader():
    async def messages():
        yield 1
        raise ValueError("no message")

    with pytest.raises(ValueError, match="no message"):
        [each async for each in read_to_the_end(messages())]


async def test_a_reader_that_is_cancelled_leaves_the_operation_alone():
    operation = Operation()

    async def messages():
        yield await operation.run()

    async def read():
        async for _ in read_to_the_end(messages()):
            pass

    await cancel(asyncio.create_task(read()))
    assert not operation.cancelled
    operation.may_end.set()
    await operation.ended.wait()
    assert not operation.cancelled
