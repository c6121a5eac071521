"""The link over a real socket: order, messages from many threads, and what happens when the other side is mad or gone."""

import asyncio
import socket
import threading

import pytest

from pasarela_server.frontends.channel import Channel
from pasarela_server.frontends.link import Cancel, Idle, Noted
from pasarela_server.processes.framing import BrokenLink


class End:
    """One end, and what has come to it."""

    def __init__(self, enough=1):
        self.messages = []
        self.enough = asyncio.Event()
        self.lost = asyncio.Event()
        self._wanted = enough
        self.channel = Channel(self._received, self.lost.set)

    def _received(self, message):
        self.messages.append(message)
        if len(self.messages) >= self._wanted:
            self.enough.set()


@pytest.fixture
async def sockets():
    pair = socket.socketpair()
    yield pair
    for each in pair:
        each.close()


async def test_messages_from_many_threads_arrive_each_thread_s_in_order(sockets):
    sender, receiver = End(), End(enough=4 * 500)
    await sender.channel.connect(sockets[0])
    await receiver.channel.connect(sockets[1])

    def send(thread):
        for number in range(500):
            sender.channel.post(Cancel(thread * 1000 + number))

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    await receiver.enough.wait()
    for thread in threads:
        thread.join()

    for thread in range(4):
        numbers = [each.sequence for each in receiver.messages if each.sequence // 1000 == thread]
        assert numbers == [thread * 1000 + number for number in range(500)]
    sender.channel.close()
    await receiver.lost.wait()


async def test_what_was_posted_before_the_close_arrives(sockets):
    sender, receiver = End(), End(enough=2)
    await sender.channel.connect(sockets[0])
    await receiver.channel.connect(sockets[1])
    sender.channel.post(Idle())
    sender.channel.post(Noted(7))
    sender.channel.close()
    await receiver.lost.wait()
    assert receiver.messages == [Idle(), Noted(7)]
    await sender.lost.wait()


async def test_garbage_ends_the_link_and_is_told(sockets, caplog):
    receiver = End()
    await receiver.channel.connect(sockets[1])
    sockets[0].sendall(b"\0\0\0\0\xff")
    await receiver.lost.wait()
    assert receiver.messages == []
    assert "a link between the server's processes is broken: expected a kind of message" in caplog.text


async def test_the_other_side_going_is_told(sockets):
    receiver = End()
    await receiver.channel.connect(sockets[1])
    sockets[0].close()
    await receiver.lost.wait()


async def test_an_end_that_cannot_be_set_up_is_told_to_whoever_sets_it_up(sockets, monkeypatch):
    """Event loops go on as if it had been, and never read from it."""
    loop = asyncio.get_running_loop()
    told = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

    def refuse(channel, transport):
        raise RuntimeError("not this one")

    monkeypatch.setattr(Channel, "connection_made", refuse)
    receiver = End()
    with pytest.raises(BrokenLink, match="could not be set up; see the log"):
        await receiver.channel.connect(sockets[1])
    assert list(map(str, told)) == ["not this one"]
    sockets[0].setblocking(False)
    assert await loop.sock_recv(sockets[0], 1) == b"", "the other side hears of it"
