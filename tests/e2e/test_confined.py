"""The server as its image runs it: nobody's user, no privileges, and a file system that it cannot write to."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from pasarela_client import Detector

READ_ONLY = """
mount -o remount,bind,ro / && mount -t tmpfs tmpfs /dev/shm || exit 99
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
  --inh-caps -all,+dac_read_search --ambient-caps -all,+dac_read_search "$@"
"""
"""Reading is allowed everywhere, as it is in an image: a checkout may lie in a folder that nobody else may enter."""


@pytest.fixture
def confined() -> list[str]:
    """A command that runs another one read-only and as nobody. Who is not root becomes it in a name space first."""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-auto", "--map-root-user"]
    return [*alone, "sh", "-c", READ_ONLY, "sh"]


@pytest.mark.parametrize("flags", [(), ("--frontends", "2")], ids=["one process", "with fronts"])
def test_it_serves_where_it_may_write_nothing(
    start_server: Any, repository: Path, sample_image: Path, confined: list[str], tmp_path: Path, flags: tuple[str, ...]
) -> None:
    cache = tmp_path / "cache"
    chosen = ("--model-control-mode", "explicit", "--load-model", "garments", "--load-model", "garments_onnx")
    flags = (*chosen, "--model-cache", str(cache), *flags)
    with start_server(repository, *flags, under=confined) as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        with Detector(server.address, "garments") as detector:
            found = detector.detect(sample_image, confidence=0.0001)
        assert server.stop() == 0
    assert re.search(r"^Uid:\s+65534\s+65534\s", status, re.MULTILINE), "the server is what the command became"
    assert len(found)
    log = server.log.read_text()
    assert "cannot be written, the next start will compile again" in log, "the check that nothing could be written"
    assert "Traceback" not in log
    assert not cache.exists()
