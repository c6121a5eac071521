"""Both clients and the command line against real servers: encrypted, with tokens, and one of two killed."""

import contextlib
import secrets
import signal

import pytest

from pasarela_client import AccessDenied, CertificateRefused, Connection, Detector, ServerUnreachable, Tls
from pasarela_client.__main__ import main
from pasarela_client.aio.detector import AsyncDetector
from tests.certificates import Authority
from tests.driven import Driven

TOKEN, OBSERVER = secrets.token_hex(16), secrets.token_hex(16)


def _tasks(*arguments, **options):
    return Driven(AsyncDetector, *arguments, **options)


ONE_MODEL = ("--model-control-mode", "explicit", "--load-model", "garments_onnx")
MODEL = "garments_onnx"
CLIENTS = [pytest.param(Detector, id="threads"), pytest.param(_tasks, id="tasks")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(authority):
    """What a client of this server needs."""
    pair = authority.issue("client")
    return Tls(ca=authority.certificate, certificate=pair.certificate, key=pair.key)


@pytest.fixture(scope="module")
def closed(repository, start_server, authority, tmp_path_factory):
    """A server that asks for a certificate and for a token."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text(f"inference {TOKEN}\nobservability {OBSERVER}\n")
    flags = authority.server_flags(authority.issue("server"), mutual=True)
    with start_server(repository, *ONE_MODEL, *flags, "--auth-tokens-file", str(tokens)) as running:
        yield running


@pytest.mark.parametrize("open_client", CLIENTS)
def test_who_shows_certificate_and_token_is_served(open_client, closed, ours, sample_image, sample_names):
    with open_client(closed.address, MODEL, connection=Connection(tls=ours, token=TOKEN)) as detector:
        found = detector.detect(sample_image, timeout_s=60)
        many = list(detector.detect_many([sample_image] * 4))
    if sample_names is not None:
        assert sorted(found.names) == sample_names
    assert [len(result) for result in many] == [len(found)] * 4


@pytest.mark.parametrize("open_client", CLIENTS)
@pytest.mark.parametrize(
    ("token", "words"),
    [(None, "token"), ("wrong-token-wrong-token", "token"), (OBSERVER, "token")],
    ids=["none", "unknown", "of another group"],
)
def test_a_token_that_is_not_good_is_access_denied(open_client, closed, ours, sample_image, token, words):
    with (
        open_client(closed.address, MODEL, tls=ours, token=token) as detector,
        pytest.raises(AccessDenied, match=words) as told,
    ):
        detector.detect(sample_image, request_id="mine")
    assert told.value.request_id == "mine"
    assert TOKEN not in str(told.value)


@pytest.mark.parametrize("open_client", CLIENTS)
def test_without_what_it_asks_for_nobody_gets_to_the_server(open_client, closed, authority, tmp_path, sample_image):
    stranger = Authority(tmp_path / "stranger")
    for tls, kind in (
        (Tls(ca=stranger.certificate), CertificateRefused),
        (Tls(ca=authority.certificate), ServerUnreachable),
        (False, ServerUnreachable),
    ):
        with open_client(closed.address, MODEL, tls=tls, retries=0) as detector, pytest.raises(kind):
            detector.detect(sample_image)


def test_the_command_line_takes_files_and_its_environment(
    closed, authority, ours, sample_image, tmp_path, monkeypatch, capsys
):
    flags = ["--tls-ca", str(ours.ca), "--tls-cert", str(ours.certificate), "--tls-key", str(ours.key)]
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("PASARELA_URL", closed.address)
    monkeypatch.delenv("PASARELA_TOKEN", raising=False)
    assert main(["detect", str(sample_image), "--model", MODEL, *flags, "--token-file", str(token)]) == 0
    assert "found" in capsys.readouterr().out
    monkeypatch.setenv("PASARELA_TOKEN", OBSERVER)
    assert main(["models", *flags]) == 0
    assert MODEL in capsys.readouterr().out
    monkeypatch.setenv("PASARELA_TOKEN", "wrong-token-wrong-token")
    assert main(["models", *flags]) == 1
    assert "token" in capsys.readouterr().err
    assert main(["models", "--tls-ca", str(authority.certificate.with_name("missing.pem"))]) == 2
    assert "missing.pem" in capsys.readouterr().err
    assert main(["models", "--tls"]) == 3
    assert "nobody who is trusted here" in capsys.readouterr().err


@pytest.mark.parametrize("open_client", CLIENTS)
def test_one_of_two_servers_is_killed_and_no_image_fails(open_client, repository, start_server, server, sample_image):
    with contextlib.ExitStack() as stack:
        dying = stack.enter_context(start_server(repository, *ONE_MODEL))
        detector = stack.enter_context(open_client([dying.address, server.address], MODEL, timeout_s=60))
        results = []
        for result in detector.detect_many([sample_image] * 60):
            results.append(result)
            if len(results) == 15:
                dying.stop(signal.SIGKILL)
    assert [result.frame_index for result in results] == list(range(60))
    assert [result.error for result in results if not result.ok] == []
