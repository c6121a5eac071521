"""What a version's manifest says of how well it detects."""

import json
from pathlib import Path

import pytest

from pasarela_server.repository.manifest import read_quality

ROOT = Path(__file__).parents[4]


def splits(**figures: object) -> str:
    return json.dumps({"measured": {"splits": figures}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (splits(val={"map50_95": 0.5, "map50": 0.9}, test={"map50_95": 0.25}), {"val": 0.5, "test": 0.25}),
        (splits(), {}),  # reason: nothing was measured
        (splits(val={"map50": 0.9}), {}),  # reason: another figure is no substitute
        (splits(val={"map50_95": "good"}), {}),  # reason: no number
        (splits(val={"map50_95": None}), {}),  # reason: no number either
        (splits(val={"map50_95": 7.0}), {}),  # reason: a fraction is at most 1
        (splits(val=0.5), {}),  # reason: not the table that the publisher writes
        ('{"sha256": {}}', {}),  # reason: a manifest of checksums alone
        ("[]", {}),  # reason: no table at all
        ("{", {}),  # reason: half-written
        ("[" * 100_000, {}),  # reason: too deep for any reader
        (None, {}),  # reason: no manifest
    ],
)
def test_what_the_manifest_says_and_nothing_else(tmp_path: Path, text: str | None, expected: dict[str, float]) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    assert read_quality(tmp_path) == expected


def test_the_shipped_models_say_it() -> None:
    assert read_quality(ROOT / "model_repository" / "garments_openvino" / "1").keys() == {"val", "test"}
