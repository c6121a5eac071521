"""What travels between the processes arrives as it was: facts, timings, errors."""

import asyncio
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server import errors
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.yolo import Layout, YoloDetector
from pasarela_server.frontends.facts import Facts, FactsBook
from pasarela_server.frontends.failures import describe_failure, name_of, named_error
from pasarela_server.frontends.timings import pack, unpack
from pasarela_server.observability.metrics import failure_reason
from pasarela_server.processes.framing import BrokenLink
from pasarela_server.repository.pipeline import DetectionPipeline, ImageLimits
from pasarela_server.request import Timings
from pasarela_server.rpc.status import FailureTable
from pasarela_server.tensor import DataType

DETECTOR = YoloDetector("images", "output0", ("skirt", "top"), (64, 96), 32, DataType.FP16, Layout.ROWS, 2, True)
NUMBERS = st.integers(-(2**63), 2**63 - 1)


def timings():
    hints = typing.get_type_hints(Timings)
    return st.builds(
        Timings, *(st.text("abc ", max_size=9) if hints[name] is str else NUMBERS for name in Timings._fields)
    )


def pipeline(defaults=None):
    return DetectionPipeline("m", 3, lambda: None, None, defaults or DetectOptions(), ImageLimits())


@given(timings())
def test_timings(said):
    assert unpack(pack(said)) == said


@pytest.mark.parametrize("packed", [b"", b"x" * 50, pack(Timings()) + b"\0more"])
def test_bytes_that_are_no_timings_are_refused(packed):
    with pytest.raises(BrokenLink):
        unpack(packed)


def test_facts():
    facts = FactsBook().of(pipeline(DetectOptions(0.3, 0.6, 20, (0, 1))), DETECTOR)
    assert Facts.from_text(facts.to_text()) == facts


def test_facts_have_another_number_only_when_they_are_others():
    book, served = FactsBook(), pipeline()
    first = book.of(served, DETECTOR)
    reloaded = YoloDetector("images", "output0", ("hat",), (64, 96), 32, DataType.FP16, Layout.ROWS)
    assert book.of(served, DETECTOR) is first
    assert book.of(pipeline(), DETECTOR).number != first.number
    assert book.of(served, reloaded).number != first.number


def all_errors(kind=errors.ServingError):
    return [kind, *(each for below in kind.__subclasses__() for each in all_errors(below))]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_an_error_is_told_alike_from_either_side(kind):
    error = kind("model 'm': why")
    arrived = named_error(*describe_failure(error, FailureTable(), "r"))
    assert type(arrived) is next(each for each in kind.__mro__ if each.__module__ == errors.__name__)
    assert FailureTable().failure(arrived) == FailureTable().failure(error)
    assert failure_reason(named_error(name_of(error))) == failure_reason(error)


def test_the_unexpected_is_told_as_such_and_nothing_of_it(caplog):
    arrived = named_error(*describe_failure(KeyError("secret"), FailureTable(), "r7"))
    told = FailureTable().failure(arrived)
    assert told == FailureTable().failure(KeyError("secret"), "r7")
    assert failure_reason(named_error(name_of(KeyError("secret")))) == "OTHER"


def test_a_client_that_has_gone_counts_as_cancelled():
    assert failure_reason(named_error(name_of(asyncio.CancelledError()))) == "CANCELED"
