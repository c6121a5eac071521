"""`.val()` of a served model gives the mAP of the file that is served, for every raw variant."""

import shutil

import pytest

FILES = {
    "garments_onnx": "garments.onnx",
    "garments_openvino": "garments_openvino_model",
    "garments_int8": "int8_openvino_model",
    "garments_pytorch": "garments.torchscript",
}
"""Served model → the name by which Ultralytics knows what kind of file it is."""

TOLERANCE = 0.005
"""Engine and precision are the same on both ways, the number of threads is not: sums differ in their last bits, and may
turn the order of two boxes of nearly the same score. One lost box would cost more: there are 13 classes of three boxes,
so up to 0.026. Measured: no difference at all."""


@pytest.fixture(scope="module")
def files(repository, tmp_path_factory):
    """What is served, under names that Ultralytics reads."""
    folder = tmp_path_factory.mktemp("files")
    for model, name in FILES.items():
        version = repository / model / "1"
        single = next((version / file for file in ("model.onnx", "model.pt") if (version / file).is_file()), None)
        if single is None:
            shutil.copytree(version, folder / name)
        else:
            shutil.copyfile(single, folder / name)
    return {model: folder / name for model, name in FILES.items()}


@pytest.fixture(scope="module")
def figures(server, run_client, drawn_data, files):
    """mAP by name of model, (served, local). One process: most of its time goes into imports."""
    served = {model: f"grpc://{server.address}/{model}" for model in files}
    found = run_client("ultralytics_validates", drawn_data, *served.values(), *files.values(), limit_s=280)
    return {model: (found[served[model]], found[str(files[model])]) for model in files}


@pytest.mark.compatible("Ultralytics", "validation (mAP)")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("model", FILES)
def test_a_served_model_has_the_map_of_its_file(figures, model, sample_names):
    served, local = figures[model]
    assert served == pytest.approx(local, abs=TOLERANCE)
    assert sample_names is None or served["map50"] > 0.5, "the images are such as the model knows"
