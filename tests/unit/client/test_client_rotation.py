from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pasarela_client.rotation import FIRST_S, LONGEST_S, SILENT_CALLS, Rotation


@dataclass
class Clock:
    now_s: float = 100.0
    chance: float = 1.0
    drawn: list[float] = field(default_factory=list)

    def rotation(self, count: int) -> Rotation:
        return Rotation(count, clock=lambda: self.now_s, chance=lambda: self.chance)


def picks(rotation: Rotation, count: int) -> list[int]:
    return [rotation.pick() for _ in range(count)]


def test_one_after_the_other() -> None:
    assert picks(Clock().rotation(3), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_who_was_tried_is_not_taken_while_there_is_another() -> None:
    rotation = Clock().rotation(2)
    assert [rotation.pick({0}), rotation.pick({0})] == [1, 1]
    assert rotation.pick({0, 1}) in {0, 1}


def test_who_failed_is_left_out_for_a_while_and_then_asked_by_one_call() -> None:
    clock = Clock()
    rotation = clock.rotation(2)
    rotation.failed(0)
    assert picks(rotation, 4) == [1, 1, 1, 1]
    clock.now_s += FIRST_S + 0.001
    assert sorted(picks(rotation, 4)) == [0, 1, 1, 1], "the others wait for what becomes of it"
    rotation.answered(0)
    assert sorted(picks(rotation, 4)) == [0, 0, 1, 1]


def test_the_time_doubles_up_to_an_end() -> None:
    clock = Clock()
    rotation = clock.rotation(2)
    waited = []
    for _ in range(8):
        rotation.failed(0)
        began_s = clock.now_s
        while 0 not in picks(rotation, 2):
            clock.now_s += 0.125
        waited.append(clock.now_s - began_s)
    assert waited[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waited[-1] == waited[-2] == LONGEST_S


def test_the_time_is_drawn_so_that_clients_come_back_one_by_one() -> None:
    clock = Clock(chance=0.0)
    rotation = clock.rotation(2)
    rotation.failed(0)
    clock.now_s += FIRST_S / 2 + 0.001
    assert 0 in picks(rotation, 2)


def test_many_calls_that_fail_together_count_once() -> None:
    clock = Clock()
    rotation = clock.rotation(2)
    for _ in range(100):
        rotation.failed(0)
    clock.now_s += FIRST_S + 0.001
    assert 0 in picks(rotation, 2)


def test_when_all_are_left_out_the_one_that_is_back_first_is_taken() -> None:
    clock = Clock()
    rotation = clock.rotation(3)
    for index in (2, 0, 1):
        rotation.failed(index)
        clock.now_s += 0.01
    assert picks(rotation, 3) == [2, 2, 2]
    assert not rotation.untried(())


def test_one_server_is_taken_whatever_happened() -> None:
    rotation = Clock().rotation(1)
    rotation.failed(0)
    assert picks(rotation, 2) == [0, 0]


def test_a_server_that_never_answers_is_left_out_in_the_end() -> None:
    rotation = Clock().rotation(2)
    for _ in range(SILENT_CALLS - 1):
        rotation.silent(0)
    assert 0 in picks(rotation, 2)
    rotation.silent(0)
    assert picks(rotation, 2) == [1, 1]


def test_an_answer_in_between_is_a_sign_of_life() -> None:
    rotation = Clock().rotation(2)
    for _ in range(3):
        for _ in range(SILENT_CALLS - 1):
            rotation.silent(0)
        rotation.answered(0)
    assert sorted(picks(rotation, 2)) == [0, 1]


class Servers(RuleBasedStateMachine):
    """Whatever happens, somebody is asked; and who is well is not left out for who is not."""

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        self.clock = Clock(chance=0.5)
        self.rotation = self.clock.rotation(count)
        self.count = count
        self.well = set(range(count))

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @rule(number=st.integers(0, 3))
    def fail(self, number: int) -> None:
        self.rotation.failed(number % self.count)
        self.well.discard(number % self.count)

    @rule(number=st.integers(0, 3))
    def answer(self, number: int) -> None:
        self.rotation.answered(number % self.count)
        self.well.add(number % self.count)

    @invariant()
    def the_well_share_the_calls(self) -> None:
        if not hasattr(self, "rotation"):
            return
        # Those that are unwell get one call each at most, to find out.
        taken = picks(self.rotation, 3 * self.count)
        assert set(taken) <= set(range(self.count))
        if self.well:
            assert set(taken) >= self.well
            assert sum(index not in self.well for index in taken) <= self.count - len(self.well)


TestServers = Servers.TestCase
TestServers.settings = settings(max_examples=50, stateful_step_count=20)
