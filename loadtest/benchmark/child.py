"""Processes of one's own that measure when told to.

What is measured shares no interpreter with what asks for it: engines, pipelines and load generators each have theirs.
A line of JSON goes in, a line of JSON comes out.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

Handler = Callable[..., Mapping[str, Any]]


class ChildFailed(Exception):
    """A measuring process could not do what it was told; the message says what, and how it ended."""


class Child:
    """A running process that measures. Leave it by `with child(...)`."""

    def __init__(self, process: subprocess.Popen[str], module: str, errors: IO[str]) -> None:
        self._process = process
        self._module = module
        self._errors = errors

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Has it do one thing; blocks until it is done.

        Raises:
            ChildFailed: It could not; with its reason.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"command": command, **parameters}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:]
            raise ChildFailed(f"{self._module} ended before it answered {command!r}: {' '.join(last) or 'no message'}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ChildFailed(f"{self._module}: {answer['error']}")
        return answer


@contextlib.contextmanager
def child(module: str, *arguments: str) -> Iterator[Child]:
    """Runs `python -m module arguments…` until the block is left, then ends it whatever it is doing."""
    command = [sys.executable, "-m", module, *arguments]
    with (
        tempfile.TemporaryFile("w+") as errors,
        # A session of its own: Ctrl-C reaches the one who asks, who then ends the process in good order.
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as process,
    ):
        try:
            yield Child(process, module, errors)
        finally:
            process.kill()


def serve(handlers: Mapping[str, Handler]) -> int:
    """The other end of `Child`: obeys commands until there are no more. Returns the exit code."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    for line in sys.stdin:
        parameters = json.loads(line)
        try:
            answer = handlers[parameters.pop("command")](**parameters)
        except Exception as error:  # noqa: BLE001 - the one who asked says it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0
