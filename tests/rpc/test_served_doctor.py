"""`pasarela doctor` at a real server: what it sees of a model that merges nothing, and of one that merges."""

import contextlib
import json
import shutil
import threading

import pytest

from pasarela_client import Detector
from pasarela_client.__main__ import main


def examined(capsys, server, *arguments):
    assert main(["doctor", "--url", server.address, "--json", *map(str, arguments)]) == 0
    return json.loads(capsys.readouterr().out)


def rules(found):
    return {finding["rule"]: finding["severity"] for finding in found["findings"]}


@pytest.fixture(scope="module")
def merging(repository, start_server, tmp_path_factory):
    """A server with one instance that merges whatever waits for it."""
    folder = tmp_path_factory.mktemp("merging") / "garments_onnx"
    shutil.copytree(repository / "garments_onnx", folder)
    with (folder / "config.pbtxt").open("a") as config:
        config.write("instance_group [{ count: 1 kind: KIND_CPU }]\n")
        config.write("dynamic_batching { max_queue_delay_microseconds: 100000 }\n")
    with start_server(folder.parent) as running:
        yield running


@contextlib.contextmanager
def in_use(address, model, picture, clients):
    """Somebody else's clients, each after its answer the next."""
    over, begun = threading.Event(), threading.Barrier(clients + 1)

    def use():
        with Detector(address, model) as detector:
            detector.detect(picture)
            begun.wait(60)
            while not over.is_set():
                detector.detect(picture)

    threads = [threading.Thread(target=use) for _ in range(clients)]
    for thread in threads:
        thread.start()
    begun.wait(60)
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def test_a_model_that_merges_nothing_is_told_that_this_is_right_on_a_cpu(server, sample_image, capsys):
    found = examined(capsys, server, "garments", "--probe", 2, "--image", sample_image, "--seconds", 1)
    assert (found["ready"], found["runs"]) == (True, "garments_openvino")
    assert found["instances"] >= 1
    assert rules(found)["merges-nothing"] == "note"
    assert found["probes"]["close_reasons"] == {"alone": found["probes"]["answered"]}
    assert found["traffic"]["requests"] == found["traffic"]["batches"] == found["probes"]["answered"] > 0
    assert found["traffic"]["mean_batch"] == 1
    assert found["stages_ms"].keys() >= {"receive", "decode", "letterbox", "queue", "infer", "nms", "encode"}
    assert min(found["stages_ms"].values()) >= 0
    assert 0 < found["busy"] <= 1


def test_a_model_that_merges_is_watched_while_others_use_it(merging, sample_image, capsys):
    with in_use(merging.address, "garments_onnx", sample_image, clients=8):
        found = examined(capsys, merging, "garments_onnx", "--seconds", 2)
    assert "probes" not in found
    assert "merges-nothing" not in rules(found)
    assert "no-traffic" not in rules(found)
    assert found["traffic"]["requests"] > 0
    assert found["executed"]["mean_batch"] > 1.5, found
    assert sum(found["executed"]["batches_by_rows"].values()) == found["executed"]["batches"]
    assert found["traffic"]["concurrency"] > 1
    assert found["stages_ms"].keys() == {"queue", "compute input", "infer", "compute output", "between"}


def test_a_delay_for_nobody_is_seen(merging, sample_image, capsys):
    """One client alone: each of its requests waits the whole delay for company."""
    found = examined(capsys, merging, "garments_onnx", "--probe", 1, "--image", sample_image, "--seconds", 5)
    assert found["probes"]["close_reasons"] == {"delay": found["probes"]["answered"]}
    assert found["probes"]["instances"] == {"0": found["probes"]["answered"]}
    assert rules(found)["delay-for-nobody"] == "advice"
    assert rules(found)["never-two-waiting"] == "advice"


def test_tensors_are_made_up_for_a_raw_model(server, capsys):
    found = examined(capsys, server, "garments_onnx", "--probe", 1, "--seconds", 0.1)
    assert found["probes"]["answered"] >= 1
    assert found["probes"]["errors"] == {}
    assert "decode" not in found["stages_ms"]


def test_nobody_uses_it(server, capsys):
    found = examined(capsys, server, "garments_int8", "--seconds", 0.1)
    assert rules(found)["no-traffic"] == "note"
    assert found["stages_ms"] == {}


def test_a_person_reads_it(server, sample_image, capsys):
    arguments = ["--probe", "4", "--image", str(sample_image), "--seconds", "0.5"]
    assert main(["doctor", "garments", "--url", server.address, *arguments]) == 0
    text = capsys.readouterr().out
    assert text.startswith("garments\n  detection over 'garments_openvino'")
    assert "where a request's time goes (means, from the probes)" in text
    assert "suppress boxes" in text
    assert "requests are not merged" in text
    assert max(map(len, text.splitlines())) < 140


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["nothing"], 1, "the server has no model 'nothing'; it has: garments, ", id="an unknown model"),
        pytest.param(["garments", "--model-version", "7"], 1, "7", id="an unknown version"),
        pytest.param(
            ["garments_onnx", "--probe", "1", "--shape", "images:3,9,9"], 2, "[3, ", id="a shape that does not fit"
        ),
        pytest.param(["garments", "--probe", "1", "--image", "no.jpg"], 2, "cannot read no.jpg", id="no such image"),
        pytest.param(
            ["garments", "--probe", "1", "--shape", "image:1"], 2, "--shape says nothing", id="an image model"
        ),
    ],
)
def test_what_cannot_be_done_is_said(server, capsys, arguments, code, says):
    assert main(["doctor", "--url", server.address, "--seconds", "0.1", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err


def test_a_detection_model_whose_raw_model_is_missing(repository, start_server, tmp_path, capsys):
    shutil.copytree(repository / "garments", tmp_path / "garments")
    shutil.copytree(repository / "garments_onnx", tmp_path / "garments_onnx")
    with start_server(tmp_path, "--strict-readiness", "false") as running:
        found = examined(capsys, running, "garments")
    assert not found["ready"]
    assert rules(found) in ({"not-ready": "problem"}, {"below-not-ready": "problem"})
    assert "garments_openvino" in found["findings"][0]["seen"]


def test_a_server_that_is_gone(start_server, tmp_path, capsys):
    with start_server(tmp_path, "--allow-empty-repository", "true") as running:
        assert running.stop() == 0
    assert main(["doctor", "garments", "--url", running.address]) == 3
    assert running.address in capsys.readouterr().err
