"""The pure parts of isolation: what is told between the processes, and how people hear of an end."""

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.isolation.endings import describe_ending
from pasarela_server.backends.isolation.lane import align
from pasarela_server.backends.isolation.messages import (
    VOCABULARY,
    Answer,
    Begin,
    Close,
    Failed,
    Infer,
    Loaded,
    LogChanged,
    read_places,
    write_places,
)
from pasarela_server.backends.isolation.settings import LaneFds, ProcessSettings
from pasarela_server.backends.isolation.spec_text import OpenedModel, read_opened, write_opened
from pasarela_server.processes.framing import BrokenLink, FrameReader
from pasarela_server.tensor import DataType, TensorSpec

METADATA = {
    "task": "detect",
    "names": {0: "vest", 11: "sling"},
    "stride": 32,
    "imgsz": [320, 320],
    "args": {"nms": None},
}
SPEC = ArtefactSpec(
    inputs=(TensorSpec("images", DataType.FP32, (-1, 3, -1, -1)),),
    outputs=(TensorSpec("output0", DataType.FP16, (-1, 6, -1)), TensorSpec("ü", DataType.BOOL, ())),
    batched=True,
    metadata=METADATA,
    pixel_inputs=frozenset({"images"}),
    row_by_row=True,
)


def test_what_an_artefact_says_arrives_as_it_was():
    opened = OpenedModel(SPEC, "ONNX Runtime", 4)
    assert read_opened(write_opened(opened)) == opened


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"inputs": 3}', write_opened(OpenedModel(SPEC, "", 0)).replace("FP32", "FP33")],
    ids=["nothing", "a list", "no keys", "no tensors", "an unknown type"],
)
def test_what_describes_no_model_is_refused(text):
    with pytest.raises(BrokenLink, match="no model"):
        read_opened(text)


def test_settings_arrive_as_they_were():
    options = BackendOptions(
        2, 1, {"precision": "f32"}, ("x",), ("y",), 8, {"tensorrt": {"a": "b"}}, Path("/var/cache"), 2.5
    )
    settings = ProcessSettings(
        "m", "package.module:Loader", Path("/models/m/1/model.onnx"), options, 7, 5, (LaneFds(8, 9),), "{}"
    )
    assert ProcessSettings.from_text(settings.to_text()) == settings


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"artefact": 1}'])
def test_what_sets_no_process_is_refused(text):
    with pytest.raises(ValueError):
        ProcessSettings.from_text(text)


@pytest.mark.parametrize(
    "message",
    [
        Infer(1, 2**40, "[]"),
        Answer(7, "[]"),
        Failed("X", "y"),
        Loaded("{}"),
        Begin("[]", "{}"),
        Close(),
        LogChanged("{}"),
    ],
)
def test_messages_come_out_as_they_went_in(message):
    assert list(FrameReader(VOCABULARY).feed(VOCABULARY.encode(message))) == [message]


@given(st.lists(st.tuples(st.text(), st.integers(0, 2**50), st.text(max_size=9)), max_size=3))
def test_places_come_out_as_they_went_in(places):
    assert list(read_places(write_places(places))) == places


@pytest.mark.parametrize("text", ["", "3", "[3]", '[["x", "0", "<f4:1"]]', '[["x", 0]]'])
def test_what_says_no_place_is_refused(text):
    with pytest.raises(BrokenLink):
        read_places(text)


@given(st.integers(0, 2**50))
def test_tensors_begin_where_a_processor_wants_them(offset):
    assert align(offset) % 64 == 0
    assert 0 <= align(offset) - offset < 64


@pytest.mark.parametrize(
    ("code", "says"),
    [
        pytest.param(-signal.SIGFPE, "SIGFPE: it divided by zero", id="a network that divides by zero"),
        pytest.param(-signal.SIGKILL, "SIGKILL: killed, by the system for want of memory", id="no memory"),
        pytest.param(-signal.SIGUSR1, "SIGUSR1", id="a signal of no special meaning"),
        pytest.param(-250, "signal 250", id="a signal without a name"),
        pytest.param(3, "exit code 3", id="an exit"),
    ],
)
def test_an_end_is_told_in_words(code, says):
    assert describe_ending(code).startswith(says)
