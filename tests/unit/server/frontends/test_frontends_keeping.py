"""Fronts are started again, whatever ended them; what keeps one from ever starting is told."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pasarela_server.frontends import supervise
from pasarela_server.frontends.link import CannotListen, Frames, Idle, LogChanged, Quit, Ready, Stop, encode
from pasarela_server.frontends.supervise import FrontOptions, Fronts, FrontsUnavailable
from pasarela_server.observability.logging import log_settings
from pasarela_server.processes.framing import BrokenLink

LIMIT_S = 60.0


class Process:
    """A front's process that ends when the test says so."""

    link: socket.socket
    say: Callable[[Any], None]
    hears: Callable[[], list[Any]]

    def __init__(self, number, *, dies_slowly=False):
        self.pid = number
        self._dies_slowly = dies_slowly
        self.code = asyncio.get_running_loop().create_future()

    async def wait(self):
        return await asyncio.shield(self.code)

    def kill(self):
        if self.code.done():
            raise ProcessLookupError  # as asyncio does
        if not self._dies_slowly:
            self.end(-9)

    def end(self, code):
        if not self.code.done():
            self.code.set_result(code)


class Clock:
    """Sleeps as long as the test wants: no time at all, but for the waits that the test ends itself."""

    def __init__(self):
        self.endless = {}
        """What ends the waits of so many seconds."""

    def hold(self, seconds):
        """Waits of so many seconds go on from now on."""
        self.endless[seconds] = asyncio.Event()

    def over(self, seconds):
        """They are over."""
        self.endless[seconds].set()

    async def sleep(self, seconds):
        await (self.endless[seconds].wait() if seconds in self.endless else asyncio.sleep(0))


async def settle():
    """Lets everything happen that waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


class Keeping:
    """Fronts whose processes are not there; each start that is tried is in `tries`."""

    def __init__(self, monkeypatch, count=1):
        self.tries = asyncio.Queue()
        self.lacks = []
        """What the system says instead of starting a process, the next one last."""
        self.die_slowly = False
        """Whether processes that are killed end when the test says so."""
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.clock = Clock()
        for seconds in (LIMIT_S, supervise._LAST_WORDS_S, supervise._UNLINKED_S):
            self.clock.hold(seconds)
        self.reception = SimpleNamespace(
            start=lambda: None,
            open=lambda post, memory: SimpleNamespace(received=lambda message: None, lost=lambda: None),
        )
        monkeypatch.setattr(supervise, "RestartDelay", lambda: SimpleNamespace(after=lambda lived_s: 0.0))
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self._start)
        options = FrontOptions(count, "127.0.0.1", 0, 1024, "unavailable", 1, arena_bytes=4096, set_up_s=LIMIT_S)
        self.fronts = Fronts(options, self.reception, self.clock.sleep)
        self.command = ()
        self.processes = []

    async def _start(self, *command, pass_fds, **_):
        self.command = command
        await self.may_start.wait()
        if self.lacks:
            raise self.lacks.pop()
        process = Process(len(self.processes) + 1, dies_slowly=self.die_slowly)
        self.processes.append(process)
        process.link = socket.socket(fileno=os.dup(pass_fds[0]))
        process.code.add_done_callback(lambda _: process.link.close())
        process.say = lambda message: process.link.sendall(encode(message))
        process.hears = lambda: list(Frames().feed(process.link.recv(2**16)))
        self.tries.put_nowait(process)
        return process

    async def close(self):
        for process in self.processes:
            process.end(0)
        await self.fronts.close(0.0)


@pytest.fixture
async def keeping(monkeypatch):
    made = []

    def make(**settings):
        made.append(Keeping(monkeypatch, **settings))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def test_one_that_is_killed_before_it_listens_is_started_again(keeping):
    """Another may answer clients by then, and they would lose the whole server."""
    kept = keeping(count=2)
    starting = asyncio.create_task(kept.fronts.start())
    first, second = await kept.tries.get(), await kept.tries.get()
    first.say(Ready(1))
    second.kill()
    third = await kept.tries.get()
    assert not kept.fronts.listening
    third.say(Ready(1))
    await starting
    assert kept.fronts.listening


async def test_one_that_is_killed_each_time_before_it_listens_ends_the_start(keeping):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    for _ in range(3):
        (await kept.tries.get()).kill()
    with pytest.raises(FrontsUnavailable, match=r"\(process 3\) ended with code -9 before it listened"):
        await starting


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        pytest.param(CannotListen("the port is taken"), "the port is taken", id="it says why"),
        pytest.param(None, "ended with code 1 before it listened", id="it ends by itself"),
    ],
)
async def test_one_that_cannot_listen_ends_the_start_at_once(keeping, says, reason):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    if says is not None:
        process.say(says)
        await asyncio.sleep(0)
    process.end(1)
    with pytest.raises(FrontsUnavailable, match=reason):
        await starting
    assert kept.tries.empty()


async def test_a_system_without_room_for_a_process_ends_the_start(keeping):
    kept = keeping()
    kept.lacks = [BlockingIOError("no more processes")]
    with pytest.raises(FrontsUnavailable, match=r"front 0 cannot be started .*no more processes"):
        await kept.fronts.start()


async def test_a_system_without_room_for_a_process_is_asked_again_later(keeping, caplog):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    process.say(Ready(1))
    await starting
    kept.lacks = [RuntimeError("can't start new thread"), BlockingIOError("no more processes")]
    process.kill()
    again = await kept.tries.get()
    assert again.pid == 2
    assert "front 0 (process 1) ended with code -9; it is started again in 0 s" in caplog.text
    assert "front 0 cannot be started (BlockingIOError: no more processes); it is started again" in caplog.text
    assert kept.lacks == []


async def test_one_that_listens_while_all_are_being_ended_does_no_harm(keeping, caplog):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    await asyncio.sleep(0)
    closing = asyncio.create_task(kept.fronts.close(0.0))
    await asyncio.sleep(0)
    process.say(Ready(1))
    await asyncio.sleep(0.01)
    process.end(0)
    await closing
    starting.cancel()
    assert caplog.text == ""


async def test_no_module_of_the_working_directory_gets_into_a_front(keeping):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    (await kept.tries.get()).say(Ready(1))
    await starting
    assert kept.command == (sys.executable, "-P", "-m", "pasarela_server.frontends")


async def test_one_that_never_listens_is_ended_when_its_time_is_over_and_ends_the_start(keeping):
    kept = keeping(count=2)
    starting = asyncio.create_task(kept.fronts.start())
    first, _ = await kept.tries.get(), await kept.tries.get()
    first.say(Ready(1))
    await settle()
    kept.clock.over(supervise._LAST_WORDS_S)  # the other one, which is told to end, takes too long
    kept.clock.over(LIMIT_S)
    with pytest.raises(FrontsUnavailable, match=r"front 1 \(process 2\) did not listen within 60 s and was ended"):
        await starting
    assert [each.code.result() for each in kept.processes] == [-9, -9]
    assert kept.tries.empty()


async def test_one_that_has_listened_may_take_as_long_as_it_likes(keeping):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    process.say(Ready(1))
    await starting
    kept.clock.over(LIMIT_S)
    await settle()
    assert not process.code.done()


async def test_one_that_is_started_again_and_never_listens_is_started_again_in_its_turn(keeping, caplog):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    process.say(Ready(1))
    await starting
    process.kill()
    silent = await kept.tries.get()
    await settle()
    kept.clock.over(LIMIT_S)
    assert (await kept.tries.get()).pid > silent.pid
    assert silent.code.result() == -9
    assert "front 0 (process 2) did not listen within 60 s and was ended; it is started again in 0 s" in caplog.text


async def test_half_a_first_message_is_none(keeping):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    process.link.sendall(encode(Ready(1))[:-1])
    await settle()
    assert not starting.done()
    kept.clock.over(LIMIT_S)
    with pytest.raises(FrontsUnavailable, match="did not listen"):
        await starting


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        pytest.param(lambda link: link.shutdown(socket.SHUT_RDWR), r"had no link .*before it listened", id="closes it"),
        pytest.param(lambda link: link.sendall(b"\0\0\0\0\xff"), r"had no link .*before it listened", id="says what is none"),
        pytest.param(lambda link: link.sendall(encode(CannotListen("no port"))), "^no port$", id="says why it cannot"),
    ],
)  # fmt: skip
async def test_one_that_goes_on_without_a_link_is_ended_before_its_time_is_over(keeping, breaks, reason):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    breaks(process.link)
    kept.clock.over(supervise._UNLINKED_S)
    with pytest.raises(FrontsUnavailable, match=reason):
        await starting
    assert process.code.result() == -9


async def test_one_that_listened_and_goes_on_without_a_link_is_ended_and_started_again(keeping, caplog):
    """Clients reach it, and nobody behind it."""
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    process.say(Ready(1))
    await starting
    process.link.shutdown(socket.SHUT_RDWR)
    kept.clock.over(supervise._UNLINKED_S)
    await kept.tries.get()
    assert process.code.result() == -9
    assert "front 0 (process 1) had no link to the server any more, went on, and was ended; it is" in caplog.text


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("launch.Channel.connect", id="its end of the link"),
        pytest.param("launch.SharedMemory", id="the memory"),
        pytest.param("launch.FrontProcess", id="what holds them"),
    ],
)
async def test_where_the_backs_side_cannot_be_built_no_process_stays(keeping, monkeypatch, what):
    def refuse(*_, **__):
        raise BrokenLink("no room")

    monkeypatch.setattr(f"pasarela_server.frontends.{what}", refuse)
    kept = keeping()
    with pytest.raises(FrontsUnavailable, match=r"^front 0 cannot be started \(BrokenLink: no room\)$"):
        await kept.fronts.start()
    assert [each.code.result() for each in kept.processes] == [-9]


async def test_a_desk_that_cannot_be_built_later_costs_one_process_and_is_built_again(keeping, caplog):
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    first = await kept.tries.get()
    first.say(Ready(1))
    await starting
    build = kept.reception.open

    def refuse_once(*_):
        kept.reception.open = build
        raise MemoryError("no room")

    kept.reception.open = refuse_once
    first.kill()
    second, third = await kept.tries.get(), await kept.tries.get()
    assert second.code.result() == -9
    assert not third.code.done()
    assert "front 0 cannot be started (MemoryError: no room); it is started again" in caplog.text


async def test_a_stop_waits_for_the_requests_of_those_that_listen(keeping):
    kept = keeping(count=2)
    starting = asyncio.create_task(kept.fronts.start())
    first, second = await kept.tries.get(), await kept.tries.get()
    first.say(Ready(1))
    await settle()
    starting.cancel()  # as the server does at a signal
    kept.fronts.stop()
    idle = asyncio.create_task(kept.fronts.wait_idle())
    await settle()
    assert not idle.done()
    first.say(Idle())
    await idle
    closing = asyncio.create_task(kept.fronts.close(0.0))
    await second.wait()
    assert second.code.result() == -9, "it has nothing to finish"
    assert first.hears() == [Stop(), Quit(0.0)]
    assert not first.code.done()
    first.end(0)
    await closing


async def test_a_process_that_the_system_is_just_starting_does_not_outlive_the_end(keeping):
    kept = keeping()
    kept.may_start.clear()
    starting = asyncio.create_task(kept.fronts.start())
    await settle()
    starting.cancel()
    closing = asyncio.create_task(kept.fronts.close(0.0))
    await settle()
    assert not closing.done()
    kept.may_start.set()
    await closing
    assert [each.code.result() for each in kept.processes] == [-9]


async def test_a_process_that_is_being_killed_does_not_outlive_the_end(keeping):
    kept = keeping()
    kept.die_slowly = True
    kept.reception.open = None  # no desk, no front
    starting = asyncio.create_task(kept.fronts.start())
    process = await kept.tries.get()
    await settle()
    starting.cancel()
    closing = asyncio.create_task(kept.fronts.close(0.0))
    await settle()
    assert not closing.done()
    process.end(-9)
    await closing


async def test_what_is_said_while_the_system_starts_a_process_reaches_it(keeping):
    kept = keeping()
    kept.may_start.clear()
    starting = asyncio.create_task(kept.fronts.start())
    await settle()
    louder = log_settings(2, "json")
    kept.fronts.change_log(louder)
    kept.fronts.stop()
    kept.may_start.set()
    process = await kept.tries.get()
    await settle()
    assert process.hears() == [LogChanged(louder.to_text()), Stop()]
    process.say(Ready(1))
    await starting


async def test_a_system_without_room_for_a_thread_ends_the_start(keeping):
    kept = keeping()

    def refuse():
        raise RuntimeError("can't start new thread")

    kept.reception.start = refuse
    with pytest.raises(FrontsUnavailable, match=r"no thread for what serves the fronts \(can't start new thread\)"):
        await kept.fronts.start()
    assert kept.processes == []
    with socket.create_server(("127.0.0.1", kept.fronts.port)):
        pass  # the port was given back


async def test_a_fault_in_what_keeps_a_front_ends_the_start(keeping, monkeypatch, caplog):
    """Else whoever waits for the front would wait for ever."""

    def fail(*_):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(supervise, "refusal", fail)
    kept = keeping()
    starting = asyncio.create_task(kept.fronts.start())
    (await kept.tries.get()).end(1)
    with pytest.raises(FrontsUnavailable, match=r"a front cannot be kept \(ZeroDivisionError: a fault\)"):
        await starting
    assert "ZeroDivisionError" in caplog.text
