"""How a process ended, for people. Pure."""

from __future__ import annotations

import signal

_MEANS = {
    signal.SIGFPE: "it divided by zero",
    signal.SIGSEGV: "it used memory that is not its own",
    signal.SIGBUS: "it used memory that was taken away",
    signal.SIGABRT: "it gave up by itself",
    signal.SIGILL: "this processor has not what it is made for",
    signal.SIGKILL: "killed, by the system for want of memory, or by a person",
}


def describe_ending(code: int) -> str:
    """Why a process ended.

    Args:
        code: As `subprocess` gives it: the number of a signal with a minus before it, or an exit code.
    """
    if code >= 0:
        return f"exit code {code}"
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"signal {-code}"
    means = _MEANS.get(number)
    return f"{number.name}: {means}" if means else number.name
