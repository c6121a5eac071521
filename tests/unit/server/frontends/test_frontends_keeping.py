"""Fronts are started again, whatever ended them; what keeps one from ever starting is told."""

import asyncio
import sys
from types import SimpleNamespace

import pytest

from pasarela_server.frontends import supervise
from pasarela_server.frontends.link import CannotListen, Ready, encode
from pasarela_server.frontends.supervise import FrontOptions, Fronts, FrontsUnavailable


class Process:
    """A front's process that ends when the test says so."""

    def __init__(self, number):
        self.pid = number
        self.code = asyncio.get_running_loop().create_future()

    async def wait(self):
        return await asyncio.shield(self.code)

    def kill(self):
        self.end(-9)

    def end(self, code):
        if not self.code.done():
            self.code.set_result(code)


class Keeping:
    """Fronts whose processes are not there; each start that is tried is in `tries`."""

    def __init__(self, monkeypatch, count=1):
        self.tries = asyncio.Queue()
        self.lacks = []
        """What the system says instead of starting a process, the next one last."""
        reception = SimpleNamespace(
            start=lambda: None,
            open=lambda post, memory: SimpleNamespace(received=lambda message: None, lost=lambda: None),
        )
        monkeypatch.setattr(supervise, "RestartDelay", lambda: SimpleNamespace(after=lambda lived_s: 0.0))
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self._start)
        self.fronts = Fronts(FrontOptions(count, "127.0.0.1", 0, 1024, "unavailable", 1, arena_bytes=4096), reception)
        self.command = ()
        self._processes = []

    async def _start(self, *command, pass_fds, **_):
        self.command = command
        if self.lacks:
            raise self.lacks.pop()
        process = Process(len(self._processes) + 1)
        self._processes.append(process)
        link = supervise.socket.socket(fileno=supervise.os.dup(pass_fds[0]))
        process.code.add_done_callback(lambda _: link.close())
        process.say = lambda message: link.sendall(encode(message))
        self.tries.put_nowait(process)
        return process

    async def close(self):
        for process in self._processes:
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
    with pytest.raises(FrontsUnavailable, match="ended before it listened"):
        await starting


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        pytest.param(CannotListen("the port is taken"), "the port is taken", id="it says why"),
        pytest.param(None, "ended before it listened", id="it ends by itself"),
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
