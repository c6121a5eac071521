"""TLS as clients meet it: who gets in, who does not, and what happens while certificates are replaced."""

import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2

from pasarela_proto import inference_pb2 as pb
from tests.certificates import Authority
from tests.server_log import wait_for_log

LIVE = pb.ServerLiveRequest()
PATIENCE_S = 30
SERVER_SAYS = "the server's certificates have changed"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def start_secured(start_server, tmp_path):
    """Starts a server without models."""

    def start(*flags):
        return start_server(tmp_path, "--allow-empty-repository", *flags)

    return start


@pytest.fixture(scope="module", params=[0, 2], ids=["one process", "two fronts"])
def mutual(request, start_server, authority, tmp_path_factory):
    """A server that asks clients for a certificate; shared by tests that leave it as it is."""
    flags = authority.server_flags(authority.issue("mutual"), mutual=True)
    empty = tmp_path_factory.mktemp("empty")
    with start_server(empty, "--allow-empty-repository", "--frontends", str(request.param), *flags) as running:
        yield running


def trusting(authority, client=None):
    """A client's credentials."""
    pair = {}
    if client is not None:
        pair = {"private_key": client.key.read_bytes(), "certificate_chain": client.certificate.read_bytes()}
    return grpc.ssl_channel_credentials(authority.certificate.read_bytes(), **pair)


@pytest.fixture
def secure_stubs_for(stubs_for):
    """Stubs that call an address with credentials, over a connection of their own."""
    channels = []

    def connect(address, credentials):
        channels.append(grpc.secure_channel(address, credentials, options=[("grpc.use_local_subchannel_pool", 1)]))
        return type(stubs_for("127.0.0.1:1"))(channels[-1])

    yield connect
    for channel in channels:
        channel.close()


def shown_certificate(address, authority):
    """The common name of the certificate that a new connection is shown."""
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=authority.certificate)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        subject = dict(pair for (pair,) in tls.getpeercert()["subject"])
    return subject["commonName"]


def test_a_client_that_trusts_the_authority_is_answered(start_secured, authority, secure_stubs_for):
    with start_secured(*authority.server_flags(authority.issue("plain"))) as running:
        assert "(TLS), metrics on" in running.report
        stubs = secure_stubs_for(running.address, trusting(authority))
        assert stubs.inference.ServerLive(LIVE).live
        assert running.stop() == 0


def test_who_trusts_another_authority_or_speaks_plain_text_is_not(
    start_secured, authority, stranger, secure_stubs_for, stubs_for
):
    with start_secured(*authority.server_flags(authority.issue("plain"))) as running:
        for stubs in (secure_stubs_for(running.address, trusting(stranger)), stubs_for(running.address)):
            with pytest.raises(grpc.RpcError) as refused:
                stubs.inference.ServerLive(LIVE, timeout=PATIENCE_S)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert secure_stubs_for(running.address, trusting(authority)).inference.ServerLive(LIVE).live


def test_mutual_a_client_with_a_certificate_is_answered(mutual, authority, secure_stubs_for):
    assert "(mutual TLS), metrics on" in mutual.report
    stubs = secure_stubs_for(mutual.address, trusting(authority, authority.issue("camera")))
    assert stubs.inference.ServerLive(LIVE).live
    assert stubs.health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("certificate", ["none", "of a stranger", "expired", "not valid yet"])
def test_mutual_any_other_client_is_turned_away(mutual, authority, stranger, secure_stubs_for, certificate):
    client = {
        "none": lambda: None,
        "of a stranger": lambda: stranger.issue("stranger"),
        "expired": lambda: authority.issue("old", expired=True),
        "not valid yet": lambda: authority.issue("early", not_yet=True),
    }[certificate]()
    with pytest.raises(grpc.RpcError) as refused:
        secure_stubs_for(mutual.address, trusting(authority, client)).inference.ServerLive(LIVE, timeout=PATIENCE_S)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("fronts", [0, 2])
def test_new_connections_get_the_new_certificate_and_old_ones_go_on(start_secured, authority, secure_stubs_for, fronts):
    pair = authority.issue("first")
    with start_secured("--frontends", str(fronts), "--log-verbose", "1", *authority.server_flags(pair)) as running:
        stubs = secure_stubs_for(running.address, trusting(authority))
        watch = stubs.health.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        assert shown_certificate(running.address, authority) == "first"
        assert 364 < days_left(running) < 365

        replace(pair, authority.issue("second", days=7))
        wait_for_log(running, rf"{SERVER_SAYS} and are in force", 1 + fronts)

        assert shown_certificate(running.address, authority) == "second"
        assert 6 < days_left(running) < 7
        assert stubs.inference.ServerLive(LIVE).live
        assert running.stop() == 0
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING, "the old connection was there"
        assert "Traceback" not in running.log.read_text()


def test_a_pair_that_does_not_fit_is_not_taken_until_it_does(start_secured, authority):
    pair, other = authority.issue("fits"), authority.issue("new")
    with start_secured(*authority.server_flags(pair)) as running:
        shutil.copyfile(other.certificate, pair.certificate)
        line = wait_for_log(running, rf"ERROR +{SERVER_SAYS}, and those from before stay in force: (.*)")
        assert line[1] == (
            f"--grpc-server-key {pair.key}: it is not the key of the certificate in {pair.certificate} "
            "(--grpc-server-cert)"
        )
        assert shown_certificate(running.address, authority) == "fits"

        shutil.copyfile(other.key, pair.key)
        wait_for_log(running, rf"INFO +{SERVER_SAYS} and are in force")
        assert shown_certificate(running.address, authority) == "new"
        assert running.log.read_text().count("stay in force") == 1, "what is wrong is told once"


def test_clients_of_an_authority_that_was_added_are_taken(start_secured, authority, tmp_path, secure_stubs_for):
    roots, added = tmp_path / "roots.pem", Authority(tmp_path / "added")
    shutil.copyfile(authority.certificate, roots)
    pair = authority.issue("roots")
    flags = (
        "--grpc-use-ssl-mutual", "--grpc-server-cert", pair.certificate, "--grpc-server-key", pair.key,
        "--grpc-root-cert", roots,
    )  # fmt: skip
    with start_secured(*map(str, flags)) as running:
        newcomer = added.issue("newcomer")
        with pytest.raises(grpc.RpcError):
            secure_stubs_for(running.address, trusting(authority, newcomer)).inference.ServerLive(LIVE)
        with roots.open("ab") as file:
            file.write(added.certificate.read_bytes())
        wait_for_log(running, rf"{SERVER_SAYS} and are in force")
        for client in (newcomer, authority.issue("known")):
            assert secure_stubs_for(running.address, trusting(authority, client)).inference.ServerLive(LIVE).live


def days_left(server):
    """Of the certificate, as the metrics tell."""
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as response:
        found = re.search(r"\npasarela_certificate_expires_timestamp_seconds (\S+)\n", response.read().decode())
    return (float(found[1]) - time.time()) / 86400


def replace(old, new):
    """Puts new files in the place of old ones, as a person would: one after the other."""
    new.certificate.replace(old.certificate)
    new.key.replace(old.key)


def ended(tmp_path, *flags):
    """What a server says that does not start."""
    command = [
        sys.executable, "-m", "pasarela_server", "--model-repository", str(tmp_path), "--allow-empty-repository",
        "--grpc-address", "127.0.0.1", "--grpc-port", "0", "--metrics-port", "0", *flags,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("fronts", ["0", "2"])
def test_a_certificate_that_cannot_be_used_ends_the_start(tmp_path, authority, fronts):
    """The files' faults, one by one, are in tests/unit/server/security; this is how one of them reaches a person."""
    over = authority.issue("over", expired=True)
    process = ended(tmp_path, "--frontends", fronts, *authority.server_flags(over))
    assert (process.returncode, process.stdout) == (1, "")
    (line,) = process.stderr.splitlines()
    assert line == (
        f"pasarela-server: error: --grpc-server-cert {over.certificate}: no client would take it: "
        "certificate has expired"
    )


def test_tls_without_files_ends_the_start(tmp_path):
    process = ended(tmp_path, "--grpc-use-ssl")
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == (
        "pasarela-server: error: --grpc-use-ssl needs --grpc-server-cert PATH or PASARELA_GRPC_SERVER_CERT\n"
    )


def test_files_without_tls_are_warned_of(start_secured, authority, stubs_for):
    shown = authority.server_flags(authority.issue("unused"), mutual=True)[1:]
    with start_secured(*shown) as running:
        assert stubs_for(running.address).inference.ServerLive(LIVE).live, "as tritonserver: they have no effect"
        log = running.log.read_text()
        assert "gRPC speaks plain text: --grpc-use-ssl would use them" in log
        assert "--grpc-root-cert is not used: --grpc-use-ssl-mutual would" in log


def test_a_key_that_everybody_may_read_is_warned_of(start_secured, authority):
    pair = authority.issue("open")
    pair.key.chmod(0o644)
    with start_secured(*authority.server_flags(pair)) as running:
        assert f"--grpc-server-key {pair.key} may be read by every user of this machine" in running.log.read_text()
