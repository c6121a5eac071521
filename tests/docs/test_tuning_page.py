"""The page on tuning shows commands that are there, and every flag that there is."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from pasarela_server.__main__ import main

PAGE = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text()
COMMANDS = re.findall(r"^\$ (pasarela-server tune .*)$", PAGE, re.MULTILINE)


def tell(*words: str) -> str:
    """What `pasarela-server` prints before it ends by itself."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    return printed.getvalue()


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_can_be_called(command: str) -> None:
    """It is parsed, no more: `--help` at its end keeps it from running, once what stands before was understood."""
    assert "usage: pasarela-server tune" in tell(*shlex.split(command)[1:], "--help")


def test_every_flag_is_explained() -> None:
    flags = set(re.findall(r"^  (--[a-z-]+)", tell("tune", "--help"), re.MULTILINE))
    assert len(flags) >= 11
    assert {flag for flag in flags if flag not in PAGE} <= {"--model-repository"}
