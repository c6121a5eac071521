"""Ultralytics' own client on a model whose answers the server suppresses: the same boxes from a reply of a few kilobytes."""

import shutil

import pytest

pytestmark = pytest.mark.compatible("Ultralytics", "suppression on the server")

EVERY_LABEL = 'parameters { key: "every_label" value { string_value: "true" } }'


@pytest.fixture(scope="module")
def suppressing(repository, start_server, tmp_path_factory):
    """A server of the raw model, of the shipped one that suppresses its answers, and of one that counts every label."""
    folder = tmp_path_factory.mktemp("suppressing")
    for model in ("garments_openvino", "garments_nms"):
        shutil.copytree(repository / model, folder / model)
    config = (repository / "garments_nms" / "config.pbtxt").read_text().replace("garments_nms", "every_label")
    (folder / "every_label").mkdir()
    (folder / "every_label" / "config.pbtxt").write_text(config + EVERY_LABEL)
    with start_server(folder) as running:
        yield running


@pytest.mark.parametrize("confidence", [0.25, 0.01])
def test_predict_finds_what_it_finds_on_the_raw_model(suppressing, run_client, image, confidence, sample_names):
    raw, small = (
        run_client("ultralytics_predicts", f"grpc://{suppressing.address}/{model}", confidence, image)
        for model in ("garments_openvino", "garments_nms")
    )
    assert small == raw
    assert sample_names is None or raw[0]["boxes"]


@pytest.mark.timeout(300)
def test_validation_gives_the_map_of_the_raw_model(suppressing, run_client, drawn_data):
    raw, small = (f"grpc://{suppressing.address}/{model}" for model in ("garments_openvino", "every_label"))
    figures = run_client("ultralytics_validates", drawn_data, raw, small, limit_s=280)
    assert figures[small] == pytest.approx(figures[raw], abs=1e-3)
