"""Model control from Python and from the command line, against a real server that leaves it to its clients."""

import asyncio
import json
import re

import grpc
import numpy as np
import pytest

from pasarela_client.__main__ import main
from pasarela_client.control import AsyncServer, Server
from pasarela_client.errors import InvalidRequest, LoadFailed, ModelNotFound, ModelUnavailable
from pasarela_client.top.asking import Watched
from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc
from tests.tiny_models import write_detector, write_onnx


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A repository: `adder` of two versions, `seer` over `eyes`, and `broken`."""
    folder = tmp_path_factory.mktemp("control") / "models"
    write_onnx(folder / "adder" / "1", 1)
    write_onnx(folder / "adder" / "2", 2)
    (folder / "adder" / "version_labels.json").write_text('{"stable": 1}')
    write_detector(folder / "eyes" / "1", ("hat", "shoe"))
    (folder / "seer").mkdir()
    (folder / "seer" / "config.pbtxt").write_text(
        'backend: "detection" parameters { key: "model" value { string_value: "eyes" } }'
    )
    write_onnx(folder / "broken" / "1", 1)
    (folder / "broken" / "config.pbtxt").write_text("max_batch_sise: 4")
    return folder


@pytest.fixture(scope="module")
def explicit(models, start_server):
    """A server that loads nothing but what clients say."""
    with start_server(models, "--model-control-mode", "explicit", "--allow-empty-repository", "true") as running:
        yield running


@pytest.fixture
def server(explicit):
    """The client's server; nothing is loaded afterwards."""
    with Server(explicit.address) as server:
        yield server
        for name in {state.name for state in server.models() if state.ready}:
            server.unload(name)


@pytest.fixture
def pasarela(explicit, server, capsys):
    """Runs a command on the server; its exit code, stdout and stderr."""

    def run(*words):
        code = main([*map(str, words), "--url", explicit.address])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def states(server, name):
    return {state.version: state.state for state in server.models() if state.name == name}


def add(address, value, requests=1, rows=1):
    """What `adder` makes of a value, so many times."""
    message = pb.ModelInferRequest(model_name="adder", raw_input_contents=[np.full((rows, 2), value, "f4").tobytes()])
    message.inputs.add(name="x", datatype="FP32", shape=[rows, 2])
    with grpc.insecure_channel(address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        replies = [stub.ModelInfer(message) for _ in range(requests)]
    return np.frombuffer(replies[-1].raw_output_contents[0], "f4").reshape(rows, 2)[0, 0]


def test_a_model_is_loaded_and_unloaded(explicit, server):
    assert states(server, "adder") == {"": "UNKNOWN"}
    server.load("adder")
    assert states(server, "adder") == {"1": "READY", "2": "READY"}, "the label keeps version 1"
    assert server.ready("adder", "stable")
    assert add(explicit.address, 5) == 7
    server.unload("adder")
    assert "READY" not in states(server, "adder").values()
    assert not server.ready("adder")


def test_the_same_without_threads(explicit):
    async def run():
        async with AsyncServer(explicit.address) as server:
            await server.load("adder")
            await server.wait_until_ready("adder", timeout_s=60)
            described = await server.describe("adder", "stable")
            await server.unload("adder")
            return described, await server.ready("adder")

    described, ready = asyncio.run(run())
    assert described.labels == {"stable": 1}
    assert not ready


def test_top_sees_how_many_instances_there_are_after_a_reload(server):
    """A reload leaves the version ready all the time, and may begin with the same counts: none."""
    watched = Watched(server, "")
    seen = []
    for count in (1, 3, 2):
        server.load("adder", config={"instance_group": [{"count": count}]})
        seen.append(watched.look().instances["adder", "2"])
    assert seen == [1, 3, 2]


def test_a_configuration_of_our_own_holds_until_the_next_load(server, tmp_path):
    config = tmp_path / "config.pbtxt"
    config.write_text("max_batch_size: 3\ninstance_group { count: 3 }\ndynamic_batching { preferred_batch_size: 2 }\n")
    server.load("adder", config=config)
    changed = server.describe("adder")
    server.load("adder")
    assert (changed.max_batch_size, changed.instance_count, changed.batching.preferred) == (3, 3, (2,))
    assert server.describe("adder").batching is None


def test_files_of_our_own_stand_in_for_the_repositorys(explicit, server, tmp_path):
    write_onnx(tmp_path, 30)
    server.load("adder", files={"7/model.onnx": tmp_path / "model.onnx"})
    assert add(explicit.address, 5) == 35
    assert states(server, "adder")["7"] == "READY"
    server.unload("adder")
    server.load("adder")
    assert add(explicit.address, 5) == 7


def test_what_a_detection_model_runs_comes_and_goes_with_it(server):
    server.load("seer")
    described = server.describe("seer")
    assert (described.runs, described.class_names, described.instance_count) == ("eyes", {0: "hat", 1: "shoe"}, 0)
    server.unload("seer", dependents=True)
    assert {state.name for state in server.models() if state.ready} == set()


@pytest.mark.parametrize(
    ("load", "kind", "message"),
    [
        ({"model": "nothing"}, ModelNotFound, "no model 'nothing'; it has: adder, broken, eyes, seer"),
        ({"model": "broken"}, LoadFailed, "max_batch_sise"),
        ({"model": "adder", "config": '{"max_batch_sise": 1}'}, InvalidRequest, "max_batch_sise"),
        ({"model": "adder", "config": "max_batch_sise: 1"}, InvalidRequest, 'no field named "max_batch_sise"'),
        ({"model": "adder", "files": {"1/model.onnx": b"no model"}}, LoadFailed, "cannot be loaded|version 1"),
    ],
    ids=["unknown", "broken", "a typo in JSON", "a typo in pbtxt", "a file that is no model"],
)
def test_what_cannot_be_loaded_says_why(server, load, kind, message):
    with pytest.raises(kind, match=message) as raised:
        server.load(**load)
    assert raised.value.model == load["model"]


def test_counts_are_exact(explicit, server):
    server.load("adder")
    before = server.statistics("adder")
    add(explicit.address, 1, requests=7)
    add(explicit.address, 1, requests=2, rows=3)
    after = server.statistics("adder")
    traffic = (after - before).of("adder")
    assert (traffic.answered.count, traffic.failed.count, traffic.rows, traffic.executions) == (9, 0, 13, 9)
    assert [(batch.rows, batch.executions) for batch in traffic.batches] == [(1, 7), (3, 2)]
    assert traffic.answered.total_ns >= traffic.infer.total_ns > 0
    assert after.of("adder", "1").answered.count == 0, "nobody asked for the other version"
    assert after.of("adder").last_inference_s > 1.6e9
    server.unload("adder")
    server.load("adder")
    again = (server.statistics("adder") - after).of("adder")
    assert (again.began_anew, again.answered.count) == (True, 0)


def test_statistics_of_what_is_not_there(server):
    with pytest.raises(ModelNotFound, match="no model 'nothing'"):
        server.statistics("nothing")
    with pytest.raises(ModelUnavailable, match="adder"):
        server.statistics("adder")


def test_commands_load_describe_count_and_unload(explicit, pasarela):
    code, out, _ = pasarela("load", "adder", "seer")
    assert code == 0
    assert re.fullmatch(r"adder versions 1, 2 READY after \d+\.\d s\nseer version 1 READY after \d+\.\d s\n", out)
    code, out, _ = pasarela("models", "--ready")
    assert (code, out.splitlines()[0].split()) == (0, ["NAME", "VERSION", "LABELS", "STATE", "PLATFORM"])
    assert [line.split() for line in out.splitlines()[1:3]] == [
        ["adder", "1", "stable", "READY", "onnxruntime"],
        ["adder", "2", "READY", "onnxruntime"],
    ]
    code, out, _ = pasarela("describe", "seer")
    shown = [line.strip() for line in out.splitlines()]
    assert (code, shown[0], shown[1]) == (0, "seer", "platform  detection over eyes")
    assert "classes   2: 0 hat, 1 shoe" in shown
    code, out, _ = pasarela("describe", "adder", "--json")
    assert json.loads(out)["labels"] == {"stable": 1}
    add(explicit.address, 1, requests=4)
    code, out, _ = pasarela("stats", "adder")
    assert code == 0
    assert out.splitlines()[2].split()[:7] == ["adder", "2", "4", "0", "4", "4", "1.0"]
    assert "batches of adder 2" in out
    code, out, _ = pasarela("stats", "--json")
    told = {(each["model"], each["version"]): each["answered"] for each in map(json.loads, out.splitlines())}
    assert told == {("adder", "1"): 0, ("adder", "2"): 4, ("eyes", "1"): 0, ("seer", "1"): 0}
    code, out, _ = pasarela("unload", "seer", "adder", "--dependents")
    assert (code, out) == (0, "seer unloaded\nadder unloaded\n")
    code, out, _ = pasarela("models", "--ready")
    assert (code, out) == (0, f"the server at {explicit.address} has no models that are ready\n")
    assert pasarela("stats") == (0, f"the server at {explicit.address} has no model that is ready\n", "")


def test_the_good_ones_are_loaded_and_the_bad_ones_are_listed(pasarela, server):
    code, out, err = pasarela("load", "broken", "adder", "nothing", "--json")
    told = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [(each["model"], each["loaded"]) for each in told] == [
        ("broken", False),
        ("adder", True),
        ("nothing", False),
    ]
    assert told[1]["versions"] == ["1", "2"]
    assert [line.startswith("pasarela: ") for line in err.splitlines()] == [True, True]
    assert states(server, "adder") == {"1": "READY", "2": "READY"}
    code, out, err = pasarela("unload", "nothing", "adder")
    assert (code, out) == (1, "adder unloaded\n")
    assert "no model 'nothing'" in err


def test_what_was_added_is_watched(explicit, pasarela):
    pasarela("load", "adder")
    add(explicit.address, 1, requests=3)
    code, out, _ = pasarela("stats", "adder", "--watch", "0.2", "--count", "2", "--json")
    lines = [json.loads(line) for line in out.splitlines() if json.loads(line)["version"] == "2"]
    assert code == 0
    assert [line["answered"] for line in lines] == [3, 0, 0]
    assert [("requests_per_s" in line) for line in lines] == [False, True, True]
    code, out, _ = pasarela("stats", "--watch", "0.2", "--count", "1")
    assert "REQ/S" in out.splitlines()[-3]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["describe", "nothing"], 1, "nothing"),
        (["describe", "adder"], 1, "adder"),
        (["stats", "nothing"], 1, "no model 'nothing'"),
        (["stats", "--watch", "0"], 2, "--watch is a time above 0"),
        (["stats", "--watch", "nan"], 2, "--watch is a time above 0"),
        (["stats", "--count", "3"], 2, "--count is at least 1, and for --watch"),
        (["stats", "--model-version", "2"], 2, "name it"),
        (["load", "adder", "seer", "--config", "x"], 2, "for one model"),
        (["load", "adder", "--file", "model.onnx"], 2, "--file looks like 1/model.onnx=best.onnx"),
        (["load", "adder", "--file", "1/model.onnx=/nowhere/model.onnx"], 2, "cannot read /nowhere/model.onnx"),
        (["load", "adder", "--config", __file__], 2, "is no model configuration"),
        (["load", "adder", "--config", "/nowhere/config.pbtxt"], 2, "No such file"),
    ],
)
def test_wrong_words(pasarela, words, code, message):
    found, out, err = pasarela(*words)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["load", "m"], ["unload", "m"], ["describe", "m"], ["stats"], ["top", "--once"]])
def test_nobody_there(words, capsys, explicit):
    """The address is that of the metrics: someone listens there, and speaks another protocol."""
    for address in ("127.0.0.1:9", explicit.metrics_address):
        assert main([*words, "--url", address, "--retries", "0"]) == 3
        assert address in capsys.readouterr().err


def test_a_server_that_leaves_loading_to_nobody_says_how_to_start_it(models, start_server, tmp_path, capsys):
    write_onnx(tmp_path / "adder" / "1", 1)
    with start_server(tmp_path) as running:
        for words in (["load", "adder"], ["unload", "adder"]):
            assert main([*words, "--url", running.address]) == 1
            assert "make serve ARGS=\"--model-control-mode explicit --load-model '*'\"" in capsys.readouterr().err
        assert main(["models", "--wait", "60", "--url", running.address]) == 0


def test_tokens_say_who_may_do_what(models, start_server, tmp_path, capsys):
    groups = {name: name * 4 for name in ("inference", "observability", "control")}
    (tmp_path / "tokens").write_text("".join(f"{name} {token}\n" for name, token in groups.items()))
    for name, token in groups.items():
        (tmp_path / name).write_text(token)
    flags = [
        "--model-control-mode",
        "explicit",
        "--load-model",
        "adder",
        "--auth-tokens-file",
        str(tmp_path / "tokens"),
    ]
    with start_server(models, *flags) as running:

        def run(group, *words):
            code = main([*words, "--url", running.address, "--token-file", str(tmp_path / group)])
            captured = capsys.readouterr()
            return code, captured.out, captured.err

        for command in ("load", "unload"):
            code, out, err = run("observability", command, "eyes")
            assert (code, out) == (1, "")
            assert "this server does not let you load or unload models: RepositoryModel" in err
            assert "takes a token for control" in err
        code, out, _ = run("control", "load", "eyes")
        assert (code, out.startswith("eyes version 1 READY")) == (0, True)
        code, out, _ = run("inference", "describe", "eyes")
        assert (code, "versions   1 READY" in out) == (0, True)
        assert run("inference", "stats")[0] == 1
        assert run("observability", "stats")[0] == 0
        code, out, _ = run("observability", "top", "--once", "--interval", "0.2", "--metrics-url", "none")
        assert (code, "eyes" in out) == (0, True)
        assert run("control", "models")[0] == 0
