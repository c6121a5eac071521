"""`pasarela-server health`, as the health check of an image runs it."""

import socket
import subprocess
import sys

import pytest

from tests.certificates import Authority


def ask(*flags, **environment):
    command = [sys.executable, "-m", "pasarela_server", "health", *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment or None)


@pytest.fixture
def empty(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


SERVES_NOTHING = ("--allow-empty-repository", "true")


def test_a_server_that_is_ready(empty, start_server):
    with start_server(empty, *SERVES_NOTHING) as server:
        port = server.address.rpartition(":")[2]
        asked = ask("--grpc-port", port)
        by_environment = ask(PASARELA_GRPC_PORT=port)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "SERVING\n", "")
    assert (by_environment.returncode, by_environment.stdout) == (0, "SERVING\n")


@pytest.mark.parametrize("mutual", [False, True], ids=["tls", "mutual"])
def test_a_server_behind_tls_whose_certificate_is_for_another_name(empty, start_server, tmp_path, mutual):
    authority = Authority(tmp_path / "ca")
    flags = authority.server_flags(authority.issue("server", "models.example"), mutual=mutual)
    with start_server(empty, *SERVES_NOTHING, *flags) as server:
        asked = ask("--grpc-port", server.address.rpartition(":")[2], *flags)
        other = authority.server_flags(authority.issue("other"), mutual=False)
        doubted = ask("--grpc-port", server.address.rpartition(":")[2], *other)
    assert (asked.returncode, asked.stdout) == (0, "SERVING\n"), asked.stderr
    assert doubted.returncode == 1, "what shows another certificate is not this server"


def test_a_model_that_is_broken_is_not_ready(tmp_path, start_server):
    broken = tmp_path / "models" / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / "model.onnx").write_bytes(b"no model")
    with start_server(tmp_path / "models") as server:
        asked = ask("--grpc-port", server.address.rpartition(":")[2])
    assert (asked.returncode, asked.stdout) == (1, "NOT_SERVING\n")


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    asked = ask("--grpc-port", port)
    assert asked.returncode == 1
    assert asked.stderr.startswith(f"no answer from 127.0.0.1:{port}: ")


def test_a_wrong_flag_is_wrong_usage():
    asked = ask("--grpc-prot", "1")
    assert asked.returncode == 2
    assert "--grpc-port" in asked.stderr


def test_certificates_that_the_server_does_not_use_are_not_asked_for(empty, start_server, tmp_path):
    files = Authority(tmp_path / "ca").issue("server")
    given = ("--grpc-server-cert", files.certificate, "--grpc-server-key", files.key)
    with start_server(empty, *SERVES_NOTHING, *given) as server:
        asked = ask("--grpc-port", server.address.rpartition(":")[2], *given)
    assert (asked.returncode, asked.stdout) == (0, "SERVING\n"), asked.stderr


def test_a_server_that_restricts_health(empty, start_server):
    restricted = "--grpc-restricted-protocol=trace:other=x,health,metadata:probe-key=a value"
    with start_server(empty, *SERVES_NOTHING, restricted) as server:
        asked = ask("--grpc-port", server.address.rpartition(":")[2], restricted)
    assert (asked.returncode, asked.stdout) == (0, "SERVING\n"), asked.stderr
