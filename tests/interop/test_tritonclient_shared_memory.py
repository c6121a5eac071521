"""NVIDIA's client places tensors in shared memory, and asks for outputs as classes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "shared-memory.md"
CLIENT = "tritonclient.grpc"
SHARED = pytest.mark.compatible(CLIENT, "system shared memory")
CUDA = pytest.mark.compatible(CLIENT, "CUDA shared memory", "not offered")


@pytest.fixture(scope="module")
def own_server(start_server, repository):
    """A server of its own: regions belong to a server, not to a client."""
    with start_server(repository) as server:
        yield server


@pytest.fixture(scope="module")
def answers(own_server, run_client, image):
    """What the client got, in one run."""
    return run_client("tritonclient_shared_memory", own_server.address, image)


@SHARED
def test_the_extension_is_advertised(answers):
    assert {"system_shared_memory", "classification"} <= set(answers["extensions"])


@SHARED
def test_status_tells_what_was_registered(answers):
    regions = answers["status"]["regions"]
    assert sorted(regions) == ["in", "out"]
    assert regions["in"] == {
        "name": "in",
        "key": answers["keys"]["in"],
        "offset": str(answers["page"]),
        "byte_size": str(answers["input_bytes"]),
    }


@SHARED
@pytest.mark.parametrize("place", ["input", "output", "both"])
def test_the_answer_is_that_of_the_plain_call(answers, place):
    assert answers["infer"][place]


@SHARED
def test_an_output_in_shared_memory_leaves_its_raw_contents_empty(answers):
    assert answers["infer"]["empty contents"] == [0]


@SHARED
def test_the_answer_says_where_the_output_is(answers):
    told, size = answers["infer"]["told"], answers["infer"]["size"]
    assert (told["region"], told["byte_size"], told["offset"]) == ("out", size, size)


@SHARED
def test_bytes_tensors_go_both_ways(answers, sample_names):
    names = answers["bytes"]["names"]
    assert len(names) == answers["bytes"]["scores"]
    assert sample_names is None or sorted(names) == sample_names


@SHARED
@pytest.mark.parametrize(
    ("call", "status", "named"),
    [
        pytest.param("twice", "ALREADY_EXISTS", "'in'", id="a name stands for one region"),
        pytest.param("no such key", "INTERNAL", "pasarela-none", id="an object that nobody made"),
        pytest.param("beyond the object", "INVALID_ARGUMENT", "1099511627776", id="more than the object has"),
        pytest.param("unknown region", "NOT_FOUND", "'none'", id="a region that nobody registered"),
        pytest.param("too small", "INVALID_ARGUMENT", "byte_size 8", id="an output of 142,800 bytes into 8"),
        pytest.param("status of none", "NOT_FOUND", "'none'", id="status of an unknown region"),
    ],
)
def test_wrong_use_is_refused(answers, call, status, named):
    refusal = answers["refused"][call]
    assert refusal["status"] == f"StatusCode.{status}"
    assert named in refusal["message"]


@SHARED
def test_unregister_forgets_one_or_all(answers):
    assert answers["without one"] == ["bytes", "out"]
    assert answers["after"]["status"] == "StatusCode.NOT_FOUND"
    assert answers["without all"] == []


@CUDA
@pytest.mark.parametrize("call", ["cuda status", "cuda register"])
def test_cuda_is_refused_with_the_reason_where_there_is_none(answers, call):
    refused = answers["refused"][call]["status"] == "StatusCode.UNIMPLEMENTED"
    assert refused != ("cuda_shared_memory" in answers["extensions"])
    assert "CUDA" in answers["refused"][call]["message"] or not refused


@pytest.mark.compatible(CLIENT, "classification")
def test_the_best_of_each_row_come_as_text(answers):
    rows = answers["classification"]["texts"]
    assert [len(row) for row in rows] == [3, 3]
    for row in rows:
        values = [float(text.split(":")[0]) for text in row]
        assert values == pytest.approx(answers["classification"]["best"], rel=1e-3)
        assert all(int(text.split(":")[1]) < 17 * 2100 for text in row)


@pytest.mark.compatible(CLIENT, "classification")
def test_a_count_below_one_is_refused(answers):
    assert answers["classification"]["negative"]["status"] == "StatusCode.INVALID_ARGUMENT"


@SHARED
def test_the_documents_example_runs_as_it_stands(own_server):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert "127.0.0.1:8001" in example
    code = example.replace("127.0.0.1:8001", own_server.address)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("(1, 17, 2100) ")
