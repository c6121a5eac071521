"""What a front's process is, and where there can be none."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from pasarela_server.frontends.settings import VARIABLE, FrontSettings
from pasarela_server.frontends.supervise import FrontOptions, Fronts, FrontsUnavailable
from pasarela_server.observability.logging import DEFAULT_SETTINGS
from pasarela_server.rpc.address import PortUnavailable

OPTIONS = FrontOptions(2, "127.0.0.1", 0, 1024, "unavailable", 1)


def test_a_front_loads_no_framework():
    """Each of them costs memory and a start of seconds, in every front."""
    script = (
        "import sys, pasarela_server.frontends.front\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'onnxruntime', 'openvino'}))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param(["--help"], {}, id="help"),
        pytest.param([], {VARIABLE: "{}"}, id="no settings"),
    ],
)
def test_a_person_who_starts_a_front_is_told_what_to_do(arguments, environment):
    command = [sys.executable, "-m", "pasarela_server.frontends", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.strip() == "this is a part of pasarela-server: start that, with --frontends"


@pytest.mark.parametrize(
    ("where", "name", "text"),
    [
        # reason: Windows
        pytest.param(socket, "SO_REUSEPORT", "SO_REUSEPORT", id="no port can be shared"),
        # reason: macOS
        pytest.param(os, "memfd_create", "memfd_create", id="no memory without a name"),
    ],
)
def test_an_operating_system_that_cannot_is_named(monkeypatch, where, name, text):
    monkeypatch.delattr(where, name)
    with pytest.raises(FrontsUnavailable, match=rf"--frontends needs {text}, which {sys.platform} has not; leave it 0"):
        Fronts(OPTIONS, None)


async def test_the_port_is_kept_from_others_and_given_back():
    fronts = Fronts(OPTIONS, None)
    with pytest.raises(PortUnavailable, match=rf"127.0.0.1:{fronts.port}: Address already in use"):
        Fronts(FrontOptions(2, "127.0.0.1", fronts.port, 1024, "unavailable", 1), None)
    await fronts.close(0.0)
    again = Fronts(FrontOptions(2, "127.0.0.1", fronts.port, 1024, "unavailable", 1), None)
    await again.close(0.0)


async def test_the_folder_of_the_socket_is_for_this_user_only_and_goes_away():
    fronts = Fronts(OPTIONS, None)
    folder = fronts._folder
    assert folder.stat().st_mode & 0o777 == 0o700
    await fronts.close(0.0)
    assert not folder.exists()


def test_a_front_that_never_listens_ends_by_itself_whatever_has_become_of_its_back():
    """It hangs here before it has looked at its link, whose other end is open."""
    script = (
        "import signal, sys, types\n"
        "front = sys.modules['pasarela_server.frontends.front'] = types.ModuleType('front')\n"
        "front.run = lambda settings: [signal.pause() for _ in iter(int, 1)]\n"
        "from pasarela_server.frontends.__main__ import main\n"
        "main()\n"
    )
    ours, theirs = socket.socketpair()
    settings = FrontSettings(
        index=0, link_fd=theirs.fileno(), arena_fd=0, back="unix:/none", address="127.0.0.1", port=0,
        max_message_bytes=1024, queue_full_status="unavailable", image_threads=1, log=DEFAULT_SETTINGS.to_text(),
        set_up_s=0.05,
    )  # fmt: skip
    with ours, theirs:
        ended = subprocess.run(
            [sys.executable, "-c", script],
            check=False,
            timeout=60,
            pass_fds=(theirs.fileno(),),
            env=os.environ | {VARIABLE: settings.to_text()},
        )
    assert ended.returncode == -signal.SIGALRM
