import os
from pathlib import Path

import pytest

from pasarela_training.framework import prepare_environment


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    environment: dict[str, str] = {"OMP_NUM_THREADS": "1"}
    monkeypatch.setattr(os, "environ", environment)
    return environment


def test_ultralytics_neither_installs_nor_looks_things_up_nor_trains_on_one_core(
    environment: dict[str, str], tmp_path: Path
) -> None:
    prepare_environment(tmp_path / "settings", threads=6)
    assert environment["OMP_NUM_THREADS"] == "6"
    assert environment["YOLO_AUTOINSTALL"] == "false"
    assert environment["YOLO_OFFLINE"] == "true"
    assert Path(environment["YOLO_CONFIG_DIR"]) == tmp_path / "settings"
    assert (tmp_path / "settings").is_dir()
