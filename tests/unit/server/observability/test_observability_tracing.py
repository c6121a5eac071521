"""Which requests are traced, and what is written of them."""

import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.errors import InvalidRequest
from pasarela_server.observability.record import RequestRecord
from pasarela_server.observability.trace_file import TraceFile
from pasarela_server.observability.tracing import GLOBAL, Tracer, TraceSettings, trace_of
from pasarela_server.request import Timings

TIMINGS = Timings(
    decode_queue_ns=5,
    decode_ns=4,
    letterbox_ns=3,
    queue_ns=15,
    batch_ns=3,
    infer_ns=30,
    split_ns=5,
    nms_queue_ns=7,
    nms_ns=10,
    batch_size=2,
)


def record(request_id="r7", *, model="m", failed=False, timings=TIMINGS):
    return RequestRecord(model, 3, request_id, 1000, 1100, 1, timings, InvalidRequest if failed else None)


def traced(path):
    """The requests in a trace file, by id."""
    found = json.loads(path.read_text())
    return [each["request_id"] for each in found if "request_id" in each]


@pytest.fixture
def tracer(tmp_path):
    tracer = Tracer(tmp_path / "trace.json")
    yield tracer
    tracer.close()


def test_a_trace_has_tritons_form():
    assert trace_of(record(), 5) == (
        {"id": 5, "model_name": "m", "model_version": 3, "request_id": "r7"},
        {
            "id": 5,
            "timestamps": [
                {"name": "REQUEST_START", "ns": 1000},
                {"name": "QUEUE_START", "ns": 1000},
                {"name": "COMPUTE_START", "ns": 1020},
                {"name": "COMPUTE_INPUT_END", "ns": 1030},
                {"name": "COMPUTE_OUTPUT_START", "ns": 1060},
                {"name": "COMPUTE_END", "ns": 1075},
                {"name": "REQUEST_END", "ns": 1100},
            ],
        },
    )


def test_a_request_that_failed_has_a_beginning_and_an_end():
    _, moments = trace_of(record(failed=True, timings=Timings()), 1)
    assert [moment["name"] for moment in moments["timestamps"]] == ["REQUEST_START", "REQUEST_END"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 200), min_size=4, max_size=4))
def test_moments_never_go_back(stages):
    preprocess, queue, infer, postprocess = stages
    timings = Timings(decode_ns=preprocess, queue_ns=queue, infer_ns=infer, nms_ns=postprocess)
    moments = [moment["ns"] for moment in trace_of(record(timings=timings), 1)[1]["timestamps"]]
    assert moments == sorted(moments)


def test_nothing_is_traced_until_it_is_asked_for(tracer, tmp_path):
    tracer.request(record())
    tracer.close()
    assert list(tmp_path.iterdir()) == []
    assert tracer.settings() == TraceSettings()


@pytest.mark.parametrize(
    ("rate", "count", "expected", "left"),
    [
        pytest.param(1, -1, list("0123456"), -1, id="all"),
        pytest.param(3, -1, ["2", "5"], -1, id="every third"),
        pytest.param(1, 2, ["0", "1"], 0, id="the first two"),
        pytest.param(2, 5, ["1", "3", "5"], 2, id="some are left"),
        pytest.param(1, 0, [], 0, id="none"),
    ],
)
def test_rate_and_count(tracer, tmp_path, rate, count, expected, left):
    tracer.change(GLOBAL, {"timestamps": True, "rate": rate, "count": count})
    for index in range(7):
        tracer.request(record(str(index)))
    tracer.close()
    path = tmp_path / "trace.json"
    assert (traced(path) if path.exists() else []) == expected
    assert tracer.settings().count == left


def test_a_models_settings_fall_back_to_the_global_ones_one_by_one(tracer):
    tracer.change(GLOBAL, {"rate": 7, "timestamps": True})
    tracer.change("m", {"rate": 2})
    assert tracer.settings("m") == TraceSettings(timestamps=True, rate=2)
    assert tracer.settings("other") == TraceSettings(timestamps=True, rate=7)

    tracer.change(GLOBAL, {"rate": 9, "timestamps": False})
    assert tracer.settings("m") == TraceSettings(timestamps=False, rate=2)

    tracer.change("m", {"rate": None})
    assert tracer.settings("m") == TraceSettings(timestamps=False, rate=9)

    tracer.change(GLOBAL, {"rate": None})
    assert tracer.settings("m") == tracer.settings() == TraceSettings()


def test_models_with_settings_of_their_own_are_counted_apart(tracer, tmp_path):
    tracer.change(GLOBAL, {"timestamps": True, "rate": 2})
    tracer.change("m", {"count": 1, "rate": 1})
    for index, model in enumerate("mmabab"):
        tracer.request(record(str(index), model=model))
    tracer.close()
    assert traced(tmp_path / "trace.json") == ["0", "3", "5"]
    assert (tracer.settings("m").count, tracer.settings().count) == (0, -1)


def test_asking_for_the_same_count_again_begins_anew(tracer):
    tracer.change("m", {"timestamps": True, "rate": 1, "count": 2})
    tracer.request(record())
    assert tracer.settings("m").count == 1
    tracer.change(GLOBAL, {"rate": 5})
    assert tracer.settings("m").count == 1, "what was said of others changes nothing here"
    tracer.change("m", {"count": 2})
    assert tracer.settings("m").count == 2


def test_a_frequency_begins_a_new_file_after_so_many_traces(tracer, tmp_path):
    tracer.change(GLOBAL, {"timestamps": True, "rate": 1, "log_frequency": 2})
    for index in range(5):
        tracer.request(record(str(index)))
    tracer.close()
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["trace.json.0", "trace.json.1", "trace.json.2"]
    assert [traced(path) for path in files] == [["0", "1"], ["2", "3"], ["4"]]


def test_without_a_file_nothing_happens():
    tracer = Tracer()
    tracer.change(GLOBAL, {"timestamps": True, "rate": 1})
    tracer.request(record())
    tracer.close()
    assert tracer.filename == ""


def test_closing_twice_and_tracing_afterwards_are_harmless(tracer, tmp_path):
    tracer.change(GLOBAL, {"timestamps": True, "rate": 1})
    tracer.request(record("a"))
    tracer.close()
    tracer.close()
    tracer.request(record("b"))
    assert traced(tmp_path / "trace.json") == ["a"]
    assert "traces" not in {thread.name for thread in threading.enumerate()}


def test_the_file_is_a_whole_list_after_every_trace(tmp_path, monkeypatch):
    """Whatever ends the process, the next reader finds JSON."""
    path, written = tmp_path / "trace.json", threading.Semaphore(0)
    dumps = json.dumps

    def watched(*arguments, **options):
        text = path.read_text()
        assert json.loads(text) is not None
        written.release()
        return dumps(*arguments, **options)

    monkeypatch.setattr("pasarela_server.observability.trace_file.json.dumps", watched)
    file = TraceFile(path)
    for number in range(3):
        file.add(trace_of(record(str(number)), number), 0)
    for _ in range(6):
        written.acquire()
    file.close()
    assert traced(path) == ["0", "1", "2"]


def test_a_file_that_fails_again_is_told_again(tmp_path, caplog):
    folder = tmp_path / "comes and goes"
    file = TraceFile(folder / "trace.json")
    file.add(trace_of(record("lost"), 0), 1)
    while len(caplog.records) < 1:
        pass
    folder.mkdir()
    file.add(trace_of(record("kept"), 1), 1)
    while not any("kept" in path.read_text() for path in folder.iterdir()):
        pass
    folder.rename(tmp_path / "gone")
    file.add(trace_of(record("lost"), 2), 1)
    file.close()
    assert [each.getMessage().partition(" to ")[0] for each in caplog.records] == ["traces cannot be written"] * 2


def test_a_file_that_cannot_be_written_is_told_once(tmp_path, caplog):
    tracer = Tracer(tmp_path / "nowhere" / "trace.json")
    tracer.change(GLOBAL, {"timestamps": True, "rate": 1})
    for _ in range(3):
        tracer.request(record())
    tracer.close()
    (message,) = [each.getMessage() for each in caplog.records]
    assert "traces cannot be written" in message
    assert "No such file or directory" in message
