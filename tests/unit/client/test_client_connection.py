"""Settings of connections, and the files they name: what is refused, and in which words."""

from __future__ import annotations

import inspect
import math
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # compiled

from pasarela_client import Connection, Detector, InvalidRequest, Retry, Tls
from pasarela_client.addresses import Address, parse_address, parse_addresses
from pasarela_client.channel_options import channel_options
from pasarela_client.connection import Token
from pasarela_client.credentials import TokenSource, read_credentials
from pasarela_server.rpc.server import server_options
from tests.certificates import Authority, Pair

LOCAL, FAR = parse_address("127.0.0.1:8001"), parse_address("gpu.example.org:8001")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("client")


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:8001", Address("127.0.0.1:8001")),
        ("gpu:8001/", Address("gpu:8001")),
        ("grpc://gpu:8001", Address("gpu:8001")),
        ("grpcs://gpu:8001", Address("gpu:8001", secure=True)),
        ("[::1]:8001", Address("[::1]:8001")),
        ("unix:/run/pasarela.sock", Address("unix:/run/pasarela.sock")),
        # reason: it was copied with a space
        (" gpu:8001 ", Address("gpu:8001")),
    ],
)
def test_addresses(written: str, address: Address) -> None:
    assert parse_address(written) == address


@pytest.mark.parametrize(
    "written", ["", "gpu", "gpu:", ":8001", "gpu:x", "gpu:0", "gpu:65536", "http://gpu:8001", "gpu:²"]
)
def test_what_is_no_address(written: str) -> None:
    with pytest.raises(InvalidRequest, match="looks like"):
        parse_address(written)


@pytest.mark.parametrize(
    ("written", "targets"),
    [
        ("a:1,b:2", ["a:1", "b:2"]),
        ("a:1, b:2", ["a:1", "b:2"]),
        (["a:1", "grpcs://b:2"], ["a:1", "b:2"]),
        # reason: asking one server twice as often is not what somebody meant who named it twice
        ("a:1,b:2,a:1", ["a:1", "b:2"]),
    ],
)
def test_several_addresses(written: Any, targets: list[str]) -> None:
    assert [address.target for address in parse_addresses(written)] == targets


@pytest.mark.parametrize(
    ("written", "local"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("unix:/s", True),
        ("10.0.0.1:1", False),
        ("gpu:1", False),
        # reason: a name may be anything's
        ("localhost.example.org:1", False),
    ],
)
def test_whether_an_address_is_on_this_machine(written: str, local: bool) -> None:
    assert parse_address(written).local is local


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"keepalive_s": 5.0}, "keepalive_s is at least 10"),
        ({"connect_timeout_s": 0.0}, "connect_timeout_s"),
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Connection(**wrong)


def test_what_is_said_directly_takes_the_place_of_what_the_settings_say() -> None:
    settings = Connection(tls=True, token="old", retry=Retry(retries=5, first_s=0.2), keepalive_s=20.0)
    assert settings.having() == settings
    changed = settings.having(tls="ca.pem", token="new", retries=0)
    assert changed == Connection(tls="ca.pem", token="new", retry=Retry(retries=0, first_s=0.2), keepalive_s=20.0)
    assert settings.having(tls=False).tls_files is None


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Connection(token="secret"))


@pytest.mark.parametrize("tls", [{"certificate": "me.pem"}, {"key": "me.key"}])
def test_a_certificate_and_its_key_belong_together(tls: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="needs its"):
        Tls(**tls)


def test_whole_settings_make_credentials(authority: Authority, pair: Pair) -> None:
    assert read_credentials(Connection(), FAR) is None
    for tls in (
        True,
        authority.certificate,
        str(authority.certificate),
        Tls(certificate=pair.certificate, key=pair.key),
    ):
        assert read_credentials(Connection(tls=tls), FAR) is not None
    assert read_credentials(Connection(), parse_address("grpcs://gpu:8001")) is not None


def _foreign_key(folder: Path, pair: Pair) -> Path:
    return Authority(folder / "other").issue("other").key


def _encrypted_key(folder: Path, pair: Pair) -> Path:
    key = load_pem_private_key(pair.key.read_bytes(), None)
    path = folder / "encrypted.key"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"password"))
    )
    return path


@pytest.mark.parametrize(
    "key",
    [
        # reason: it belongs to another certificate
        _foreign_key,
        # reason: nobody is there to type the password
        _encrypted_key,
        # reason: files mixed up
        lambda folder, pair: pair.certificate,
    ],
    ids=["foreign", "encrypted", "no key"],
)
def test_a_key_that_cannot_be_used(key: Any, pair: Pair, tmp_path: Path) -> None:
    tls = Tls(certificate=pair.certificate, key=key(tmp_path, pair))
    with pytest.raises(InvalidRequest, match="not a certificate and its unencrypted private key"):
        read_credentials(Connection(tls=tls), FAR)


@pytest.mark.parametrize(
    "content", [b"", b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_that_holds_no_certificates(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"ca\.pem holds no certificates"):
        read_credentials(Connection(tls=path), FAR)


def test_a_key_is_no_authority(pair: Pair) -> None:
    with pytest.raises(InvalidRequest, match="holds no certificates"):
        read_credentials(Connection(tls=pair.key), FAR)


@pytest.mark.parametrize("role", ["ca", "certificate", "key"])
def test_a_file_that_is_not_there_is_named(role: str, authority: Authority, pair: Pair, tmp_path: Path) -> None:
    files = {"ca": authority.certificate, "certificate": pair.certificate, "key": pair.key}
    files[role] = tmp_path / "missing.pem"
    with pytest.raises(InvalidRequest, match=r"cannot read the TLS .*missing\.pem: No such file"):
        read_credentials(Connection(tls=Tls(**files)), FAR)


@pytest.mark.parametrize(
    ("settings", "address", "refused"),
    [
        # reason: everybody on the way could read it
        ({}, FAR, True),
        ({"allow_insecure_token": True}, FAR, False),
        # reason: it stays on this machine
        ({}, LOCAL, False),
        ({"tls": True}, FAR, False),
        ({}, parse_address("grpcs://gpu:8001"), False),
    ],
)
def test_a_token_goes_out_encrypted_or_not_at_all(settings: dict[str, Any], address: Address, refused: bool) -> None:
    connection = Connection(token="secret", **settings)
    if refused:
        with pytest.raises(InvalidRequest, match="could read the token") as raised:
            read_credentials(connection, address)
        assert "secret" not in str(raised.value)
    else:
        read_credentials(connection, address)


def test_a_token_in_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    source = TokenSource(path)
    assert source.current() == "first"
    fresh = tmp_path / "fresh"
    fresh.write_text("second")
    fresh.replace(path)
    assert source.current() == "second"
    path.unlink()
    assert source.current() == "second", "it is away for a moment"
    path.write_text("")
    assert source.current() == "second", "it is just being written"
    path.write_text("third")
    os.utime(path, ns=(1, 1))
    assert source.current() == "third"


def test_a_token_from_a_function_is_asked_for_each_call() -> None:
    tokens = iter(["first", "second"])
    source = TokenSource(lambda: next(tokens))
    assert (source.current(), source.current()) == ("first", "second")


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "päss", None, 3])
def test_what_cannot_be_sent_is_no_token(token: Any) -> None:
    with pytest.raises(InvalidRequest, match="a token is"):
        TokenSource(lambda: token).current()


def test_a_text_that_cannot_be_sent_is_refused_at_once() -> None:
    with pytest.raises(InvalidRequest, match="a token is"):
        TokenSource("two words")


@pytest.mark.parametrize("content", [None, "", "two words"])
def test_a_file_without_a_token_is_refused_at_once(tmp_path: Path, content: str | None) -> None:
    path: Token = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidRequest, match="token"):
        TokenSource(path)


def test_the_server_permits_our_pings() -> None:
    its = dict(server_options(1))
    assert its["grpc.keepalive_permit_without_calls"]
    for connection in (Connection(), Connection(keepalive_s=10.0)):
        ours = dict(channel_options(connection))
        assert ours["grpc.keepalive_time_ms"] >= 2 * its["grpc.http2.min_ping_interval_without_data_ms"]


def test_grpc_knows_every_option_that_it_is_given() -> None:
    """It ignores those that it does not know, and its headers call some by other names than it reads."""
    library = Path(cygrpc.__file__).read_bytes()
    everything = Connection(tls=Tls(server_name="box"))
    for name, _ in (*channel_options(everything), *server_options(1, shares_port=True)):
        assert name.encode() in library, name


def test_who_died_silently_is_noticed_while_a_call_has_time_left() -> None:
    options = dict(channel_options(Connection()))
    noticed_ms = options["grpc.keepalive_time_ms"] + options["grpc.http2.ping_timeout_ms"]
    default_s = inspect.signature(Detector).parameters["timeout_s"].default
    assert noticed_ms / 1000 < default_s


def test_options_of_a_channel() -> None:
    assert "grpc.keepalive_time_ms" not in dict(channel_options(Connection(keepalive_s=None)))
    options = dict(channel_options(Connection(tls=Tls(server_name="box"), connect_timeout_s=2.5)))
    assert options["grpc.ssl_target_name_override"] == "box"
    assert options["grpc.min_reconnect_backoff_ms"] == 2500
    assert options["grpc.max_receive_message_length"] == options["grpc.max_send_message_length"] == -1


def test_grpc_can_hold_all_times() -> None:
    options = dict(channel_options(Connection(connect_timeout_s=math.inf, keepalive_s=1e9)))
    assert options["grpc.min_reconnect_backoff_ms"] == options["grpc.keepalive_time_ms"] == 2**31 - 1
