"""The metrics port."""

import http.client
import logging
import socket
import threading

import pytest

from pasarela_server.observability.http import MetricsServer, Page, text_page


def throw(error):
    raise error


@pytest.fixture
def asked():
    state = {"ready": False}
    server = MetricsServer(
        "127.0.0.1",
        0,
        {
            "/metrics": lambda: Page(200, "text/plain; version=0.0.4", b"a 1\n"),
            "/readyz": lambda: text_page("ready", ok=state["ready"]),
            "/gone": lambda: throw(BrokenPipeError("the client has gone")),
            "/broken": lambda: throw(KeyError("a fault of ours")),
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
    assert (status, body) == (404, b"/metrics /readyz /gone /broken\n")


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


def test_what_goes_wrong_is_told_by_the_log_and_not_on_stderr(asked, caplog, capfd):
    get, _, server = asked
    for path in ("/gone", "/broken"):
        with pytest.raises(http.client.RemoteDisconnected), caplog.at_level(logging.DEBUG):
            get(path)
    server.close()
    assert capfd.readouterr().err == ""
    assert [(record.levelname, str(record.exc_info[1])) for record in caplog.records] == [
        ("ERROR", "'a fault of ours'")
    ], "a client that has gone is nothing to tell"


def test_connections_that_say_nothing_neither_add_up_nor_keep_others_out(asked):
    get, _, server = asked
    threads = threading.active_count()
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    assert get("/metrics")[0] == 200
    assert threading.active_count() < threads + 50
    silent[0].settimeout(60)
    assert silent[0].recv(1) == b"", "the oldest is ended"
    for each in silent:
        each.close()
