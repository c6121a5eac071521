"""Servers that are encrypted, that want to know who asks, that go away, that never answer: met by either client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from pasarela_client import (
    AccessDenied,
    CertificateRefused,
    Connection,
    DeadlineExpired,
    InvalidRequest,
    QueueFull,
    RequestCancelled,
    Retry,
    ServerStopping,
    ServerUnreachable,
    Tls,
)
from pasarela_proto.detection_pb2_grpc import DetectionServiceServicer, add_DetectionServiceServicer_to_server
from tests.certificates import Authority

ONCE = Connection(retry=Retry(retries=0))


class Service(DetectionServiceServicer):
    """Answers, and remembers what it was told."""

    def __init__(self, answer: Any) -> None:
        self.answer: Callable[[Any, Any], Any] = lambda request, context: answer
        self.asked = 0
        self.metadata: list[dict[str, str]] = []
        self.remaining_s: list[float] = []

    def Detect(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.asked += 1
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining_s.append(context.time_remaining())
        return self.answer(request, context)


class Started:
    """A server that can be stopped and started again where it was."""

    def __init__(self, service: Service, credentials: grpc.ServerCredentials | None = None) -> None:
        self.service = service
        self._credentials = credentials
        self.port = 0
        self.start()
        self.url = f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
        add_DetectionServiceServicer_to_server(self.service, self._server)
        address = f"127.0.0.1:{self.port}"
        if self._credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, self._credentials)
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()


@pytest.fixture
def start(make_answer: Any) -> Iterator[Callable[..., Started]]:
    """Starts a server of its own service."""
    running: list[Started] = []

    def begin(credentials: grpc.ServerCredentials | None = None) -> Started:
        running.append(Started(Service(make_answer()), credentials))
        return running[-1]

    yield begin
    for each in running:
        each.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


def showing(authority: Authority, *identities: str, expired: bool = False, mutual: bool = False) -> Any:
    """Credentials of a server that shows such a certificate."""
    pair = authority.issue("server", *identities, expired=expired)
    keys = [(pair.key.read_bytes(), pair.certificate.read_bytes())]
    return grpc.ssl_server_credentials(keys, authority.certificate.read_bytes() if mutual else None, mutual)


def test_an_encrypted_server_that_is_trusted(either_client: Any, start: Any, authority: Authority) -> None:
    server = start(showing(authority))
    for url in (server.url, f"grpcs://{server.url}"):
        with either_client(url, tls=authority.certificate) as detector:
            assert len(detector.detect(b"jpeg")) == 1
            assert [len(result) for result in detector.detect_many([b"jpeg"] * 3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("certificate", "settings", "words"),
    [
        # reason: the wrong CA, or a self-signed certificate
        ({}, "stranger", "nobody who is trusted here"),
        # reason: forgotten to say which CA
        ({}, True, "nobody who is trusted here"),
        ({"expired": True}, "authority", "expired"),
        ({"names": ["gpu.example.org"]}, "authority", "another name"),
    ],
    ids=["unknown signer", "no CA", "expired", "another name"],
)
def test_a_certificate_that_is_not_good(
    certificate: dict[str, Any],
    settings: Any,
    words: str,
    either_client: Any,
    start: Any,
    authority: Authority,
    stranger: Authority,
) -> None:
    server = start(showing(authority, *certificate.get("names", ()), expired=certificate.get("expired", False)))
    tls = {"authority": authority.certificate, "stranger": stranger.certificate}.get(settings, settings)
    with either_client(server.url, tls=tls) as detector, pytest.raises(CertificateRefused, match=words) as raised:
        detector.detect(b"jpeg")
    assert server.url in str(raised.value)


def test_a_certificate_for_a_name_that_is_trusted_by_that_name(
    either_client: Any, start: Any, authority: Authority
) -> None:
    server = start(showing(authority, "gpu.example.org"))
    with either_client(server.url, tls=Tls(ca=authority.certificate, server_name="gpu.example.org")) as detector:
        assert len(detector.detect(b"jpeg")) == 1


def test_a_server_that_wants_a_certificate_of_ours(
    either_client: Any, start: Any, authority: Authority, stranger: Authority
) -> None:
    server = start(showing(authority, mutual=True))
    ours, foreign = authority.issue("client"), stranger.issue("client")
    known = Tls(ca=authority.certificate, certificate=ours.certificate, key=ours.key)
    with either_client(server.url, tls=known) as detector:
        assert len(detector.detect(b"jpeg")) == 1
    unknown = Tls(ca=authority.certificate, certificate=foreign.certificate, key=foreign.key)
    for tls in (unknown, Tls(ca=authority.certificate)):
        with (
            either_client(server.url, tls=tls) as detector,
            pytest.raises(ServerUnreachable, match="certificate of ours"),
        ):
            detector.detect(b"jpeg")


def test_tls_and_no_tls_mixed_up(either_client: Any, start: Any, authority: Authority) -> None:
    encrypted, plain = start(showing(authority)), start()
    with either_client(encrypted.url) as detector, pytest.raises(ServerUnreachable, match="does it want TLS"):
        detector.detect(b"jpeg")
    with either_client(plain.url, tls=True) as detector, pytest.raises(CertificateRefused, match="does not speak TLS"):
        detector.detect(b"jpeg")


def test_the_token_goes_with_each_call_and_follows_its_file(either_client: Any, start: Any, tmp_path: Path) -> None:
    server = start()
    path = tmp_path / "token"
    path.write_text("first")
    with either_client(server.url, token=path) as detector:
        detector.detect(b"jpeg")
        (tmp_path / "fresh").write_text("second")
        (tmp_path / "fresh").replace(path)
        detector.detect(b"jpeg")
        list(detector.detect_many([b"jpeg"]))
    assert [metadata["authorization"] for metadata in server.service.metadata] == [
        "Bearer first",
        "Bearer second",
        "Bearer second",
    ]


def test_a_token_that_is_made_for_each_call(either_client: Any, start: Any) -> None:
    server = start()
    tokens = iter(["first", "second"])
    with either_client(server.url, token=lambda: next(tokens)) as detector:
        detector.detect(b"jpeg")
        detector.detect(b"jpeg")
    assert [metadata["authorization"] for metadata in server.service.metadata] == ["Bearer first", "Bearer second"]


def test_a_token_for_all_to_read_is_refused_before_anything_is_sent(either_client: Any) -> None:
    with pytest.raises(InvalidRequest, match="could read the token"):
        either_client("gpu.example.org:8001", token="secret")


def test_a_token_that_the_server_does_not_know_is_not_tried_again(either_client: Any, start: Any) -> None:
    server = start()
    server.service.answer = lambda request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
    with either_client(server.url, token="wrong") as detector, pytest.raises(AccessDenied, match="who are you"):
        detector.detect(b"jpeg")
    assert server.service.asked == 1


def test_a_server_that_was_away_between_calls(either_client: Any, start: Any) -> None:
    server = start()
    with either_client(server.url) as detector:
        detector.detect(b"jpeg")
        server.stop()
        with pytest.raises(ServerUnreachable):
            detector.detect(b"jpeg")
        server.start()
        assert _until_answered(lambda: detector.detect(b"jpeg"))


def test_several_servers_are_asked_in_turn(either_client: Any, start: Any) -> None:
    servers = [start(), start(), start()]
    with either_client([server.url for server in servers]) as detector:
        assert all(server.url in detector.url for server in servers)
        for _ in range(9):
            detector.detect(b"jpeg")
    assert [server.service.asked for server in servers] == [3, 3, 3]


def test_who_is_not_there_costs_nobody_anything(either_client: Any, start: Any, unused_url: str) -> None:
    server = start()
    with either_client(f"{unused_url},{server.url}", timeout_s=20) as detector:
        for _ in range(10):
            assert len(detector.detect(b"jpeg")) == 1
    assert server.service.asked == 10


def test_without_retries_the_first_failure_is_the_last(either_client: Any, start: Any, unused_url: str) -> None:
    server = start()
    with either_client(f"{unused_url},{server.url}", connection=ONCE) as detector:
        with pytest.raises(ServerUnreachable, match=unused_url):
            detector.detect(b"jpeg")
        for _ in range(3):
            detector.detect(b"jpeg")
    assert server.service.asked == 3


def test_a_server_that_stops_sends_us_to_another(either_client: Any, start: Any) -> None:
    stopping, other = start(), start()

    def drain(request: Any, context: Any) -> Any:
        context.set_trailing_metadata((("pasarela-error", "ServerStopping"),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "no more")

    stopping.service.answer = drain
    with either_client([stopping.url, other.url]) as detector:
        for _ in range(6):
            detector.detect(b"jpeg")
    assert (stopping.service.asked, other.service.asked) == (1, 6)
    with either_client(stopping.url, retries=0) as detector, pytest.raises(ServerStopping, match="no more"):
        detector.detect(b"jpeg")


def test_a_full_queue_is_asked_again_and_only_so_often(either_client: Any, start: Any) -> None:
    server = start()
    server.service.answer = lambda request, context: context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    hasty = Connection(retry=Retry(retries=2, first_s=0.01, longest_s=0.01))
    with either_client(server.url, connection=hasty) as detector, pytest.raises(QueueFull, match="full"):
        detector.detect(b"jpeg")
    assert server.service.asked == 3


def test_all_calls_share_one_budget_of_retries(either_client: Any, start: Any) -> None:
    server = start()
    server.service.answer = lambda request, context: context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    scarce = Connection(retry=Retry(retries=3, first_s=0.001, longest_s=0.001, budget=4))
    with either_client(server.url, connection=scarce) as detector:
        for _ in range(10):
            with pytest.raises(QueueFull):
                detector.detect(b"jpeg")
    assert server.service.asked == 10 + 4


def test_all_tries_share_one_deadline_and_the_server_is_told_what_remains(either_client: Any, start: Any) -> None:
    server = start()
    server.service.answer = lambda request, context: context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    slow = Connection(retry=Retry(retries=50, first_s=0.1, longest_s=0.1, budget=100))
    # The last try may begin so late that the time is over before the refusal is there.
    with either_client(server.url, connection=slow) as detector, pytest.raises((QueueFull, DeadlineExpired)):
        detector.detect(b"jpeg", timeout_s=0.5)
    assert 2 <= server.service.asked <= 11
    assert all(before > after for before, after in pairwise(server.service.remaining_s))
    assert server.service.remaining_s[0] <= 0.5


def test_closing_ends_the_wait_for_another_try(either_client: Any, unused_url: str) -> None:
    patient = Connection(retry=Retry(retries=10, first_s=300.0, longest_s=300.0))
    failures: list[BaseException] = []

    def detect() -> None:
        try:
            detector.detect(b"jpeg", timeout_s=None)
        except RequestCancelled as error:
            failures.append(error)

    with either_client(unused_url, connection=patient, timeout_s=None) as detector:
        asking = threading.Thread(target=detect)
        asking.start()
        asking.join(0.3)
        detector.close()
        asking.join(10)
    assert len(failures) == 1


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_black_hole_holds_nobody_beyond_the_time_allowed(either_client: Any, black_hole: str) -> None:
    with either_client(black_hole) as detector, pytest.raises(DeadlineExpired, match=black_hole):
        detector.detect(b"jpeg", timeout_s=0.3)


def test_a_black_hole_is_left_for_another_server(either_client: Any, start: Any, black_hole: str) -> None:
    server = start()
    settings = Connection(connect_timeout_s=0.3)
    with either_client([black_hole, server.url], connection=settings, timeout_s=20) as detector:
        for _ in range(5):
            assert len(detector.detect(b"jpeg")) == 1
        assert all(result.ok for result in detector.detect_many([b"jpeg"] * 40))
    assert server.service.asked == 45


def test_one_of_two_servers_is_killed_and_no_image_fails(either_client: Any, start: Any, make_answer: Any) -> None:
    dying, other = start(), start()
    half_way = threading.Event()

    def answer(request: Any, context: Any) -> Any:
        if dying.service.asked >= 40:
            half_way.set()
        return make_answer()

    def kill() -> None:
        half_way.wait()
        dying.stop()

    dying.service.answer = answer
    killing = threading.Thread(target=kill)
    killing.start()
    with either_client([dying.url, other.url]) as detector:
        results = list(detector.detect_many([b"jpeg"] * 400))
    killing.join()
    assert [result.frame_index for result in results] == list(range(400))
    assert [result.error for result in results if not result.ok] == []
    assert other.service.asked > 200


def test_the_only_server_restarts_and_no_image_fails(either_client: Any, start: Any, make_answer: Any) -> None:
    server = start()
    half_way = threading.Event()

    def answer(request: Any, context: Any) -> Any:
        if server.service.asked == 50:
            half_way.set()
        return make_answer()

    def restart() -> None:
        half_way.wait()
        server.stop()
        server.start()

    server.service.answer = answer
    restarting = threading.Thread(target=restart)
    restarting.start()
    with either_client(server.url) as detector:
        results = list(detector.detect_many([b"jpeg"] * 150))
    restarting.join()
    assert len(results) == 150
    assert [result.error for result in results if not result.ok] == []


class CountingRelay:
    """Hands one connection on, and counts what the client sends."""

    def __init__(self, target: str) -> None:
        host, port = target.split(":")
        self._target = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.sent_bytes = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with self._listening, self._listening.accept()[0] as client, socket.create_connection(self._target) as server:
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server, counted=True)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, *, counted: bool = False) -> None:
        try:
            while content := source.recv(65536):
                self.sent_bytes += len(content) if counted else 0
                sink.sendall(content)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.mark.parametrize(
    ("compress", "image", "least", "most"),
    [
        # reason: what can be compressed well, and is not unless that was asked for
        (False, np.zeros((200, 200, 3), np.uint8), 120_000, 130_000),
        (True, np.zeros((200, 200, 3), np.uint8), 100, 10_000),
        # reason: a file is compressed already; the server need not try
        (True, bytes(120_000), 120_000, 130_000),
    ],
    ids=["not asked for", "pixels", "a file"],
)
def test_pixels_are_compressed_if_that_is_wanted_and_files_never(
    either_client: Any, start: Any, compress: bool, image: Any, least: int, most: int
) -> None:
    relay = CountingRelay(start().url)
    with either_client(relay.url, connection=Connection(compress_arrays=compress)) as detector:
        assert len(detector.detect(image)) == 1
    assert least <= relay.sent_bytes <= most


def _until_answered(detect: Callable[[], Any]) -> bool:
    """gRPC waits up to two seconds before it connects again; the test's time limit is the end of it."""
    while True:
        try:
            detect()
        except ServerUnreachable:
            continue
        return True
