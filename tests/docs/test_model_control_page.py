"""The page on model control: its examples run as they stand, and it tells every column of `pasarela top`."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from pasarela_client.top.layout import COLUMNS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "model-control.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def explicit(repository, start_server):
    """The shipped models; `garments` is loaded, and clients may load others."""
    with start_server(repository, "--model-control-mode", "explicit", "--load-model", "garments") as running:
        yield running


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_example_runs(block: str, explicit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert "127.0.0.1:8001" in block
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.replace("127.0.0.1:8001", explicit.address), "example", "exec"), {})
    assert printed.getvalue().strip(), "an example shows something"
    assert "cannot be loaded" not in printed.getvalue()
    assert "does not let" not in printed.getvalue()


@pytest.mark.parametrize("column", [column.title for column in COLUMNS])
def test_every_column_of_top_is_shown_and_explained(column: str) -> None:
    assert column in PAGE
    named = re.findall(r"`([A-Z0-9/]+)`", PAGE)
    assert column.removesuffix(" MS") in {*named, "VERSION", "STATE"}
