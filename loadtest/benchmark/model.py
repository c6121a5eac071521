"""The network of the benchmarks: the shipped garment detector, exported at another size of its input.

`python -m loadtest.benchmark.model [--imgsz 640] [--output runs/benchmark/repository]`

The weights are those of the shipped TorchScript archive, so detections look like those of a trained network; its
accuracy at a size that it was not trained at is of no concern here.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pasarela_training.config import Variant
from pasarela_training.export.formats import export_float_openvino, export_variant
from pasarela_training.export.images import prepared
from pasarela_training.export.layers import decoding_operations
from pasarela_training.framework import available_cores, prepare_environment

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "model_repository/garments_pytorch/1/model.pt"
SAMPLES = ROOT / "docs/images/samples"
VARIANTS: tuple[Variant, ...] = ("openvino", "onnx", "pytorch", "int8")
_BACKENDS = {"openvino": "openvino", "int8": "openvino", "onnx": "onnxruntime", "pytorch": "pytorch"}
_NETWORK = "yolov9t.yaml"
_MAX_BATCH = 8


def model_name(variant: str) -> str:
    """What a variant is called in the repository."""
    return f"yolov9t_{variant}"


def make_repository(imgsz: int, output: Path) -> None:
    """Writes one raw model for each variant, and a detection model over each (`detect_openvino`, …).

    A folder that is complete already is left as it is; a half-written one cannot be: it is moved into place at the end.

    Args:
        imgsz: Side of the input in pixels.
        output: The repository to be.
    """
    if output.is_dir():
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    prepare_environment(output.parent / "ultralytics", available_cores())
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        scratch = Path(folder)
        weights = scratch / "weights.pt"
        _write_checkpoint(weights, imgsz)
        repository = scratch / "repository"
        for variant in tqdm(VARIANTS, desc=f"exporting yolov9t at {imgsz} px", unit="variant"):
            model = repository / model_name(variant)
            if variant == "int8":
                _quantise(weights, imgsz, scratch, model / "1")
            else:
                export_variant(variant, weights, imgsz, scratch, model / "1")
            written = f'backend: "{_BACKENDS[variant]}"\nmax_batch_size: {_MAX_BATCH}\n'
            (model / "config.pbtxt").write_text(written, encoding="utf-8")
            detection = repository / f"detect_{variant}"
            detection.mkdir()
            pointer = f'parameters {{ key: "model" value {{ string_value: "{model.name}" }} }}\n'
            (detection / "config.pbtxt").write_text(f'backend: "detection"\n{pointer}', encoding="utf-8")
        shutil.move(repository, output)


def _write_checkpoint(path: Path, imgsz: int) -> None:
    """A checkpoint as Ultralytics writes it, of the shipped weights."""
    import json

    import torch
    from ultralytics.nn.tasks import DetectionModel

    files = {"config.txt": ""}
    shipped = torch.jit.load(SHIPPED, map_location="cpu", _extra_files=files)
    names = {int(number): name for number, name in json.loads(files["config.txt"])["names"].items()}
    model: Any = DetectionModel(_NETWORK, nc=len(names), verbose=False).fuse(verbose=False)
    model.load_state_dict(shipped.state_dict())
    model.names = names
    model.args = {"imgsz": imgsz, "task": "detect"}
    torch.save({"model": model, "train_args": model.args, "epoch": -1}, path)


def _quantise(weights: Path, imgsz: int, scratch: Path, output: Path) -> None:
    """INT8 as the export stage makes it, calibrated on the sample pictures; its accuracy is measured elsewhere."""
    import nncf  # type: ignore[import-untyped]
    import openvino

    from pasarela_server.backends.base import BackendOptions
    from pasarela_server.backends.loaders import load_backend
    from pasarela_server.detection.yolo import YoloDetector

    original = scratch / "float"
    export_float_openvino(weights, imgsz, scratch, original)
    backend = load_backend("openvino", original / "model.xml", BackendOptions(instances=1, threads=1))
    detector = YoloDetector.from_spec(backend.spec)
    assert detector is not None, "a detector was exported"
    model = openvino.Core().read_model(original / "model.xml")
    model.reshape([1, 3, imgsz, imgsz])
    arrays = [prepared(path, detector)[0] for path in sorted(SAMPLES.glob("*.jpg"))]
    quantised = nncf.quantize(
        model,
        nncf.Dataset(arrays),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(arrays),
        ignored_scope=nncf.IgnoredScope(names=decoding_operations(model), validate=False),
    )
    output.mkdir(parents=True)
    quantised.reshape([-1, 3, imgsz, imgsz])
    openvino.save_model(quantised, output / "model.xml", compress_to_fp16=True)
    shutil.copyfile(original / "metadata.yaml", output / "metadata.yaml")


def main() -> int:
    """Makes the repository."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, prog="loadtest.benchmark.model"
    )
    parser.add_argument("--imgsz", type=int, default=640, help="side of the input in pixels, a multiple of 32")
    parser.add_argument("--output", type=Path, default=ROOT / "runs/benchmark/repository-640", help="the repository")
    options = parser.parse_args()
    make_repository(options.imgsz, options.output)
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
