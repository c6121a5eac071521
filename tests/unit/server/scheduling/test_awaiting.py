"""Futures of threads, awaited on an event loop."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.scheduling.awaiting import Answers


async def test_a_result_that_a_thread_gives():
    future = Future()
    waiting = asyncio.ensure_future(Answers().wait(future))
    await asyncio.to_thread(future.set_result, 7)
    assert await waiting == 7


async def test_a_result_that_is_there_already():
    future = Future()
    future.set_result(7)
    assert await Answers().wait(future) == 7


async def test_a_failure_is_raised():
    future = Future()
    waiting = asyncio.ensure_future(Answers().wait(future))
    await asyncio.to_thread(future.set_exception, KeyError("x"))
    with pytest.raises(KeyError, match="x"):
        await waiting


async def test_a_task_that_is_cancelled_cancels_the_future():
    future = Future()
    waiting = asyncio.ensure_future(Answers().wait(future))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert future.cancelled()


async def test_a_future_that_is_cancelled_cancels_the_task():
    future = Future()
    waiting = asyncio.ensure_future(Answers().wait(future))
    await asyncio.sleep(0)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_answer_to_a_task_that_has_gone_is_dropped():
    gone, other = Future(), Future()
    answers = Answers()
    waiting = asyncio.ensure_future(answers.wait(gone))
    await asyncio.sleep(0)
    assert gone.set_running_or_notify_cancel()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gone.set_result(1)
    other.set_result(2)
    assert await answers.wait(other) == 2


async def test_answers_that_come_together_wake_the_loop_once(monkeypatch):
    loop = asyncio.get_running_loop()
    woken = []
    wake = loop.call_soon_threadsafe
    answers = Answers()
    futures = [Future() for _ in range(20)]
    waiting = [asyncio.ensure_future(answers.wait(future)) for future in futures]
    await asyncio.sleep(0)

    def answer_all():
        for number, future in enumerate(futures):
            future.set_result(number)

    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *call: (woken.append(call), wake(*call)))
    thread = threading.Thread(target=answer_all)
    thread.start()
    thread.join()  # the loop is held up, and all answers are there when it goes on
    monkeypatch.undo()

    assert await asyncio.gather(*waiting) == list(range(20))
    assert len(woken) == 1


def test_each_event_loop_is_told_by_itself():
    answers = Answers()

    async def ask(number):
        future = Future()
        waiting = asyncio.ensure_future(answers.wait(future))
        await asyncio.to_thread(future.set_result, number)
        return await waiting

    assert [asyncio.run(ask(1)), asyncio.run(ask(2))] == [1, 2]


def test_an_answer_after_the_loop_has_ended_is_dropped(caplog):
    future = Future()

    async def ask():
        waiting = asyncio.ensure_future(Answers().wait(future))
        await asyncio.sleep(0)
        assert not waiting.done()
        future.set_running_or_notify_cancel()

    asyncio.run(ask())
    future.set_result(1)
    assert caplog.text == ""


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["answer", "fail", "cancel"]), min_size=1, max_size=40))
def test_everyone_is_told_exactly_what_became_of_his_future(fates):
    async def run():
        answers = Answers()
        futures = [Future() for _ in fates]
        waiting = [asyncio.ensure_future(answers.wait(future)) for future in futures]
        await asyncio.sleep(0)

        def end(number):
            if fates[number] == "answer":
                futures[number].set_result(number)
            elif fates[number] == "fail":
                futures[number].set_exception(KeyError(number))
            else:
                futures[number].cancel()

        with ThreadPoolExecutor(3) as pool:
            for number in range(len(fates)):
                pool.submit(end, number)
            return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)

    for number, (fate, got) in enumerate(zip(fates, asyncio.run(run()), strict=True)):
        if fate == "answer":
            assert got == number
        elif fate == "fail":
            assert isinstance(got, KeyError)
        else:
            assert isinstance(got, asyncio.CancelledError)
