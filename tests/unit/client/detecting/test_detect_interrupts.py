"""Signals while a run goes on."""

import os
import signal
import threading

import pytest

from pasarela_client.commands.detecting.interrupts import Interrupted, Interrupts


def test_a_signal_waits_until_a_result_is_taken() -> None:
    taken = []
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted) as raised, interrupts.held():
            os.kill(os.getpid(), signal.SIGTERM)
            taken.append(1)
        assert taken == [1]
        assert raised.value.exit_code == 143


def test_a_terminal_that_is_closed_ends_the_run_as_ctrl_c_does() -> None:
    with Interrupts(), pytest.raises(Interrupted) as raised:
        os.kill(os.getpid(), signal.SIGHUP)
    assert raised.value.exit_code == 129


def test_a_second_signal_does_not_wait() -> None:
    taken = []
    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.held():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        taken.append(1)
    assert taken == []


def test_a_signal_between_results_is_raised_at_once() -> None:
    with Interrupts() as interrupts, pytest.raises(Interrupted) as raised:
        with interrupts.held():
            pass
        os.kill(os.getpid(), signal.SIGINT)
    assert raised.value.exit_code == 130


def test_handlers_are_put_back_and_those_of_others_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    other = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is not before
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGTERM, other)


def test_on_another_thread_nothing_changes() -> None:
    seen = []

    def enter() -> None:
        with Interrupts() as interrupts, interrupts.held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
