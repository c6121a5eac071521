"""What the settings of a server become, and what they leave alone."""

import logging

import pytest

from pasarela_server.config.server import ServerConfig
from pasarela_server.rpc.gate import Gate
from pasarela_server.rpc.protection import Protection, protect
from pasarela_server.security.files import UnusableFile
from pasarela_server.security.settings import UNSECURED
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def configured(authority, tmp_path):
    """Settings with everything given, and switched on as the test says."""
    pair = authority.issue("server")
    tokens = tmp_path / "tokens"
    tokens.write_text("inference 0123456789abcdef\n")
    tokens.chmod(0o600)

    def settings(**changes):
        given = {
            "grpc_server_cert": pair.certificate,
            "grpc_server_key": pair.key,
            "grpc_root_cert": authority.certificate,
            "auth_tokens_file": tokens,
        }
        return ServerConfig(model_repository=tmp_path, **given | changes)

    return settings


NO_FILES = {"grpc_server_cert": None, "grpc_server_key": None, "grpc_root_cert": None, "auth_tokens_file": None}
NO_ROOTS = {"grpc_root_cert": None}

ASKED = [
    # settings, what clients need, warnings, reason
    (NO_FILES, "", [], "nothing is asked for"),
    ({"grpc_use_ssl": True, **NO_ROOTS}, "TLS and tokens", [], "certificate and tokens"),
    ({"grpc_use_ssl": True, **NO_ROOTS, "auth_tokens_file": None}, "TLS", [], "certificate alone"),
    ({"grpc_use_ssl_mutual": True}, "mutual TLS and tokens", [], "all of it: mutual is TLS by itself"),
    ({"grpc_use_ssl_mutual": True, "grpc_use_ssl": True}, "mutual TLS and tokens", [], "mutual comes before"),
    ({"grpc_use_ssl": True}, "TLS and tokens", ["--grpc-root-cert is not used"], "roots without mutual"),
    ({}, "tokens", ["certificates are given", "--grpc-root-cert is not used", "tokens travel in plain text"],
     "files are not yet a wish, as in tritonserver"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "needed", "warnings"), [pytest.param(*row[:3], id=row[3]) for row in ASKED])
def test_what_is_asked_for(configured, caplog, changes, needed, warnings):
    caplog.set_level(logging.INFO)
    protection = protect(configured(**changes))
    assert protection.describe() == needed
    assert (protection.credentials() is None) == ("TLS" not in needed)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == len(warnings)
    assert all(line.startswith(words) for line, words in zip(told, warnings, strict=True))


def test_what_a_person_types(configured):
    assert protect(configured(**NO_FILES)).client_flags() == ""
    assert protect(configured(grpc_use_ssl=True, auth_tokens_file=None)).client_flags() == " --tls-ca <authority>"
    assert protect(configured(grpc_use_ssl_mutual=True)).client_flags() == (
        " --tls-ca <authority> --tls-cert <certificate> --tls-key <key> --token-file <token>"
    )


def test_without_tokens_nothing_stands_before_the_handlers(configured):
    handlers = (object(), object())
    assert Protection(UNSECURED).before(handlers) == handlers
    assert protect(configured(grpc_use_ssl=True, auth_tokens_file=None)).before(handlers) == handlers
    (gate,) = protect(configured()).before(handlers)
    assert isinstance(gate, Gate)


def test_a_certificate_that_is_over_soon_is_told(configured, authority, caplog):
    authority.issue("server", days=3)
    protect(configured(grpc_use_ssl_mutual=True))
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("the server's certificate expires in 71 hours, at ")


def test_another_process_tells_nothing(configured, authority, caplog):
    authority.issue("server", days=3).key.chmod(0o644)
    settings = protect(configured(grpc_use_ssl_mutual=True)).settings
    caplog.clear()
    Protection(settings, quiet=True)
    assert caplog.records == []


def test_a_file_that_cannot_be_used_is_an_error(configured, tmp_path):
    (tmp_path / "tokens").write_text("nothing\n")
    with pytest.raises(UnusableFile, match="--auth-tokens-file"):
        protect(configured())
