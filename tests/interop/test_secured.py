"""TLS, client certificates, tokens and restricted protocols with clients that nobody here wrote."""

import json
import subprocess

import pytest

from tests.certificates import Authority
from tests.interop import peers
from tests.tiny_models import write_onnx

SYNC, AIO, GRPCURL = "tritonclient.grpc", "tritonclient.grpc.aio", "grpcurl"
INFERENCE = "inference.GRPCInferenceService"
TOKENS = {"inference": "5b1c" * 8, "observability": "77aa" * 8}
RESTRICTED = "triton-grpc-protocol-infer-key"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write_onnx(root / "add" / "1", 1)
    return root


@pytest.fixture(scope="module")
def tls(start_server, models, authority):
    """A server that shows its certificate and asks nothing."""
    with start_server(models, *authority.server_flags(authority.issue("tls"))) as running:
        yield running


@pytest.fixture(scope="module")
def locked(start_server, models, authority, tmp_path_factory):
    """A server that asks clients for a certificate and a token."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text("".join(f"{group} {token}\n" for group, token in TOKENS.items()))
    flags = (*authority.server_flags(authority.issue("locked"), mutual=True), "--auth-tokens-file", str(tokens))
    with start_server(models, *flags) as running:
        yield running


@pytest.fixture(scope="module")
def restricted(start_server, models):
    with start_server(models, "--grpc-restricted-protocol", "inference:infer-key=infer-value") as running:
        yield running


def of_both(feature):
    """The same test for both of NVIDIA's clients, each with its own cell."""
    return pytest.mark.parametrize(
        "client", [pytest.param(client, marks=pytest.mark.compatible(client, feature)) for client in (SYNC, AIO)]
    )


@pytest.fixture
def ask(run_client):
    """`ask(client, server, options, headers)` gives what the calls of `clients/tritonclient_secured.py` end with."""

    def answers(client, server, options=None, headers=None):
        settings = {"options": options or {}, "headers": headers or {}}
        return run_client("tritonclient_secured", client, server.address, json.dumps(settings))

    return answers


def trusting(authority, name=None):
    """Options of NVIDIA's clients: whom they trust, and who they are."""
    options = {"ssl": True, "root_certificates": str(authority.certificate)}
    if name is not None:
        pair = authority.issue(name)
        options |= {"private_key": str(pair.key), "certificate_chain": str(pair.certificate)}
    return options


def bearing(group):
    return {"authorization": f"Bearer {TOKENS[group]}"}


@of_both("TLS")
def test_tritonclient_over_tls(ask, tls, authority, tmp_path, client):
    answered = ask(client, tls, trusting(authority))
    assert answered == {"live": {}, "failed": {}, "inferred": [[2, 3]], "index": {}}
    mistrusted = ask(client, tls, trusting(Authority(tmp_path)))
    assert mistrusted["failed"]["status"] == "StatusCode.UNAVAILABLE"


@of_both("mutual TLS")
def test_tritonclient_with_a_certificate(ask, locked, authority, client):
    assert ask(client, locked, trusting(authority, "triton"))["live"] == {}
    assert ask(client, locked, trusting(authority))["live"]["status"] == "StatusCode.UNAVAILABLE"


@of_both("bearer tokens")
def test_tritonclient_with_a_token(ask, locked, authority, client):
    options = trusting(authority, "triton")
    answered = ask(client, locked, options, bearing("inference"))
    assert (answered["inferred"], answered["failed"]) == ([[2, 3]], {})
    assert answered["index"]["status"] == "StatusCode.PERMISSION_DENIED"
    answered = ask(client, locked, options, bearing("observability"))
    assert (answered["failed"]["status"], answered["index"]) == ("StatusCode.PERMISSION_DENIED", {})
    answered = ask(client, locked, options)
    assert (answered["live"], answered["failed"]["status"]) == ({}, "StatusCode.UNAUTHENTICATED")


@of_both("restricted protocols")
def test_tritonclient_with_a_restricted_protocol(ask, restricted, client):
    assert ask(client, restricted, headers={RESTRICTED: "infer-value"})["inferred"] == [[2, 3]]
    assert ask(client, restricted, headers={RESTRICTED: "another"})["failed"] == {
        "status": "StatusCode.UNAVAILABLE",
        "message": f"This protocol is restricted, expecting header '{RESTRICTED}'",
    }


def grpcurl(server, *arguments):
    """What grpcurl prints, and its exit code."""
    command = [peers.grpcurl(), *arguments[:-1], server.address, arguments[-1]]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.compatible(GRPCURL, "TLS")
def test_grpcurl_over_tls(tls, authority):
    listed = grpcurl(tls, "-cacert", str(authority.certificate), "list")
    assert INFERENCE in listed.stdout
    assert grpcurl(tls, "list").returncode != 0, "its own authorities did not sign it"


@pytest.mark.compatible(GRPCURL, "mutual TLS")
@pytest.mark.compatible(GRPCURL, "bearer tokens")
def test_grpcurl_with_a_certificate_and_a_token(locked, authority):
    pair = authority.issue("grpcurl")
    shown = ("-cacert", str(authority.certificate), "-cert", str(pair.certificate), "-key", str(pair.key))
    token = ("-H", f"authorization: Bearer {TOKENS['inference']}")
    method = f"{INFERENCE}/ServerMetadata"
    assert '"name": "pasarela"' in grpcurl(locked, *shown, *token, method).stdout
    assert "asks for a token" in grpcurl(locked, *shown, method).stderr
    assert grpcurl(locked, *shown[:2], "-max-time", "20", "-connect-timeout", "1", *token, method).returncode != 0


@pytest.mark.compatible(GRPCURL, "restricted protocols")
def test_grpcurl_with_a_restricted_protocol(restricted):
    infer = ("-plaintext", "-d", '{"model_name": "trousers"}')
    method = f"{INFERENCE}/ModelInfer"
    assert "Code: Unavailable" in grpcurl(restricted, *infer, method).stderr
    assert "Code: NotFound" in grpcurl(restricted, *infer, "-H", f"{RESTRICTED}: infer-value", method).stderr
