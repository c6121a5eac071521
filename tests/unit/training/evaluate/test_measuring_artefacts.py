from pathlib import Path

import pytest

from pasarela_training.config import EvaluateSection
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.artefact import evaluate_artefact


@pytest.mark.parametrize("name", ["model.onnx", "weights.pt", "model.tflite"])
def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match=f"there is no file .*{name}"):
        evaluate_artefact(tmp_path / name, tmp_path, tmp_path, EvaluateSection())


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("model.tflite", b"", r"is none of \.onnx, \.xml, \.pt"),  # reason: a kind that is not served
        ("model", b"", "is none of"),  # reason: no kind at all
        ("model.onnx", b"no model", "onnx cannot be run as the server would"),  # reason: not what its name says
        ("model.xml", b"<a/>", "openvino cannot be run as the server would"),  # reason: not what its name says
        ("model.pt", b"no archive", "export it with"),  # reason: not what its name says
    ],
)
def test_what_cannot_be_served_is_refused(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=part):
        evaluate_artefact(tmp_path / name, tmp_path, tmp_path, EvaluateSection())


def test_a_checkpoint_is_never_loaded_and_says_to_export_it(tmp_path: Path) -> None:
    import torch

    checkpoint = tmp_path / "weights.pt"
    torch.save({"model": torch.zeros(1)}, checkpoint)
    with pytest.raises(TrainingError, match=r"is a checkpoint.*export it with: yolo export"):
        evaluate_artefact(checkpoint, tmp_path, tmp_path, EvaluateSection())
