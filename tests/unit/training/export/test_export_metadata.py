import json
from pathlib import Path

import pytest

from pasarela_training.export.metadata import (
    FACTS,
    ModelFacts,
    missing_keys,
    model_facts,
    read_facts,
    served_metadata,
)

EXPORTED = {
    "description": "Ultralytics YOLOv9t model ",
    "date": "2020-01-01T00:00:00",
    "stride": 32,
    "task": "detect",
    "imgsz": [320, 320],
    "names": {"0": "vest", "1": "sling"},
    "args": {"batch": 1, "dynamic": True, "data": "/home/someone/data.yaml"},
}


def test_nothing_of_the_machine_or_the_day_is_published() -> None:
    served = served_metadata(EXPORTED)
    assert "date" not in served
    assert "/home" not in json.dumps(served)


def test_the_size_is_declared_fixed_and_names_are_numbered() -> None:
    served = served_metadata(EXPORTED)
    assert served["args"]["dynamic"] is False
    assert served["names"] == {0: "vest", 1: "sling"}


def test_cleaning_twice_changes_nothing() -> None:
    once = served_metadata(EXPORTED)
    assert served_metadata(once) == once


@pytest.mark.parametrize("key", ["task", "names", "stride", "imgsz"])
def test_what_a_server_needs_is_asked_for(key: str) -> None:
    assert missing_keys(EXPORTED) == []
    assert missing_keys({name: value for name, value in EXPORTED.items() if name != key}) == [key]


def test_facts_survive_being_written(tmp_path: Path) -> None:
    facts = model_facts(served_metadata(EXPORTED))
    assert facts == ModelFacts(("vest", "sling"), 32, 320)
    (tmp_path / FACTS).write_text(json.dumps({"names": ["vest", "sling"], "stride": 32, "imgsz": 320}))
    assert read_facts(tmp_path) == facts
