import json
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.synthesize import SynthesizeReport, SynthesizeSettings, synthesize

Annotations = dict[str, dict[str, Any]]

IMAGES = 96


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> SynthesizeReport:
    settings = SynthesizeSettings(images=IMAGES, seed=7, width=192, height=240)
    return synthesize(tmp_path_factory.mktemp("synthetic") / "deepfashion2", settings, processes=1)


@pytest.fixture(scope="session")
def dataset(report: SynthesizeReport) -> Path:
    return report.output


@pytest.fixture(scope="session")
def annotations(dataset: Path) -> Annotations:
    files = sorted((dataset / "train" / "annos").iterdir())
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


@pytest.fixture(scope="session")
def items(annotations: Annotations) -> list[dict[str, Any]]:
    return [value for entry in annotations.values() for key, value in entry.items() if key.startswith("item")]
