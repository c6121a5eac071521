"""Clients that ask all the time, each in its own way, and compare every answer with the one that is right."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import numpy as np

from pasarela_client import Connection, Detector, Retry
from pasarela_client.errors import DeadlineExpired, PasarelaError
from pasarela_proto import detection_pb2, detection_pb2_grpc, inference_pb2, inference_pb2_grpc
from tests.chaos.models import ADD, EYES, MOODY, picture
from tests.chaos.tally import Came, Tally, came_of

PATIENCE_S = 20.0
"""A request that nobody has answered by then is lost."""
_PAUSE_S = 0.004
_AFTER_REFUSAL_S = 0.03
_FRAMES = 12
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    *((f"grpc.{name}_reconnect_backoff_ms", 50) for name in ("initial", "max")),
)

_PATIENT = Connection(retry=Retry(retries=1000, longest_s=0.2, budget=1000.0))
"""For clients that would rather wait for a server that is gone than hear of it."""

Open = Callable[[], grpc.Channel]
Client = Callable[["Load", int], None]


def tensor_request(model: str, x: np.ndarray, version: str = "") -> inference_pb2.ModelInferRequest:
    """A request with one tensor."""
    request = inference_pb2.ModelInferRequest(model_name=model, model_version=version, raw_input_contents=[x.tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=x.shape)
    return request


def first_numbers(response: inference_pb2.ModelInferResponse) -> np.ndarray:
    """The first output of a response."""
    return np.frombuffer(response.raw_output_contents[0], np.float32)


class Load:
    """Clients on threads of their own, from the beginning of the block to its end."""

    def __init__(
        self, url: str, clients: Sequence[Client], *, channel: Open | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        """Builds the load.

        Args:
            url: The server.
            clients: Which, each with a connection of its own.
            channel: Opens one; plain text unless given.
            patience_s: How long each request waits for its answer.
        """
        self.url = url
        self.tally = Tally()
        self.patience_s = patience_s
        self.broken: list[BaseException] = []
        """Faults of the clients themselves."""
        self._channel = channel or (lambda: grpc.insecure_channel(url, options=_OPTIONS))
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(client, number), name=f"client-{number}")
            for number, client in enumerate(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def going(self) -> bool:
        """Whether clients go on to ask."""
        return not self._over.is_set()

    def open(self) -> grpc.Channel:
        """A connection of one's own."""
        return self._channel()

    def pause(self, seconds: float = _PAUSE_S) -> None:
        """Waits a little, not beyond the end."""
        self._over.wait(seconds)

    def fail(self, error: grpc.RpcError) -> None:
        """Counts a request that ended with an error, and waits a little before the next."""
        self.tally.end(came_of(error), f"{error.code().name}: {(error.details() or '')[:160]}")
        self.pause(_AFTER_REFUSAL_S)

    def _run(self, client: Client, number: int) -> None:
        try:
            client(self, number)
        except BaseException as error:  # noqa: BLE001 - a client that ended by itself would make the load look well
            self.broken.append(error)


def tensors(load: Load, number: int) -> None:
    """One request after the other, to the newest version of `add`."""
    noise = np.random.default_rng(number)
    with load.open() as channel:
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        while load.going:
            x = noise.integers(0, 1000, (1, 2)).astype(np.float32)
            load.tally.send()
            try:
                response = infer(tensor_request(ADD, x), timeout=load.patience_s)
            except grpc.RpcError as error:
                load.fail(error)
                continue
            y = first_numbers(response)
            right = np.array_equal(y, x[0] + int(response.model_version))
            words = "" if right else f"version {response.model_version} of add says {y} of {x}"
            load.tally.end(Came.ANSWERED, words, wrong=not right)
            load.pause()


def new_connections(load: Load, number: int) -> None:
    """As `tensors`, with a connection for each request."""
    x = np.full((1, 2), number, np.float32)
    while load.going:
        with load.open() as channel:
            load.tally.send()
            try:
                response = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(
                    tensor_request(ADD, x), timeout=load.patience_s
                )
            except grpc.RpcError as error:
                load.fail(error)
                continue
        right = np.array_equal(first_numbers(response), x[0] + int(response.model_version))
        load.tally.end(Came.ANSWERED, "" if right else "wrong sum", wrong=not right)
        load.pause()


def moody(load: Load, number: int) -> None:
    """One request after the other to `moody`, in good mood."""
    with load.open() as channel:
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        x = np.array([[number, 10]], np.float32)
        while load.going:
            load.tally.send()
            try:
                response = infer(tensor_request(MOODY, x), timeout=load.patience_s)
            except grpc.RpcError as error:
                load.fail(error)
                continue
            right = np.array_equal(first_numbers(response), x[0] + 1)
            load.tally.end(Came.ANSWERED, "" if right else "wrong sum", wrong=not right)
            load.pause()


def images(load: Load, number: int) -> None:
    """One picture after the other; what the first answer says, all have to say."""
    request = detection_pb2.DetectRequest(model_name=EYES, image={"encoded": picture()})
    with load.open() as channel:
        detect = detection_pb2_grpc.DetectionServiceStub(channel).Detect
        while load.going:
            load.tally.send()
            try:
                response = detect(request, timeout=load.patience_s)
            except grpc.RpcError as error:
                load.fail(error)
                continue
            _count_detections(load, response)
            load.pause()


def frames(load: Load, number: int) -> None:
    """One stream of frames after the other."""
    request = detection_pb2.DetectRequest(model_name=EYES, image={"encoded": picture()})

    def ask() -> Iterator[detection_pb2.StreamDetectRequest]:
        for index in range(_FRAMES):
            load.tally.send()
            with lock:
                open_frames.append(index)
            yield detection_pb2.StreamDetectRequest(frame_index=index, request=request)

    with load.open() as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        while load.going:
            lock, open_frames = threading.Lock(), list[int]()
            call = stub.StreamDetect(ask(), timeout=load.patience_s)
            try:
                for response in call:
                    with lock:
                        in_turn = open_frames.pop(0)
                    if response.frame_index != in_turn:
                        load.tally.end(Came.ANSWERED, "a frame out of its turn", wrong=True)
                    elif response.WhichOneof("result") == "error":
                        refused = response.error.code in (8, 14)
                        load.tally.end(Came.REFUSED if refused else Came.FAILED, response.error.message[:160])
                    else:
                        _count_detections(load, response.response)
            except grpc.RpcError as error:
                time.sleep(0.05)  # the thread that sends may still be taking its last frame
                with lock:
                    left = list(open_frames)
                for _ in left:
                    load.fail(error)
                load.pause(_AFTER_REFUSAL_S)
                continue
            for _ in open_frames:
                load.tally.end(Came.LOST, "a stream that ended without all of its answers")
            load.pause()


def library(load: Load, number: int) -> None:
    """The client library with what it does by itself: it asks again where that is safe."""
    with Detector(load.url, EYES, timeout_s=load.patience_s, connection=_PATIENT) as detector:
        while load.going:
            load.tally.send()
            try:
                found = detector.detect(picture())
            except DeadlineExpired as error:
                load.tally.end(Came.LOST, str(error)[:160])
            except PasarelaError as error:
                load.tally.end(Came.FAILED, f"{type(error).__name__}: {error}"[:160])
            else:
                right = sorted(found.names) == ["coat", "shoe"]
                load.tally.end(Came.ANSWERED, "" if right else f"detections {found.names}", wrong=not right)
            load.pause()


def library_stream(load: Load, number: int) -> None:
    """One endless stream of the client library, which outlives its connections."""

    def pictures() -> Iterator[bytes]:
        while load.going:
            load.tally.send()
            yield picture()
            load.pause()

    with Detector(load.url, EYES, timeout_s=load.patience_s) as detector:
        for result in detector.detect_stream(pictures(), window=4):
            if not result.ok:
                load.tally.end(Came.FAILED, f"{type(result.error).__name__}: {result.error}"[:160])
            else:
                right = sorted(result.unwrap().names) == ["coat", "shoe"]
                load.tally.end(Came.ANSWERED, "" if right else "wrong detections", wrong=not right)


def _count_detections(load: Load, response: detection_pb2.DetectResponse) -> None:
    found = sorted(response.detections.class_names)
    right = found == ["coat", "shoe"]
    load.tally.end(Came.ANSWERED, "" if right else f"detections {found}", wrong=not right)


MIXED: Sequence[Client] = (tensors, tensors, images, frames)


@contextlib.contextmanager
def secure(url: str, authority: Path) -> Iterator[Open]:
    """How to open connections with TLS."""
    credentials = grpc.ssl_channel_credentials(authority.read_bytes())
    yield lambda: grpc.secure_channel(url, credentials, options=_OPTIONS)
