"""A load generator in a process of its own: `python -m loadtest.benchmark.clients IMAGE…`.

Its messages are serialised beforehand, and every answer is parsed. What it took of the CPU stands beside each figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import grpc

from loadtest.benchmark.arrivals import Fate, Outcome, Pattern, account, due_times
from loadtest.benchmark.child import serve
from loadtest.benchmark.messages import Traffic, traffic
from loadtest.benchmark.spread import percentile
from pasarela_proto import inference_pb2, inference_pb2_grpc

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_OWN_CONNECTION = (*_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
_OPEN_CONNECTIONS = 16
_WARM_S = 0.3
_REFUSALS = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})


def one_client(url: str, what: Traffic, seconds: float) -> Mapping[str, Any]:
    """One client that waits for each answer before it asks again."""
    taken: list[float] = []
    with grpc.insecure_channel(url, options=_OPTIONS) as channel:
        call: Any = channel.unary_unary(what.method, response_deserializer=what.parse)
        warm_until = time.perf_counter() + _WARM_S
        for message in what.messages:
            call(message)
        while time.perf_counter() < warm_until:
            call(what.messages[0])
        begun, busy = time.perf_counter(), time.process_time()
        end, position = begun + seconds, 0
        while (sent := time.perf_counter()) < end or not taken:
            call(what.messages[position % len(what.messages)])
            taken.append((time.perf_counter() - sent) * 1e3)
            position += 1
        elapsed, cores = time.perf_counter() - begun, time.process_time() - busy
    return _closed(taken, elapsed, cores)


async def many_clients(
    url: str, what: Traffic, clients: int, seconds: float, requests: int | None = None
) -> Mapping[str, Any]:
    """Closed loop: each client sends its next request when the answer to the last has come.

    Answers are counted over a window that begins when every client has had one, and ends while all still send.

    Args:
        url: host:port.
        what: The requests.
        clients: How many.
        seconds: Length of the window.
        requests: End after so many answers instead.
    """
    taken: list[float] = []
    stop, warm, warmed = asyncio.Event(), asyncio.Event(), 0
    async with _connections(url, what, clients) as calls:

        async def client(number: int) -> None:
            nonlocal warmed
            position, call = number, calls[number]
            await call(what.messages[position % len(what.messages)])
            warmed += 1
            if warmed == clients:
                warm.set()
            while not stop.is_set():
                position += clients
                sent = time.perf_counter()
                await call(what.messages[position % len(what.messages)])
                taken.append((time.perf_counter() - sent) * 1e3)
                if requests is not None and len(taken) >= requests:
                    stop.set()

        tasks = [asyncio.create_task(client(number)) for number in range(clients)]
        await _first_of(asyncio.create_task(warm.wait()), *tasks)
        if requests is None:
            await asyncio.sleep(_WARM_S)
            taken.clear()
        begun, busy = time.perf_counter(), time.process_time()
        if requests is None:
            await _first_of(asyncio.create_task(asyncio.sleep(seconds)), *tasks)
            while not taken:
                await _first_of(asyncio.create_task(asyncio.sleep(seconds)), *tasks)
            stop.set()
        await _first_of(asyncio.create_task(stop.wait()), *tasks)
        elapsed, cores = time.perf_counter() - begun, time.process_time() - busy
        answers = list(taken)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _closed(answers, elapsed, cores)


async def open_arrivals(
    url: str, what: Traffic, rate: float, seconds: float, pattern: Pattern, deadline_ms: float
) -> Mapping[str, Any]:
    """Sends each request when it is due, however many are under way, and says how all of them fared."""
    outcomes: list[Outcome] = []
    lags_ms: list[float] = []
    async with _connections(url, what, _OPEN_CONNECTIONS) as calls:
        await asyncio.gather(*(call(what.messages[number % len(what.messages)]) for number, call in enumerate(calls)))
        begun, busy = time.perf_counter(), time.process_time()

        async def request(number: int, due: float) -> None:
            lag = time.perf_counter() - begun - due
            lags_ms.append(lag * 1e3)
            fate: Fate = "answered"
            try:
                call = calls[number % len(calls)]
                await call(what.messages[number % len(what.messages)], timeout=max(0.0, deadline_ms / 1e3 - lag))
            except grpc.aio.AioRpcError as error:
                fate = _fate(error.code(), (time.perf_counter() - begun - due) * 1e3, deadline_ms)
            outcomes.append(Outcome(fate, due, (time.perf_counter() - begun - due) * 1e3))

        async with asyncio.TaskGroup() as group:
            for number, due in enumerate(due_times(rate, seconds, pattern)):
                wait = begun + due - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                group.create_task(request(number, due))
        elapsed, cores = time.perf_counter() - begun, time.process_time() - busy
    fares = account(outcomes, seconds, deadline_ms)
    return {
        **{name: getattr(fares, name) for name in fares.__slots__},
        "longest_lag_ms": max(lags_ms, default=0.0),
        "client_cores": cores / elapsed,
    }


def _fate(code: grpc.StatusCode, elapsed_ms: float, deadline_ms: float) -> Fate:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        # The server may give a request up before its time; only then has its client learnt it early.
        return "expired" if elapsed_ms >= deadline_ms else "refused"
    return "refused" if code in _REFUSALS else "failed"


@contextlib.asynccontextmanager
async def _connections(url: str, what: Traffic, count: int) -> AsyncIterator[list[Any]]:
    """So many clients of a server, each on a connection of its own."""
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(url, options=_OWN_CONNECTION))
            for _ in range(count)
        ]
        yield [channel.unary_unary(what.method, response_deserializer=what.parse) for channel in channels]


async def _first_of(wanted: asyncio.Task[Any], *tasks: asyncio.Task[Any]) -> None:
    """Waits for a task, or raises what one of the others ended with."""
    await asyncio.wait((wanted, *tasks), return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
    if not wanted.done():
        await wanted


def _closed(taken: list[float], elapsed: float, cores: float) -> Mapping[str, Any]:
    return {
        "per_second": len(taken) / elapsed,
        "p50_ms": percentile(taken, 0.5),
        "p99_ms": percentile(taken, 0.99),
        "client_cores": cores / elapsed,
    }


@contextlib.contextmanager
def _regions(url: str, input_bytes: int, output_bytes: int) -> Iterator[tuple[str, str]]:
    """Input and output in the system's shared memory, registered with the server."""
    with contextlib.ExitStack() as undo:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(undo.enter_context(grpc.insecure_channel(url)))
        names: list[str] = []
        for size in (input_bytes, output_bytes):
            memory = shared_memory.SharedMemory(create=True, size=size)
            undo.callback(memory.unlink)
            undo.callback(memory.close)
            name = memory.name.lstrip("/")
            stub.SystemSharedMemoryRegister(
                inference_pb2.SystemSharedMemoryRegisterRequest(name=name, key=f"/{name}", byte_size=size)
            )
            undo.callback(
                stub.SystemSharedMemoryUnregister, inference_pb2.SystemSharedMemoryUnregisterRequest(name=name)
            )
            names.append(name)
        yield names[0], names[1]


def main(arguments: list[str]) -> int:
    """Obeys."""
    images = [Path(path).read_bytes() for path in arguments]

    def build(request: Mapping[str, Any]) -> Traffic:
        return traffic(**{"images": images, **request})

    def closed(
        url: str, request: dict[str, Any], clients: int, seconds: float, requests: int | None = None
    ) -> Mapping[str, Any]:
        if clients == 1 and requests is None:
            return one_client(url, build(request), seconds)
        return asyncio.run(many_clients(url, build(request), clients, seconds, requests))

    def closed_shared(url: str, request: dict[str, Any], clients: int, seconds: float) -> Mapping[str, Any]:
        input_bytes = 4
        for side in request["shape"]:
            input_bytes *= side
        with _regions(url, input_bytes, request["output_bytes"]) as regions:
            return closed(url, {**request, "regions": regions}, clients, seconds)

    def opened(
        url: str, request: dict[str, Any], rate: float, seconds: float, pattern: Pattern, deadline_ms: float
    ) -> Mapping[str, Any]:
        return asyncio.run(open_arrivals(url, build(request), rate, seconds, pattern, deadline_ms))

    return serve({"closed": closed, "closed_shared": closed_shared, "open": opened})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
