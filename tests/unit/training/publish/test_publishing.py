import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.repository.scan import scan
from pasarela_training.config import Config, Variant
from pasarela_training.errors import PublicationRefused, TrainingError
from pasarela_training.evaluate.scores import Scores
from pasarela_training.evaluate.stage import RESULTS, Measured
from pasarela_training.export.check import write_checks
from pasarela_training.export.metadata import FACTS
from pasarela_training.fingerprint import file_sha256
from pasarela_training.publish import repository as repository_module
from pasarela_training.publish.lock import LOCK, publishing
from pasarela_training.publish.stage import publish
from pasarela_training.variants import VARIANTS

MADE: tuple[Variant, ...] = ("pytorch", "onnx", "openvino")
MODELS = ["garments_onnx", "garments_openvino", "garments_pytorch"]
NAMES = ["vest", "sling"]


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
        (self.exported / FACTS).write_text(json.dumps({"names": NAMES, "stride": 32, "imgsz": 320}))
        write_checks(self.exported, {})
        self.export("weights")
        self.measure(0.95)

    def export(self, content: str) -> None:
        for name in MADE:
            (self.exported / name).mkdir(exist_ok=True)
            for file in VARIANTS[name].files:
                (self.exported / name / file).write_text(f"{content} {file}")

    def measure(self, map50: float, **others: float) -> None:
        """Writes the figures; `others` are mAP50 of single variants."""
        names: list[str] = json.loads((self.exported / FACTS).read_text())["names"]
        measured = []
        for name in MADE:
            own = others.get(name, map50)
            scores = Scores(map50 - 0.1, own, own, dict.fromkeys(names, own))
            measured.append(asdict(Measured(name, f"{name}, f32", 5.0, {"val": scores, "test": scores})))
        (self.evaluated / RESULTS).write_text(json.dumps(measured))

    def config(self, drawn: bool = True, **sections: Any) -> Config:
        dataset = {"source": "d"} | ({"synthesize": {"images": 30}} if drawn else {})
        publishing = {"repository": self.repository} | sections.pop("publish", {})
        return Config.model_validate({"workspace": "w", "dataset": dataset, "publish": publishing} | sections)

    def publish(self, allow_worse: bool = False, config: Config | None = None) -> str:
        self.said: list[str] = []
        return publish(
            config or self.config(),
            sample=self.sample,
            exported=self.exported,
            evaluated=self.evaluated,
            verified=None,
            allow_worse=allow_worse,
            say=self.said.append,
        )

    def tree(self) -> dict[str, str]:
        files = sorted(path for path in self.repository.rglob("*") if path.is_file() and path.name != LOCK)
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
        "garments_onnx/MODEL_CARD.md",
        "garments_onnx/labels.txt",
        "garments_onnx/1/model.onnx",
        "garments_onnx/1/manifest.json",
        "garments_openvino/config.pbtxt",
        "garments_openvino/MODEL_CARD.md",
        "garments_openvino/labels.txt",
        "garments_openvino/1/model.xml",
        "garments_openvino/1/model.bin",
        "garments_openvino/1/metadata.yaml",
        "garments_openvino/1/manifest.json",
        "garments_pytorch/config.pbtxt",
        "garments_pytorch/MODEL_CARD.md",
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
        assert (manifest["model"], manifest["version"]) == (model, 1)
        assert manifest["sha256"] == {path.name: file_sha256(path) for path in sorted(files)}
        assert manifest["measured"]["splits"]["test"]["map50"] == 0.95


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
    with pytest.raises(PublicationRefused, match=r"mAP50 0\.5000 on test is below"):
        run.publish()
    assert not run.tree()


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
    with pytest.raises(TrainingError, match="disk is full; what was published before is untouched"):
        run.publish()
    assert {item for item in before.items() if "/1/" in item[0]} <= run.tree().items()
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
    assert "| OpenVINO (FP16 weights) | test | 0.9500 | 0.8500 | 0.9500 | – | – | – | – | openvino, f32 |" in card
    assert "AGPL-3.0" in card


def test_a_repository_that_is_a_file_is_refused(run: Run) -> None:
    run.repository.write_text("")
    with pytest.raises(TrainingError, match="is a file"):
        run.publish()


def test_figures_that_forbid_publication_can_be_overridden_and_are_told(run: Run) -> None:
    run.measure(0.5)
    run.publish(allow_worse=True)
    before = run.tree()
    assert "Published in spite of" in before["garments/MODEL_CARD.md"]
    assert json.loads(before["garments_onnx/1/manifest.json"])["published_in_spite_of"]
    assert "nothing new" in run.publish(allow_worse=True)
    assert run.tree() == before


def test_a_refused_variant_is_left_out_and_the_others_are_published(run: Run) -> None:
    run.measure(0.95, onnx=0.5)
    with pytest.raises(PublicationRefused, match=r"onnx refused") as caught:
        run.publish()
    assert "onnx       test    0.5000" in str(caught.value)
    assert {name.split("/")[0] for name in run.tree()} == {"garments", "garments_openvino", "garments_pytorch"}
    assert "garments_onnx" not in run.tree()["garments/MODEL_CARD.md"]


def test_a_refused_variant_that_is_served_publishes_nothing(run: Run) -> None:
    run.measure(0.95, openvino=0.5)
    with pytest.raises(PublicationRefused, match="nothing was published: openvino"):
        run.publish()
    assert not run.repository.exists()


def test_what_was_overridden_is_said_of_that_variant_alone(run: Run) -> None:
    run.measure(0.95, onnx=0.5)
    run.publish(allow_worse=True)
    tree = run.tree()
    assert "minimum_map50" in json.loads(tree["garments_onnx/1/manifest.json"])["published_in_spite_of"][0]
    assert json.loads(tree["garments_pytorch/1/manifest.json"])["published_in_spite_of"] == []
    assert "in spite of this" in tree["garments_onnx/MODEL_CARD.md"]
    assert "in spite of this" not in tree["garments_pytorch/MODEL_CARD.md"]
    assert any("in spite of the figures" in line for line in run.said)


@pytest.mark.parametrize("model", ["garments", "garments_onnx"])
def test_a_configuration_that_was_edited_is_kept_and_said(run: Run, model: str) -> None:
    run.publish()
    path = run.repository / model / "config.pbtxt"
    edited = path.read_text() + "# mine\n"
    path.write_text(edited)
    for content in ("weights", "better weights"):
        run.export(content)
        run.publish()
        assert path.read_text() == edited
        assert run.said == [f"publish: {path} was edited by hand and stays as it is"]


def test_a_configuration_of_the_publisher_follows_its_keys_any_number_of_times(run: Run) -> None:
    for rows in (8, 16, 32):
        run.publish(config=run.config(publish={"max_batch_size": rows}))
        assert f"max_batch_size: {rows}\n" in run.tree()["garments_onnx/config.pbtxt"]
        assert not run.said


def test_the_detection_model_follows_the_variant_that_is_served(run: Run) -> None:
    run.publish()
    run.publish(config=run.config(publish={"serve": "onnx"}))
    assert "garments_onnx" in run.tree()["garments/config.pbtxt"]
    assert not run.said


def test_what_a_killed_publisher_left_is_removed(run: Run) -> None:
    left = run.repository / ".garments_onnx.1.partial" / "1"
    left.mkdir(parents=True)
    (left / "model.onnx").write_text("half")
    run.publish()
    assert not list(run.repository.glob(".*.partial"))
    assert run.tree()["garments_onnx/1/model.onnx"] == "weights model.onnx"


PUBLISHER = """
import sys
from pathlib import Path
from pasarela_training.config import Config
from pasarela_training.publish.stage import publish
base = Path(sys.argv[1])
values = {"workspace": "w", "dataset": {"source": "d"}, "publish": {"repository": base / "models"}}
print(publish(Config.model_validate(values), sample=base / "sample", exported=base / "export",
              evaluated=base / "evaluate", say=lambda line: print(line, flush=True)))
"""


def test_of_two_publishers_one_waits_and_one_version_is_there(run: Run, tmp_path: Path) -> None:
    run.repository.mkdir()
    command = [sys.executable, "-c", PUBLISHER, str(tmp_path)]
    with publishing(run.repository, print):
        waiting = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        assert all(process.stdout and "waiting for it" in process.stdout.readline() for process in waiting)
    ends = [process.communicate()[0] for process in waiting]
    assert [process.returncode for process in waiting] == [0, 0]
    assert sorted("nothing new to publish" in end for end in ends) == [False, True]
    assert [model.versions.keys() for model in scan(run.repository) if model.name in MODELS] == [{1}] * 3


def test_the_server_sees_models_and_nothing_else(run: Run) -> None:
    run.publish()
    found = {model.name: set(model.versions) for model in scan(run.repository)}
    assert found == {"garments": set()} | {model: {1} for model in MODELS}
    assert (run.repository / LOCK).is_file()


def test_a_dynamic_size_is_in_the_configuration(run: Run) -> None:
    run.publish(config=run.config(export={"dynamic_size": True}))
    raw = parse_model_config(run.tree()["garments_onnx/config.pbtxt"], "config.pbtxt")
    assert (list(raw.input[0].dims), list(raw.output[0].dims)) == ([3, -1, -1], [6, -1])


def test_the_card_of_somebody_elses_data_keeps_its_tables_whole(run: Run) -> None:
    names = ["a|b", "c"]
    (run.exported / FACTS).write_text(json.dumps({"names": names, "stride": 32, "imgsz": 320}))
    run.measure(0.95)
    run.publish(config=run.config(drawn=False))
    card = run.tree()["garments/MODEL_CARD.md"]
    assert "| a\\|b | 0.9500 |" in card
    assert "Synthetic" not in card
    assert "whoever trained this model provided" in card


def test_a_check_of_an_older_version_says_what_to_do(run: Run) -> None:
    (run.exported / "check.json").write_text(json.dumps({"onnx": {"box_px": 0.1, "score": 0.0}}))
    with pytest.raises(TrainingError, match=r"check\.json cannot be read.*run the export stage again"):
        run.publish()
