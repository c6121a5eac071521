"""How the processes of Locust are waited for."""

import signal
from typing import Any

import pytest

from loadtest.locust_processes import _wait


class Master:
    """Locust, whose user presses Ctrl-C so many times before it ends."""

    def __init__(self, presses: int) -> None:
        self.presses = presses
        self.got: list[Any] = []

    def wait(self) -> int:
        if self.presses:
            self.presses -= 1
            raise KeyboardInterrupt
        return 0

    def send_signal(self, number: int) -> None:
        self.got.append(number)

    def kill(self) -> None:
        self.got.append("killed")


def test_ctrl_c_asks_the_run_to_end() -> None:
    master: Any = Master(1)
    assert _wait(master) == 0
    assert master.got == [signal.SIGINT]


def test_a_second_one_ends_it_and_the_load_test() -> None:
    """There is nothing to report then, and nothing failed: the exit code is that of Ctrl-C."""
    master: Any = Master(2)
    with pytest.raises(KeyboardInterrupt):
        _wait(master)
    assert master.got == [signal.SIGINT, "killed"]
