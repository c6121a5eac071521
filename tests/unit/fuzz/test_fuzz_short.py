"""`make fuzz` in short: every target with inputs that begin well and are spoiled, and all that was ever found."""

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import hostile
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, Came

FOUND = Path(__file__).parents[2] / "fuzz" / "found"
SEEDS = {name: list(known) for name, known in seeds().items()}


def spoiled(name: str) -> st.SearchStrategy[bytes]:
    """A seed with some of its bytes replaced, cut and doubled; or any bytes."""

    def spoil(parts: tuple[bytes, list[tuple[int, bytes]], int]) -> bytes:
        content, changes, end = bytearray(parts[0]), parts[1], parts[2]
        for place, new in changes:
            at = place % (len(content) + 1)
            content[at : at + len(new)] = new
        return bytes(content[: max(0, len(content) - end)])

    changes = st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=6)), max_size=6)
    return st.binary(max_size=300) | st.tuples(st.sampled_from(SEEDS[name]), changes, st.integers(0, 40)).map(spoil)


@pytest.mark.filterwarnings(
    "ignore:.*invalid (escape|octal escape) sequence:DeprecationWarning"
)  # protobuf's, of a text
@pytest.mark.parametrize("name", TARGETS)
def test_spoiled_inputs_are_accepted_or_refused_and_nothing_else(name: str) -> None:
    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(spoiled(name))
    def check(content: bytes) -> None:
        assert TARGETS[name](content) in Came

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_some_seeds_are_accepted(name: str) -> None:
    """A target that refuses everything tries nothing behind its door."""
    came = {TARGETS[name](seed) for seed in SEEDS[name]}
    assert Came.ACCEPTED in came or name == "tensor"


def test_what_was_found_once_is_never_found_again() -> None:
    for path in FOUND.glob("*/*"):
        assert TARGETS[path.parent.name](path.read_bytes()) in Came, path


def test_a_server_outlives_clients_that_send_anything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    outcome = hostile.assail(1500)
    assert outcome.fault == ""
    assert outcome.inputs == 1350
    assert outcome.accepted > 0
    assert outcome.refused > outcome.accepted
