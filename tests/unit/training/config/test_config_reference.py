from pathlib import Path

import pytest

from pasarela_training.config import TrainSection, load_config
from pasarela_training.config.reference import config_reference, sections
from pasarela_training.errors import ConfigError


@pytest.mark.parametrize(("place", "section"), sections())
def test_every_key_is_explained(place: str, section: type) -> None:
    for key, field in section.model_fields.items():  # type: ignore[attr-defined]
        explained = field.description or getattr(field.annotation, "__doc__", None)
        assert explained, f"{place}.{key} has no docstring"
        assert f"| `{key}` |" in config_reference()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"model": "yolov9x"}, "expected yolov9t, s, m, c or e"),  # reason: no such size
        ({"model": "yolov9x.yaml"}, "no network yolov9x.yaml"),  # reason: neither as a file
        ({"model": "best.onnx"}, "checkpoint"),  # reason: an export cannot be trained
        ({"model": "nonsense.yaml"}, "neither a network of Ultralytics nor a file"),  # reason: nothing would be found
        ({"lr0": 2}, "less than or equal to 1"),  # reason: Ultralytics would refuse it when training starts
        ({"patience": 5}, "needs validate_each_epoch"),  # reason: nothing would say when to stop
        ({"device": "gpu"}, "match pattern"),  # reason: which one?
        ({"device": "0,0"}, "names a GPU twice"),  # reason: a process each would fight for it
        ({"device": "0,1", "batch": 7}, "cannot be divided among 2 GPUs"),  # reason: unequal shares
        ({"precision": "bf16"}, "needs a GPU"),  # reason: the CPU trains in fp32
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, object], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        TrainSection.model_validate(changes)


@pytest.mark.parametrize("model", ["yolov8n.yaml", "yolo11s.yaml", "yolov10m.yaml", "rtdetr-l.yaml"])
def test_other_networks_of_ultralytics_are_known(model: str) -> None:
    assert TrainSection(model=model).model == model


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("train:\n  epochs: 9\n  patience: 5\n", 5),  # reason: the key that has to change, not its section
        ("train:\n  epochs: 9\n  device: 0,0\n", 5),  # reason: likewise
        ("export:\n  variants: [onnx]\npublish:\n  serve: int8\n", 6),  # reason: a fault between two sections
    ],
)
def test_a_fault_between_keys_names_the_line_of_the_key(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"workspace: w\ndataset: {{source: d}}\n{text}")
    with pytest.raises(ConfigError, match=rf"run\.yaml:{line}: "):
        load_config(path)


@pytest.mark.parametrize("size", "tsmce")
def test_a_size_is_its_network(size: str) -> None:
    assert TrainSection(model=f"yolov9{size}").model == f"yolov9{size}.yaml"
