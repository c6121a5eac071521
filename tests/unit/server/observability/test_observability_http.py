"""The metrics port."""

import http.client
import socket

import pytest

from pasarela_server.observability.http import MetricsServer, Page, text_page


@pytest.fixture
def asked():
    state = {"ready": False}
    server = MetricsServer(
        "127.0.0.1",
        0,
        {
            "/metrics": lambda: Page(200, "text/plain; version=0.0.4", b"a 1\n"),
            "/readyz": lambda: text_page("ready", ok=state["ready"]),
        },
    )
    server.start()

    def get(path):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", path)
        response = connection.getresponse()
        answer = response.status, response.headers["Content-Type"], response.read()
        connection.close()
        return answer

    yield get, state, server
    server.close()


def test_pages(asked):
    get, _, _ = asked
    assert get("/metrics") == (200, "text/plain; version=0.0.4", b"a 1\n")
    assert get("/metrics?name=a")[0] == 200
    status, _, body = get("/other")
    assert (status, body) == (404, b"/metrics /readyz\n")


def test_pages_are_made_anew_each_time(asked):
    get, state, _ = asked
    assert get("/readyz")[0] == 503
    state["ready"] = True
    assert get("/readyz")[::2] == (200, b"ready\n")


def test_a_port_in_use_is_an_error(asked):
    _, _, server = asked
    with pytest.raises(OSError, match="in use"):
        MetricsServer("127.0.0.1", server.port, {})


def test_closing_frees_the_port_even_if_never_started():
    server = MetricsServer("127.0.0.1", 0, {})
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
