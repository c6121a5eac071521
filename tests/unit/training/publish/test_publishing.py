import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from pasarela_server.config.pbtxt import parse_model_config
from pasarela_training.config import Config
from pasarela_training.errors import PublicationRefused, TrainingError
from pasarela_training.evaluate.scores import Scores
from pasarela_training.evaluate.stage import RESULTS, Measured
from pasarela_training.export.metadata import FACTS
from pasarela_training.fingerprint import file_sha256
from pasarela_training.publish import repository as repository_module
from pasarela_training.publish.stage import publish
from pasarela_training.variants import VARIANTS

MODELS = ["garments_onnx", "garments_openvino", "garments_pytorch"]


class Run:
    """The outputs of the stages before `publish`, with contents of no sense."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "models"
        self.sample, self.exported, self.evaluated = folder / "sample", folder / "export", folder / "evaluate"
        for stage in (self.sample, self.exported, self.evaluated):
            stage.mkdir()
        counts = {"images": 1, "items": 2, "classes": {"vest": 1, "sling": 1}}
        manifest = {"seed": 0, "group": "image", "splits": {"train": counts, "val": counts, "test": counts}}
        (self.sample / "manifest.json").write_text(json.dumps(manifest))
        (self.exported / FACTS).write_text(json.dumps({"names": ["vest", "sling"], "stride": 32, "imgsz": 320}))
        self.export("weights")
        self.measure(0.95)

    def export(self, content: str) -> None:
        for name, variant in VARIANTS.items():
            (self.exported / name).mkdir(exist_ok=True)
            for file in variant.files:
                (self.exported / name / file).write_text(f"{content} {file}")

    def measure(self, map50: float) -> None:
        scores = Scores(map50 - 0.1, map50, map50, {"vest": map50})
        measured = [Measured(name, f"{name}, f32", 5.0, {"val": scores, "test": scores}) for name in VARIANTS]
        (self.evaluated / RESULTS).write_text(json.dumps([asdict(one) for one in measured]))

    def publish(self) -> str:
        config = Config.model_validate(
            {
                "workspace": "w",
                "dataset": {"source": "d", "synthesize": {"images": 30}},
                "publish": {"repository": self.repository},
            }
        )
        return publish(config, self.sample, self.exported, self.evaluated)

    def tree(self) -> dict[str, str]:
        files = sorted(path for path in self.repository.rglob("*") if path.is_file())
        return {path.relative_to(self.repository).as_posix(): path.read_text() for path in files}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_the_repository_holds_every_variant_and_the_detection_model(run: Run) -> None:
    run.publish()
    assert set(run.tree()) == {
        "garments/config.pbtxt",
        "garments/labels.txt",
        "garments/MODEL_CARD.md",
        "garments_onnx/config.pbtxt",
        "garments_onnx/labels.txt",
        "garments_onnx/1/model.onnx",
        "garments_onnx/1/manifest.json",
        "garments_openvino/config.pbtxt",
        "garments_openvino/labels.txt",
        "garments_openvino/1/model.xml",
        "garments_openvino/1/model.bin",
        "garments_openvino/1/metadata.yaml",
        "garments_openvino/1/manifest.json",
        "garments_pytorch/config.pbtxt",
        "garments_pytorch/labels.txt",
        "garments_pytorch/1/model.pt",
        "garments_pytorch/1/manifest.json",
    }
    assert run.tree()["garments/labels.txt"] == "vest\nsling\n"


def test_the_configurations_are_what_the_server_reads(run: Run) -> None:
    run.publish()
    tree = run.tree()
    raw = parse_model_config(tree["garments_openvino/config.pbtxt"], "garments_openvino/config.pbtxt")
    assert (raw.name, raw.backend, raw.max_batch_size) == ("garments_openvino", "openvino", 8)
    assert (raw.input[0].name, list(raw.input[0].dims)) == ("images", [3, 320, 320])
    assert (raw.output[0].name, list(raw.output[0].dims)) == ("output0", [6, 2100])
    served = parse_model_config(tree["garments/config.pbtxt"], "garments/config.pbtxt")
    assert (served.name, served.backend, served.max_batch_size) == ("garments", "detection", 0)
    assert served.parameters["model"].string_value == "garments_openvino"


def test_the_manifest_has_the_sums_of_the_files(run: Run) -> None:
    run.publish()
    for model in MODELS:
        folder = run.repository / model / "1"
        manifest = json.loads((folder / "manifest.json").read_text())
        files = [path for path in folder.iterdir() if path.name != "manifest.json"]
        assert manifest == {
            "model": model,
            "version": 1,
            "sha256": {path.name: file_sha256(path) for path in sorted(files)},
        }


def test_publishing_again_changes_nothing(run: Run) -> None:
    run.publish()
    before = run.tree()
    assert "nothing new" in run.publish()
    assert run.tree() == before


def test_other_contents_become_the_next_version_of_all_variants(run: Run) -> None:
    run.publish()
    run.export("better weights")
    assert "version 2" in run.publish()
    for model in MODELS:
        assert sorted(path.name for path in (run.repository / model).iterdir() if path.is_dir()) == ["1", "2"]
    assert run.tree()["garments_onnx/1/model.onnx"] == "weights model.onnx"
    assert run.tree()["garments_onnx/2/model.onnx"] == "better weights model.onnx"


def test_a_damaged_version_is_not_taken_for_the_same(run: Run) -> None:
    run.publish()
    (run.repository / "garments_onnx" / "1" / "model.onnx").write_text("cut")
    assert "version 2" in run.publish()


def test_a_publication_that_was_interrupted_is_completed_under_its_number(run: Run) -> None:
    run.publish()
    shutil.rmtree(run.repository / "garments_openvino")
    assert "version 1" in run.publish()
    assert "garments_openvino/1/model.bin" in run.tree()


def test_a_refusal_changes_nothing(run: Run) -> None:
    run.measure(0.5)
    with pytest.raises(PublicationRefused, match=r"mAP50 0\.5000 on test, below"):
        run.publish()
    assert not run.repository.exists()


def test_a_version_appears_only_when_it_is_complete(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.publish()
    before = run.tree()
    run.export("better weights")
    copied: list[str] = []

    def copy_some(source: Path, target: Path) -> None:
        if len(copied) == 3:
            raise OSError("the disk is full")
        copied.append(shutil.copyfile(source, target).name)

    monkeypatch.setattr(repository_module, "copyfile", copy_some)
    with pytest.raises(OSError, match="disk is full"):
        run.publish()
    visible = {name: text for name, text in run.tree().items() if not name.startswith(".")}
    versions = {name.split("/")[0] for name in visible if "/2/" in name}
    for model in versions:  # variants published before the disk was full are whole
        assert {name for name in visible if name.startswith(f"{model}/2/")} == {
            name.replace("/1/", "/2/") for name in before if name.startswith(f"{model}/1/")
        }
    assert len(versions) < len(MODELS)
    monkeypatch.undo()
    assert "version 2" in run.publish()
    assert not [name for name in run.tree() if name.startswith(".")]


def test_the_card_says_data_figures_and_licence(run: Run) -> None:
    run.publish()
    card = run.tree()["garments/MODEL_CARD.md"]
    assert "Synthetic: 30 drawn images" in card
    assert "nothing about real photographs" in card
    assert "| OpenVINO (FP16 weights) | 0.9500 | 0.8500 | 0.9500 | 0.8500 | openvino, f32 |" in card
    assert "AGPL-3.0" in card


def test_a_repository_that_is_a_file_is_refused(run: Run) -> None:
    run.repository.write_text("")
    with pytest.raises(TrainingError, match="is a file"):
        run.publish()
