"""Verification with the shipped models: what a server finds is what was found in process."""

import json
import shutil
from pathlib import Path

import pytest

from pasarela_training.config import Config
from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.sample import make_sample
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.evaluate.measured import read_measured
from pasarela_training.evaluate.stage import make_evaluate
from pasarela_training.synthesize import SynthesizeSettings, synthesize
from pasarela_training.variants import VARIANTS
from pasarela_training.verify.stage import CANDIDATE, make_verify

MADE = ("pytorch", "onnx", "openvino")


@pytest.mark.timeout(300)
def test_a_server_finds_what_was_found_in_process(tmp_path: Path, repository: Path) -> None:
    data, sample, coco, exported, evaluated, verified = (
        tmp_path / name for name in ("data", "sample", "coco", "export", "evaluate", "verify")
    )
    config = Config.model_validate(
        {
            "workspace": tmp_path,
            "dataset": {"source": data},
            "sample": {"ratios": [1, 1, 4]},
            "export": {"variants": MADE},
            "evaluate": {"splits": ["test"]},
        }
    )
    synthesize(data, SynthesizeSettings(images=6, width=192, height=240), processes=1)
    for folder in (sample, coco, exported, evaluated, verified):
        folder.mkdir()
    source = open_source(data)
    make_sample(source, config.sample, processes=1, max_broken=0.0, output=sample)
    make_coco(source, sample, processes=1, max_broken=0.0, output=coco)
    for variant in MADE:
        shutil.copytree(repository / f"garments_{variant}" / "1", exported / variant)
    names = (repository / "garments" / "labels.txt").read_text().splitlines()
    (exported / "facts.json").write_text(json.dumps({"names": names, "stride": 32, "imgsz": 320}))
    make_evaluate(data, coco, exported, [VARIANTS[name] for name in MADE], config.evaluate, evaluated)

    line = make_verify(
        config, image_root=data, coco=coco, sample=sample, exported=exported, evaluated=evaluated, output=verified
    )

    inside = {one.variant: one.splits["test"] for one in read_measured(evaluated)}
    served = {one.variant: one for one in read_measured(verified)}
    assert set(served) == set(MADE)
    for variant, one in served.items():
        assert one.splits["test"].map50_95 == pytest.approx(inside[variant].map50_95, abs=0.005)
        assert one.description == f"through gRPC: garments_{variant} version 1"
    assert inside["pytorch"].map50 > 0.3
    assert f"garments {served['openvino'].splits['test'].map50_95:.4f}" in line
    assert not (verified / CANDIDATE).exists()
    assert (verified / "server.log").is_file()
