"""Commands that the documents show are there, with the flags that they show; tables list what the code knows."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from pasarela_client.__main__ import main
from pasarela_client.doctor.diagnosis import RULES
from pasarela_server.observability.stage_times import STAGES
from pasarela_server.rpc.timings import TOLD_NUMBERS, TOLD_STRINGS
from pasarela_server.scheduling.policy import CloseReason

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
COMMANDS = sorted(
    {line for page in PAGES for line in re.findall(r"^\$ (pasarela .*)$", page.read_text(), re.MULTILINE)}
)
OBSERVING = (ROOT / "docs" / "observing.md").read_text()


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_can_be_called(command: str) -> None:
    """It is parsed, no more: `--help` at its end keeps it from running, once what stands before was understood."""
    words = shlex.split(command, comments=True)
    shown = set(re.findall(r"--[a-z-]+", command))
    help_text = io.StringIO()
    with contextlib.redirect_stdout(help_text), pytest.raises(SystemExit) as raised:
        main([*words[1:], "--help"])
    assert raised.value.code == 0
    assert shown - {"--help"} <= set(re.findall(r"--[a-z-]+", help_text.getvalue()))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_doctors_page_lists_every_rule(rule: object) -> None:
    name = getattr(rule, "__name__", "").replace("_", "-")
    assert f"`{name}`" in (ROOT / "docs" / "doctor.md").read_text()


@pytest.mark.parametrize("reason", CloseReason)
def test_every_reason_to_close_a_batch_is_explained(reason: CloseReason) -> None:
    assert re.search(rf"^\| `{reason.value}` \| .", OBSERVING, re.MULTILINE)


@pytest.mark.parametrize("name", [*TOLD_NUMBERS, *TOLD_STRINGS])
def test_every_parameter_that_tells_timings_is_explained(name: str) -> None:
    assert re.search(rf"^\| `{name}` ", OBSERVING, re.MULTILINE)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_the_histograms_is_explained(stage: str) -> None:
    assert f"`{stage}`" in OBSERVING
