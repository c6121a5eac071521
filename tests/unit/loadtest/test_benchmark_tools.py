"""What other programs are told, and what they print."""

import json

import pytest

from loadtest.benchmark.benchmark_app import parse_benchmark_app
from loadtest.benchmark.child import ChildFailed, child
from loadtest.benchmark.conditions import read_cpu
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Step
from loadtest.benchmark.messages import traffic
from loadtest.benchmark.perf_analyzer import Load, WindowTooShort, parse_perf_analyzer, perf_analyzer_command
from loadtest.benchmark.session import in_turn
from loadtest.peers.setups import SetUp, mlserver_set_ups, triton_config, triton_set_ups, write_mlserver_folder
from pasarela_proto import detection_pb2, inference_pb2
from pasarela_server.config.pbtxt import WrittenConfig

PRINTED = """\
Request concurrency: 4
  Pass [1] throughput: 9.8 infer/sec. Avg latency: 344861 usec (std 170820 usec).
  Pass [2] throughput: 16.5 infer/sec. Avg latency: 240417 usec (std 23829 usec).
  Pass [3] throughput: 17 infer/sec. Avg latency: 239076 usec (std 17850 usec).
  Client:
    Request count: 301
    Throughput: 16.7218 infer/sec
    p50 latency: 237816 usec
    p90 latency: 250000 usec
    p95 latency: 255000 usec
    p99 latency: 261005 usec
"""


def test_perf_analyzer_is_read_from_where_the_load_is_under_way() -> None:
    assert parse_perf_analyzer(PRINTED, "", 0.25) == Load(16.75, 237.816, 261.005, 0.25)


@pytest.mark.parametrize(
    ("printed", "error", "message"),
    [
        pytest.param("error: failed to get model metadata", ChildFailed, "model metadata", id="it could not begin"),
        pytest.param("", ChildFailed, "printed nothing", id="it was killed"),
        pytest.param("\n".join(PRINTED.splitlines()[:3]), ChildFailed, "no figures", id="it was killed on the way"),
        pytest.param(
            "No valid requests recorded within time interval. Please use a larger time window.",
            WindowTooShort,
            "measure longer",
            id="no answer in a window",
        ),
        pytest.param(
            "Failed to obtain stable measurement within 3 measurement windows for concurrency 4.",
            WindowTooShort,
            "too different; measure longer",
            id="a window with next to nothing in it",
        ),
    ],
)
def test_perf_analyzer_that_got_nowhere_says_why(printed: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_perf_analyzer(printed, "", 0.0)


def test_perf_analyzer_takes_three_windows_whatever_they_say() -> None:
    command = perf_analyzer_command("tool", "host:1", "m", 4, 3.0, {"images": "3,640,640"}, shared_bytes=100)
    assert "-v" in command, "it prints what each window had"
    command.remove("-v")
    told = dict(zip(command[1::2], command[2::2], strict=True))
    assert (told["-p"], told["-r"], told["-s"]) == ("1000", "3", "999")
    assert told["--concurrency-range"] == "4"
    assert told["--shape"] == "images:3,640,640"
    assert (told["--shared-memory"], told["--output-shared-memory-size"]) == ("system", "100")
    assert "--shared-memory" not in perf_analyzer_command("tool", "host:1", "m", 4, 3.0, {})


def test_benchmark_app_is_read() -> None:
    assert (
        parse_benchmark_app("[ INFO ] Latency:\n[ INFO ]    Median: 8 ms\n[ INFO ] Throughput:   38.21 FPS\n") == 38.21
    )
    with pytest.raises(ChildFailed, match="no such file"):
        parse_benchmark_app("", "no such file")


def test_rounds_go_there_and_back() -> None:
    steps = [Step(name, lambda figures: figures.add("m", "q", 1.0)) for name in "abc"]
    assert [[step.what for step in in_turn(steps, number)] for number in range(3)] == [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["a", "b", "c"],
    ]
    figures = Figures()
    steps[0].take(figures)
    assert figures.taken == {"m": {"q": [1.0]}}


def test_a_child_that_fails_says_why_and_goes_on() -> None:
    with child("loadtest.benchmark.clients") as one:
        with pytest.raises(ChildFailed, match=r"clients: KeyError: 'dance'"):
            one.ask("dance")
        with pytest.raises(ChildFailed, match="TypeError"):
            one.ask("closed")


def test_a_child_that_ends_says_what_it_said_last() -> None:
    with child("loadtest.benchmark.nowhere") as one, pytest.raises(ChildFailed, match="No module named"):
        one.ask("anything")


@pytest.mark.parametrize(
    ("text", "name", "flags"),
    [
        pytest.param("model name\t: AMD EPYC\nflags\t\t: sse avx2\n", "AMD EPYC", {"sse", "avx2"}, id="x86"),
        pytest.param("processor : 0\nFeatures : fp asimd\n", "", {"fp", "asimd"}, id="Arm says no name"),
        pytest.param("", "", set(), id="nothing"),
    ],
)
def test_a_cpu_is_told_by_what_linux_says(text: str, name: str, flags: set[str]) -> None:
    assert read_cpu(text) == (name, flags)


def test_messages_hold_the_images() -> None:
    detect = traffic("detect", "m", [b"one", b"two"])
    assert [detection_pb2.DetectRequest.FromString(one).image.encoded for one in detect.messages] == [b"one", b"two"]
    (infer,) = traffic("infer", "m", [b"one"], "image", [1, 1]).messages
    request = inference_pb2.ModelInferRequest.FromString(infer)
    assert (request.inputs[0].datatype, list(request.inputs[0].shape)) == ("BYTES", [1, 1])
    assert request.raw_input_contents[0] == b"\x03\x00\x00\x00one"


def test_messages_hold_tensors_or_where_they_lie() -> None:
    (plain,) = traffic("tensor", "m", [], "x", [1, 4]).messages
    assert len(inference_pb2.ModelInferRequest.FromString(plain).raw_input_contents[0]) == 16
    (shared,) = traffic("tensor", "m", [], "x", [1, 4], ("in", "out"), 8, ["y"]).messages
    request = inference_pb2.ModelInferRequest.FromString(shared)
    assert not request.raw_input_contents
    assert request.inputs[0].parameters["shared_memory_byte_size"].int64_param == 16
    assert request.outputs[0].parameters["shared_memory_region"].string_param == "out"


@pytest.mark.parametrize("set_up", triton_set_ups(2), ids=lambda one: one.name)
def test_tritons_configuration_is_one(set_up: SetUp, tmp_path) -> None:
    from google.protobuf import text_format

    config = text_format.Parse(triton_config(set_up, tmp_path / "model.xml", 640), WrittenConfig())
    assert config.instance_group[0].count * int(config.parameters["threads"].string_value) == 2, "every core is used"
    assert config.HasField("dynamic_batching") == (set_up.max_batch > 1)
    assert config.parameters["artefact"].string_value == str(tmp_path / "model.xml")


def test_mlservers_settings_name_every_set_up(tmp_path) -> None:
    set_ups = mlserver_set_ups(2)
    write_mlserver_folder(tmp_path, set_ups, tmp_path / "model.xml", 640, [1, 2, 3])
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert (settings["grpc_port"], settings["host"]) == (1, "127.0.0.1")
    for set_up in set_ups:
        extra = json.loads((tmp_path / set_up.name / "model-settings.json").read_text())["parameters"]["extra"]
        assert (extra["instances"], extra["threads"]) == (set_up.instances, set_up.threads)
