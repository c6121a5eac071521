import subprocess
from pathlib import Path

import pytest

from pasarela_client import Detector
from pasarela_client.errors import PasarelaError
from pasarela_training.errors import TrainingError
from pasarela_training.verify.server import running_server


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """Those that are started."""
    started: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def start(*args, **options):  # type: ignore[no-untyped-def]
        started.append(real(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return started


def test_a_server_that_cannot_start_is_told_with_its_last_line(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    (tmp_path / "models").mkdir()
    with (
        pytest.raises(TrainingError, match=r"verify: the server ended with code 1 .*holds no models"),
        running_server(tmp_path / "models", tmp_path / "server.log"),
    ):
        pass
    assert [process.poll() for process in processes] == [1]


def test_the_server_is_gone_after_an_error_of_its_user(tmp_path: Path, processes: list[subprocess.Popen[str]]) -> None:
    (tmp_path / "models" / "broken" / "1").mkdir(parents=True)
    (tmp_path / "models" / "broken" / "1" / "model.onnx").write_text("no model")
    with (
        pytest.raises(PasarelaError, match="broken"),
        running_server(tmp_path / "models", tmp_path / "server.log") as url,
        Detector(url, "broken") as detector,
    ):
        assert detector.names
    assert [process.poll() for process in processes] == [0]
