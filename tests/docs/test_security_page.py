"""What docs/security.md tells people to type works as it stands; its tables hold what the code holds."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pasarela_server.config.restricted import PROTOCOLS
from pasarela_server.config.server import flag, settings
from pasarela_server.rpc.groups import CALLERS, EVERYBODY
from pasarela_server.security.tokens import Group
from tests.tiny_models import write_onnx

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
COMMANDS = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)


def test_the_lines_of_the_page_make_a_server_and_a_client_that_know_each_other(tmp_path, start_server):
    made, (server, client) = COMMANDS[:4], COMMANDS[4:]
    for command in made:
        assert command.startswith("openssl ")
        subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    for name in ("server.key", "token", "tokens"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0

    write_onnx(tmp_path / "models" / "add" / "1", 1)
    words = [inside(tmp_path, word) for word in shlex.split(server)]
    assert words[0].endswith(".venv/bin/pasarela-server")
    with start_server(tmp_path / "models", *words[1:]) as running:
        assert "(TLS and tokens), metrics on" in running.report
        assert "WARNING" not in running.log.read_text()
        port = running.address.rpartition(":")[2]
        words = [inside(tmp_path, word).replace(":8001", f":{port}") for word in shlex.split(client)]
        assert words[0] == "pasarela"
        asked = subprocess.run(
            [sys.executable, "-m", "pasarela_client", *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (asked.returncode, asked.stderr) == (0, "")
        assert re.search(r"^add +1 +READY", asked.stdout, re.MULTILINE)


def inside(folder, word):
    """The path of a file that the lines before have made."""
    return str(folder / word) if (folder / word).is_file() else word


@pytest.mark.parametrize("name", ["grpc_use_ssl", "grpc_use_ssl_mutual", "grpc_server_cert", "grpc_server_key",
    "grpc_root_cert", "auth_tokens_file", "grpc_restricted_protocol", "max_requests_per_client",
    "max_streams_per_client"])  # fmt: skip
def test_every_flag_is_on_the_page(name):
    assert name in {setting.name for setting in settings()}
    assert f"`{flag(name)}`" in PAGE


def test_the_table_of_groups_says_what_the_code_does():
    rows = {}
    table = PAGE.split("| group | may call |", 1)[1].split("\n\n", 1)[0]
    for line in table.splitlines()[2:]:
        who, what = (cell.strip() for cell in line.strip("|").split("|"))
        rows[frozenset(re.findall(r"`(\w+)`", who)) or who] = what
    for path, groups in CALLERS.items():
        service, _, method = path.rpartition("/")
        key = frozenset(group.value for group in groups)
        if groups == EVERYBODY:
            told = rows["none needed"]
            assert (f"`{method}`" if service.startswith("/inference.") else "the health service") in told
        elif groups == set(Group):
            assert rows["any token"] == "reflection"
        else:
            named = method.replace("SystemSharedMemory", "").replace("CudaSharedMemory", "")
            verbs = {"Register": "registering", "Unregister": "unregistering shared memory"}
            assert f"`{method}`" in rows[key] or verbs.get(named, "nowhere") in rows[key], path


def test_the_protocols_of_triton_are_named():
    assert ", ".join(PROTOCOLS) in PAGE
