"""Where metrics are, and what is said if they are not."""

import dataclasses
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pasarela_client.errors import InvalidRequest, PasarelaError, ServerFailure, ServerUnreachable
from pasarela_client.models import InstanceGroup, ModelDescription, ModelState
from pasarela_client.statistics import Statistics
from pasarela_client.sync.control import Server
from pasarela_client.top.asking import Watched, check_metrics_url, default_metrics_url
from pasarela_client.top.reading import Lost, Reading


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("127.0.0.1:8001", "http://127.0.0.1:8002/metrics"),
        ("grpcs://gpu-box:9001", "http://gpu-box:8002/metrics"),
        ("[::1]:8001", "http://[::1]:8002/metrics"),
        ("unix:/run/pasarela.sock", ""),
    ],
)
def test_where_metrics_are_unless_it_is_said(url: str, expected: str) -> None:
    assert default_metrics_url(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("gpu-box:9002", "http://gpu-box:9002/metrics"),
        ("http://gpu-box:9002/", "http://gpu-box:9002/metrics"),
        ("https://gpu-box/a/b?c=d", "https://gpu-box/a/b?c=d"),
    ],
)
def test_what_people_leave_out(url: str, expected: str) -> None:
    assert check_metrics_url(url) == expected


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://here/x", "http://", "http://here:port/metrics", "http://[here", ""]
)
def test_addresses_of_no_metrics(url: str) -> None:
    with pytest.raises(InvalidRequest, match="metrics are at an address like"):
        check_metrics_url(url)


ANSWERS = {
    "/metrics": (200, b"# TYPE a gauge\na 1\n"),
    "/page": (200, b"<html>hello</html>"),
    "/picture": (200, b"\xff\xd8\xff"),
    "/gone": (404, b""),
}


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, content = ANSWERS[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/page", "gives no metrics (line 1 is no metric: '<html>hello</html>')"),
        ("/picture", "gives no metrics (no text)"),
        ("/gone", "does not answer (HTTP 404 Not Found)"),
    ],
)
def test_what_gives_no_metrics(pages: str, unused_url: str, path: str, message: str) -> None:
    with Server(unused_url) as server:
        metrics, why_not = Watched(server, pages + path)._scrape()
    assert metrics is None
    assert message in why_not


def test_metrics_that_are_there(pages: str, unused_url: str) -> None:
    with Server(unused_url) as server:
        metrics, why_not = Watched(server, pages + "/metrics")._scrape()
    assert metrics is not None
    assert (metrics.value("a"), why_not) == (1, "")


def test_nobody_at_the_metrics_address(unused_url: str) -> None:
    with Server(unused_url) as server:
        _, why_not = Watched(server, f"http://{unused_url}/metrics")._scrape()
        assert "does not answer (Connection refused); --metrics-url says where they are" in why_not
        _, why_not = Watched(server, "http://a..b/metrics")._scrape()
        assert "names no host; --metrics-url says where" in why_not
        assert Watched(server, "")._scrape() == (None, "--metrics-url says where the server's metrics are")


@dataclasses.dataclass
class ManyModels:
    """A server of many models, which counts how often it is asked for the configuration of each."""

    count: int
    instances: int = 1
    error: PasarelaError | None = None
    timeout_s: float | None = 1.0
    asked: Counter[str] = dataclasses.field(default_factory=Counter)

    def metadata(self) -> ModelState:
        return ModelState("many", "1", "READY", "")

    def models(self) -> list[ModelState]:
        return [ModelState(f"m{number:02}", "1", "READY", "") for number in range(self.count)]

    def statistics(self) -> Statistics:
        return Statistics((), 0.0)

    def describe(self, model: str, version: str) -> ModelDescription:
        self.asked[model] += 1
        if self.error is not None:
            raise self.error
        groups = (InstanceGroup(count=self.instances, device="CPU"),)
        return ModelDescription(model, (version,), "p", (), (), {}, instances=groups)


def counts(watched: Watched) -> Counter[int]:
    """How many versions have so many instances."""
    look = watched.look()
    assert isinstance(look, Reading)
    return Counter(look.instances.values())


@pytest.mark.parametrize(("models", "looks"), [(3, 1), (8, 1), (20, 3)], ids=["few", "as many as a look asks", "many"])
def test_instances_are_asked_for_again_a_few_at_a_look(models: int, looks: int) -> None:
    server = ManyModels(models)
    watched = Watched(server, "")  # type: ignore[arg-type]
    assert counts(watched) == {1: models}
    assert set(server.asked.values()) == {1}
    server.instances, seen = 4, []
    for _ in range(looks):
        before = server.asked.total()
        seen.append(counts(watched)[4])
        assert server.asked.total() - before <= 8, "watching a server of many models costs it next to nothing"
    assert seen[-1] == models


def test_a_version_that_does_not_say_keeps_what_is_known() -> None:
    server = ManyModels(2)
    watched = Watched(server, "")  # type: ignore[arg-type]
    assert counts(watched) == {1: 2}
    server.error = ServerFailure("it is being replaced")
    assert counts(watched) == {1: 2}
    server.count = 3
    assert counts(watched) == {1: 2, 0: 1}
    server.error = ServerUnreachable("gone")
    assert isinstance(watched.look(), Lost)
    server.error = None
    assert counts(watched) == {1: 3}
