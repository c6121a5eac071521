"""The whole pipeline for real: draws, trains one tiny epoch, exports, measures, publishes, and what was published serves."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pasarela_client import Detector
from pasarela_server.backends import BackendOptions, load_backend
from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.detection.image import decode_image
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_training.synthesize.categories import CATEGORIES

CONFIG = Path(__file__).parents[2] / "training" / "configs" / "tiny.yaml"
REPOSITORY = Path("runs", "tiny", "model_repository")
ARTEFACTS = {
    "garments_pytorch": "model.pt",
    "garments_pt2": "model.pt2",
    "garments_onnx": "model.onnx",
    "garments_openvino": "model.xml",
    "garments_int8": "model.xml",
}
STAGES = ("synthesize", "sample", "coco", "yolo", "train", "export", "evaluate", "verify")


def pipeline(command: str, folder: Path) -> list[str]:
    """Runs a command in a folder of its own and returns its lines."""
    done = subprocess.run(
        [sys.executable, "-m", "pasarela_training", command, "--config", str(CONFIG)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    lines = pipeline("run", folder)
    assert [line.split(":")[0] for line in lines] == [*STAGES, "publish", "compare", "look", "report"]
    return folder


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", ARTEFACTS)
def test_what_was_published_detects(folder: Path, model: str) -> None:
    text = (folder / REPOSITORY / model / "config.pbtxt").read_text()
    config = parse_model_config(text, model)
    options = BackendOptions(
        instances=1,
        threads=1,
        input_names=tuple(tensor.name for tensor in config.input),
        output_names=tuple(tensor.name for tensor in config.output),
    )
    backend = load_backend(config.backend, folder / REPOSITORY / model / "1" / ARTEFACTS[model], options)
    try:
        assert backend.spec.batched
        assert backend.spec.inputs[0].shape[1:] in {(3, 64, 64), (-1, -1, -1)}  # TorchScript says nothing of its sizes
        detector = YoloDetector.from_spec(backend.spec)
        assert detector is not None
        assert detector.names == tuple(category.name for category in CATEGORIES)
        assert detector.image_size == (64, 64)
        image = decode_image(next((folder / "datasets/tiny/train/image").iterdir()).read_bytes())
        array, letterbox = detector.preprocess(image)
        output = backend.session().infer({"images": np.concatenate((array, array))})["output0"]
        assert output.shape == (2, *config.output[0].dims)
        np.testing.assert_allclose(output[0], output[1], rtol=1e-3, atol=1e-2)
        detections = detector.postprocess(output[0], letterbox, DetectOptions(confidence=0.0))
        assert len(detections) > 0
        assert (detections.boxes[:, 2:] <= (image.shape[1], image.shape[0])).all()
    finally:
        backend.close()


@pytest.mark.timeout(600)
def test_a_server_serves_what_was_trained(folder: Path, start_server) -> None:
    picture = next((folder / "datasets/tiny/train/image").iterdir())
    with start_server(folder / REPOSITORY) as server, Detector(server.address) as detector:
        found = detector.detect(picture, confidence=0.0, max_detections=5)
        assert (found.model, found.version) == ("garments", "1")
        assert len(found) == 5
        assert set(found.names) <= {category.name for category in CATEGORIES}
        with Image.open(picture) as opened:
            assert found.image_size == opened.size


@pytest.mark.timeout(600)
def test_running_again_makes_and_publishes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / REPOSITORY).rglob("*")}
    lines = dict(line.split(":", 1) for line in pipeline("run", folder))
    assert all("up to date" in lines[stage] for stage in (*STAGES, "compare", "look"))
    assert "nothing new" in lines["publish"]
    assert {path: path.stat().st_mtime_ns for path in (folder / REPOSITORY).rglob("*")} == before


@pytest.mark.timeout(600)
def test_the_run_leaves_pictures_and_a_report_of_itself(folder: Path) -> None:
    workspace = folder / "runs" / "tiny"
    report = (workspace / "report.html").read_text()
    assert "data:image/" in report
    assert all(model.removeprefix("garments_") in report for model in ARTEFACTS)
    for picture in ("train/curves.png", "compare/compare.png"):
        with Image.open(workspace / picture) as opened:
            opened.verify()
    assert list((workspace / "look").rglob("*.jpg"))


@pytest.mark.timeout(600)
def test_nothing_published_names_this_machine(folder: Path) -> None:
    places = [str(folder).encode(), str(Path(sys.prefix)).encode(), b"site-packages"]
    for path in (folder / REPOSITORY).rglob("*"):
        if not path.is_file():
            continue
        contents = [path.read_bytes()]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        for place in places:
            assert not any(place in content for content in contents), f"{path.name} names {place!r}"
