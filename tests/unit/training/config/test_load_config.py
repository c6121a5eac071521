import textwrap
from pathlib import Path

import pytest

from pasarela_training.config import Config, load_config
from pasarela_training.errors import ConfigError

REPOSITORY = Path(__file__).parents[4]
LEAST = "workspace: runs/x\ndataset:\n  source: data\n"


def read(folder: Path, text: str) -> Config:
    path = folder / "run.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_config(path)


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_the_least_configuration_has_a_default_for_everything_else(tmp_path: Path) -> None:
    config = read(tmp_path, LEAST)
    assert list(config.sample.ratios) == [7, 2, 1]
    assert config.publish.name == "garments"
    assert len(config.train.schedule()) == 1


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        # reason: a typo names itself, and the keys that there are
        (LEAST + "train:\n  imgz: 320\n", 5, ["train.imgz", "is not a key", "imgsz, epochs"]),
        # reason: a typo inside a list of sections is found too
        (LEAST + "train:\n  phases:\n    - epochs: 1\n    - epchs: 2\n", 7, ["train.phases.1.epchs", "epochs"]),
        # reason: a word that is none of the allowed ones lists them
        (LEAST + "train:\n  optimizer: adam\n", 5, ["train.optimizer", "'AdamW'", "'SGD'", "got 'adam'"]),
        # reason: a number outside its bounds says the bound and the value
        (LEAST + "evaluate:\n  iou: 1.5\n", 5, ["evaluate.iou", "less than or equal to 1", "1.5"]),
        # reason: the network's stride
        (LEAST + "train:\n  imgsz: 100\n", 5, ["train.imgsz", "multiple of 32", "100"]),
        # reason: too few to split three ways
        (LEAST + "sample:\n  images: 2\n", 5, ["sample.images", "at least 3"]),
        # reason: bf16 and fp16 training exist on GPUs only
        (LEAST + "train:\n  precision: bf16\n", 5, ["train", "bf16", "GPU"]),
        # reason: serving a variant that is not made cannot work
        (LEAST + "export:\n  variants: [onnx]\n", 1, ["publish.serve", "openvino", "onnx"]),
        # reason: what a server finds is held against what was measured in process on the same split
        (LEAST + "evaluate:\n  splits: [val]\n", 1, ["verify.split", "'test'", "choose one of val"]),
        # reason: twice the same variant would be published twice
        (LEAST + "export:\n  variants: [onnx, onnx, openvino]\n", 5, ["export.variants", "twice"]),
        # reason: limits of the synthesizer are its own
        (LEAST + "  synthesize:\n    images: 9\n    jpeg_quality: [9, 2]\n", 6, ["jpeg_quality", "ascending"]),
        # reason: an empty section is a slip of indentation
        (LEAST + "train:\nexport:\n  variants: [openvino]\n", 4, ["train", "found nothing", "imgsz"]),
        # reason: what is required and missing
        ("workspace: x\ndataset:\n  synthesize: {images: 5}\n", 2, ["dataset.source", "missing"]),
        # reason: YAML keeps the last of two equal keys silently
        (LEAST + "sample:\n  seed: 1\n  seed: 2\n", 6, ["sample.seed", "second time"]),
        # reason: not YAML at all
        ("workspace: [a\ndataset: b\n", 2, ["not valid YAML"]),
        # reason: a list where keys belong
        ("- a\n", 1, ["expected keys", "list"]),
        # reason: an empty file
        ("", 1, ["expected keys"]),
    ],
)
def test_an_error_names_file_line_key_and_what_is_allowed(
    tmp_path: Path, text: str, line: int, parts: list[str]
) -> None:
    first = refused(tmp_path, text)[0]
    assert first.startswith(f"run.yaml:{line}:")
    for part in parts:
        assert part in first


def test_every_fault_has_its_line_in_order(tmp_path: Path) -> None:
    lines = refused(tmp_path, LEAST + "train:\n  lr0: -1\n  epochs: 0\nsample:\n  seed: x\n")
    assert [line.split(":")[1] for line in lines] == ["5", "6", "8"]


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no such file.*--config"):
        load_config(tmp_path / "none.yaml")


def test_phases_take_what_they_do_not_say_from_the_section(tmp_path: Path) -> None:
    text = LEAST + "train:\n  batch: 4\n  lr0: 0.01\n  phases:\n    - {imgsz: 64}\n    - {imgsz: 96, lr0: 0.001}\n"
    first, second = read(tmp_path, text).train.schedule()
    assert (first.imgsz, first.batch, first.lr0) == (64, 4, 0.01)
    assert (second.imgsz, second.batch, second.lr0) == (96, 4, 0.001)


def test_the_last_phase_decides_the_size_of_the_export(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + "train:\n  phases: [{imgsz: 64}, {imgsz: 96}]\n").train.imgsz_final == 96


@pytest.mark.parametrize("name", ["demo.yaml", "tiny.yaml"])
def test_the_shipped_configurations_are_valid(name: str) -> None:
    load_config(REPOSITORY / "training" / "configs" / name)
