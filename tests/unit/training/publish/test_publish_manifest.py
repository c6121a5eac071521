import json
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.publish.manifest import previous_scores, read_manifest


def manifest(digest: str | None, figure: Any) -> dict[str, Any]:
    return {
        "data": {"splits": {"test": {"digest": digest}}},
        "measured": {"splits": {"test": {"map50_95": figure}}},
    }


@pytest.mark.parametrize(
    ("written", "digest", "found"),
    [
        (manifest("same", 0.8), "same", {"onnx": 0.8}),  # reason: the same images
        (manifest("other", 0.8), "same", {}),  # reason: figures on other images say nothing
        (manifest(None, 0.8), None, {}),  # reason: nobody knows which images
        ({"model": "garments_onnx"}, "same", {}),  # reason: published before figures were kept
        (manifest("same", None), "same", {}),  # reason: no figure
        ("cut", "same", {}),  # reason: no object
    ],
)
def test_figures_of_the_version_before(
    tmp_path: Path, written: Any, digest: str | None, found: dict[str, float]
) -> None:
    version = tmp_path / "garments_onnx" / "3"
    version.mkdir(parents=True)
    (version / "manifest.json").write_text(json.dumps(written))
    sample = {"splits": {"test": {"digest": digest}}}
    assert previous_scores(tmp_path, {"onnx": "garments_onnx"}, {"garments_onnx": 3}, sample) == found


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_what_is_no_manifest_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert read_manifest(tmp_path) == {}
