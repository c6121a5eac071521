import pytest

from pasarela_training.config import TrainSection
from pasarela_training.config.reference import config_reference, sections


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


@pytest.mark.parametrize("size", "tsmce")
def test_a_size_is_its_network(size: str) -> None:
    assert TrainSection(model=f"yolov9{size}").model == f"yolov9{size}.yaml"
