"""Requests of our own: from several clients, for a while, each told where its time went."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from pasarela_client.doctor.asking import AskedServer
from pasarela_client.doctor.facts import Probes, Setup
from pasarela_client.errors import InvalidRequest, PasarelaError
from pasarela_client.timings import STAGES, Timings
from pasarela_client.waiting import join
from pasarela_proto import inference_pb2 as pb

Send = Callable[[], Timings]
"""Sends one request and returns when it is answered."""
Shapes = Mapping[str, Sequence[int]]

_NUMPY: Final = {
    "BOOL": "bool", "UINT8": "uint8", "INT8": "int8", "UINT16": "uint16", "INT16": "int16", "UINT32": "uint32",
    "INT32": "int32", "UINT64": "uint64", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip
_NUMBERS: Final = (*(f"{stage}_ns" for stage in STAGES), "total_ns", "batch_size", "instance")
_NOT_WORTH_REPEATING: Final = 20
"""Failures of one client after which it stops."""


def probe(send: Send, *, clients: int, until: Callable[[], bool], sent: str) -> Probes:
    """Sends requests from several clients, each after its answer the next; at least one each.

    Args:
        send: Called by all clients' threads.
        clients: How many.
        until: Says when it is enough.
        sent: What is sent, for people.
    """
    timings: list[Timings] = []
    errors: Counter[str] = Counter()
    messages: dict[str, str] = {}
    unexpected: list[BaseException] = []
    lock = threading.Lock()

    def ask() -> None:
        failed = 0
        while True:
            try:
                told = send()
            except PasarelaError as error:
                failed += 1
                with lock:
                    errors[type(error).__name__] += 1
                    messages.setdefault(type(error).__name__, str(error))
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                unexpected.append(error)
                return
            else:
                with lock:
                    timings.append(told)
            if until() or failed >= _NOT_WORTH_REPEATING:
                return

    threads = [threading.Thread(target=ask, name="pasarela-probe", daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        join(thread)
    if unexpected:
        raise unexpected[0]
    return Probes(clients, tuple(timings), dict(errors), messages, sent)


def tensor_request(setup: Setup, version: str, shapes: Shapes) -> pb.ModelInferRequest:
    """A request of one row of zeros that asks for its timings. Pure.

    Args:
        setup: The model.
        version: As it was named.
        shapes: By input, its shape without the rows, where the model leaves it open.

    Raises:
        InvalidRequest: A shape is missing or wrong, or an input is of a type that cannot be made up.
    """
    request = pb.ModelInferRequest(model_name=setup.name, model_version=version)
    request.parameters["timings"].bool_param = True
    known = {spec.name for spec in setup.inputs}
    for name in shapes:
        if name not in known:
            raise InvalidRequest(f"'{setup.name}' has no input '{name}'; its inputs: {', '.join(sorted(known))}")
    for spec in setup.inputs:
        if spec.datatype not in _NUMPY:
            raise InvalidRequest(
                f"input '{spec.name}' of '{setup.name}' is {spec.datatype}, which cannot be made up; "
                "if it takes images: --image FILE"
            )
        free = spec.shape[1:] if setup.max_batch_size else spec.shape
        shape = tuple(shapes.get(spec.name, free))
        if len(shape) != len(free) or any(want not in (-1, got) for want, got in zip(free, shape, strict=True)):
            raise InvalidRequest(f"input '{spec.name}' has the shape {list(free)} without its rows, not {list(shape)}")
        if any(size < 1 for size in shape):
            raise InvalidRequest(
                f"input '{spec.name}' of '{setup.name}' takes several sizes, {list(free)}; name one: "
                f"--shape {spec.name}:{','.join('224' if size < 1 else str(size) for size in free)}"
            )
        whole = (1, *shape) if setup.max_batch_size else shape
        request.inputs.add(name=spec.name, datatype=spec.datatype, shape=whole)
        request.raw_input_contents.append(bytes(math.prod(whole) * np.dtype(_NUMPY[spec.datatype]).itemsize))
    return request


def tensor_sender(server: AskedServer, request: pb.ModelInferRequest) -> Send:
    """Sends a request over and over."""

    def send() -> Timings:
        begun_ns = time.monotonic_ns()
        response = server.infer(request)
        return read_timings(response.parameters, time.monotonic_ns() - begun_ns)

    return send


def read_timings(parameters: Mapping[str, pb.InferParameter], round_trip_ns: int) -> Timings:
    """The timings among a response's parameters; a server that knows none gives only the round trip. Pure."""
    told = {name: parameters[name].int64_param for name in _NUMBERS if name in parameters}
    reason = parameters["close_reason"].string_param if "close_reason" in parameters else ""
    return Timings(**told, close_reason=reason, round_trip_ns=round_trip_ns)


def any_picture() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pixels (480, 640, 3) for who has no image at hand."""
    ramp = np.arange(480 * 640 * 3, dtype=np.uint32).reshape(480, 640, 3)
    return (ramp >> 4).astype(np.uint8)
