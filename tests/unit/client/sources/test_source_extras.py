"""Sources where optional packages are not installed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pasarela_client.__main__ import main
from pasarela_client.errors import MissingExtra
from pasarela_client.media import VideoWriter
from pasarela_client.sources import open_source
from pasarela_client.sources.source import as_jpeg
from tests.unit.client.recordings import numbered, record


def test_naming_stills_needs_no_package() -> None:
    program = "import sys; from pasarela_client.sources import open_source; open_source('a.jpg'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {"av", "PIL", "cv2"}.isdisjoint(loaded)


def test_without_pyav_videos_and_cameras_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(tmp_path / "clip.mp4", map(numbered, range(3)))
    monkeypatch.setitem(sys.modules, "av", None)
    wanted = r"pip install 'pasarela-client\[video\]'"
    for name in (path, "0", "rtsp://127.0.0.1:9/x", "http://127.0.0.1:9/x"):
        with pytest.raises(MissingExtra, match=wanted):
            open_source(name)
    with pytest.raises(MissingExtra, match=wanted):
        VideoWriter(tmp_path / "out.mp4")


def test_the_command_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], unused_url: str
) -> None:
    path = record(tmp_path / "clip.mp4", map(numbered, range(3)))
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["detect", str(path), "--url", unused_url]) == 1
    assert capsys.readouterr().err == ("pasarela: videos and cameras need PyAV: pip install 'pasarela-client[video]'\n")


def test_without_pillow_frames_cannot_be_sent_as_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pasarela-client\[video\]'"):
        as_jpeg(np.zeros((2, 2, 3), np.uint8), 90)
