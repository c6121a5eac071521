import argparse
from pathlib import Path

import pytest

from pasarela_client.__main__ import main
from pasarela_client.addresses import DEFAULT_URL
from pasarela_client.commands.connection_flags import add_connection_flags, connection_of
from pasarela_client.connection import Connection, Tls
from pasarela_client.errors import InvalidRequest
from pasarela_client.retry import Retry

NOTHING: dict[str, str] = {}


def parse(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_connection_flags(parser)
    return parser.parse_args(flags)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PASARELA_URL", "PASARELA_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "flags", "url", "connection"),
    [
        # reason: nothing said is nothing but the defaults
        (NOTHING, [], DEFAULT_URL, Connection()),
        # reason: what most people set once for a machine
        ({"PASARELA_URL": "gpu:8001"}, [], "gpu:8001", Connection()),
        # reason: a flag is nearer than the environment
        ({"PASARELA_URL": "gpu:8001"}, ["--url", "cpu:8001"], "cpu:8001", Connection()),
        # reason: an empty variable is none
        ({"PASARELA_URL": "", "PASARELA_TOKEN": ""}, [], DEFAULT_URL, Connection()),
        ({"PASARELA_TOKEN": "secret"}, [], DEFAULT_URL, Connection(token="secret")),
        # reason: a file is nearer than the environment, and is read again when it changes
        (
            {"PASARELA_TOKEN": "secret"},
            ["--token-file", "t", "--allow-insecure-token"],
            DEFAULT_URL,
            Connection(token=Path("t"), allow_insecure_token=True),
        ),
        (NOTHING, ["--tls"], DEFAULT_URL, Connection(tls=Tls())),
        # reason: who names a CA wants TLS
        (NOTHING, ["--tls-ca", "ca.pem"], DEFAULT_URL, Connection(tls=Tls(ca=Path("ca.pem")))),
        (
            NOTHING,
            ["--tls-cert", "me.pem", "--tls-key", "me.key", "--tls-server-name", "box"],
            DEFAULT_URL,
            Connection(tls=Tls(certificate=Path("me.pem"), key=Path("me.key"), server_name="box")),
        ),
        # reason: the address says that there is TLS
        (
            NOTHING,
            ["--url", "grpcs://gpu:8001", "--tls-server-name", "box"],
            "grpcs://gpu:8001",
            Connection(tls=Tls(server_name="box")),
        ),
        (NOTHING, ["--retries", "0"], DEFAULT_URL, Connection(retry=Retry(retries=0))),
    ],
)
def test_flags_and_environment(
    environment: dict[str, str], flags: list[str], url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    arguments = parse(*flags)
    assert arguments.url == url
    assert connection_of(arguments) == connection


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tls-cert", "me.pem"], "--tls-key"),
        (["--tls-key", "me.key"], "--tls-cert"),
        (["--tls-server-name", "box"], "add --tls"),
        (["--retries", "-1"], "retries"),
    ],
)
def test_flags_that_contradict_each_other(flags: list[str], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        connection_of(parse(*flags))


@pytest.mark.parametrize("command", ["detect", "models", "doctor"])
def test_every_command_explains_them(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    for flag in ("--url", "--tls", "--tls-ca", "--tls-cert", "--tls-key", "--token-file", "--retries"):
        assert flag in shown
    assert "--token " not in shown, "a token on a command line is there for all to see"
