"""Measuring through a running server: the figure is that of measuring in process, and what cannot be measured says so."""

import socket
from pathlib import Path
from typing import Any

import orjson
import pytest

from pasarela_training.config import EvaluateSection
from pasarela_training.config.dataset import SampleSection
from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.sample import make_sample
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.served import ServedRun, measure_served
from pasarela_training.evaluate.stage import measure
from pasarela_training.synthesize import SynthesizeSettings, synthesize
from pasarela_training.variants import VARIANTS

SECTION = EvaluateSection(splits=("test",), threads=1)
MODEL = "garments_onnx"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`drawn/` with ten images, and `coco/`, whose test split has eight of them."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "sample").mkdir()
    (folder / "coco").mkdir()
    synthesize(folder / "drawn", SynthesizeSettings(images=10, seed=4), processes=1)
    source = open_source(folder / "drawn")
    make_sample(source, SampleSection(ratios=(1, 1, 8)), processes=1, max_broken=0, output=folder / "sample")
    make_coco(source, folder / "sample", processes=1, max_broken=0, output=folder / "coco")
    return folder


def served(
    url: str, workspace: Path, model: str = MODEL, *, document: Path | None = None, section: EvaluateSection = SECTION
) -> ServedRun:
    document = document or workspace / "coco" / "test.json"
    return measure_served(url, model, workspace / "drawn", document, section, window=4, label="test")


def changed(workspace: Path, place: Path, **changes: Any) -> Path:
    """The document of the test split with some of its parts replaced."""
    content = orjson.loads((workspace / "coco" / "test.json").read_bytes())
    place.write_bytes(orjson.dumps(content | changes))
    return place


def test_a_server_scores_as_its_backend_does_in_process(server, repository: Path, workspace: Path) -> None:
    run = served(server.address, workspace)
    alone = measure(
        VARIANTS["onnx"], workspace / "drawn", workspace / "coco", repository / MODEL / "1", SECTION
    ).splits["test"]
    assert run.version == "1"
    assert run.scores.map50_95 == pytest.approx(alone.map50_95, abs=0.005)
    assert run.scores.classes.keys() == alone.classes.keys()
    images = orjson.loads((workspace / "coco" / "test.json").read_bytes())["images"]
    assert {result["image_id"] for result in run.results} <= {image["id"] for image in images}


def test_thresholds_reach_the_server(server, workspace: Path) -> None:
    section = EvaluateSection(splits=("test",), confidence=0.0, max_detections=3)
    run = served(server.address, workspace, section=section)
    images = orjson.loads((workspace / "coco" / "test.json").read_bytes())["images"]
    assert len(run.results) == 3 * len(images)


def test_an_address_where_nobody_listens_is_an_error(workspace: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listened on: connections are refused
        url = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TrainingError, match=r"cannot be measured.*is the server running"):
            served(url, workspace)


def test_a_model_that_the_server_has_not_is_an_error(server, workspace: Path) -> None:
    with pytest.raises(TrainingError, match=r"hats at .* cannot be measured.*pasarela models --url"):
        served(server.address, workspace, "hats")


def test_classes_that_the_document_has_not_are_an_error_before_anything_is_sent(
    server, workspace: Path, tmp_path: Path
) -> None:
    hats = changed(
        workspace, tmp_path / "hats.json", categories=[{"id": 1, "name": "hat"}], images=[{"id": 1, "file_name": "no"}]
    )
    with pytest.raises(TrainingError, match=r"finds classes that .*hats\.json has not"):
        served(server.address, workspace, document=hats)


def test_an_image_that_is_gone_is_named(server, workspace: Path, tmp_path: Path) -> None:
    gone = changed(workspace, tmp_path / "gone.json", images=[{"id": 1, "file_name": "train/image/gone.jpg"}])
    with pytest.raises(TrainingError, match=r"did not answer for train/image/gone\.jpg"):
        served(server.address, workspace, document=gone)
