"""Writes the pages that are made from the code: `make docs`. A test compares them with what is committed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtest.scenario.reference import scenario_reference
from pasarela_server.config.fields import HONOURED, REFUSED
from pasarela_training.config.reference import config_reference

DOCS = Path(__file__).parent


def model_configuration() -> str:
    """`model-configuration.md`: every field of config.pbtxt, from the tables that the server itself uses."""
    lines = [
        "# Fields of config.pbtxt",
        "",
        "Made by `make docs` from the table that the server itself uses; do not edit. The schema is Triton's.",
        "",
        "## Honoured",
        "",
        "| field | how |",
        "|---|---|",
        *(f"| `{path}` | {how} |" for path, how in HONOURED.items()),
        "",
        "## Refused, by name",
        "",
        "A configuration that sets one of these does not load, and the message says which.",
        "",
        "| field | instead |",
        "|---|---|",
        *(f"| `{path}` | {instead} |" for path, instead in REFUSED.items()),
        "",
    ]
    return "\n".join(lines)


def wrong_requests() -> str:
    """`wrong-requests.md`: the table that a test sends to a server, row by row."""
    rows = _load(DOCS.parent / "tests" / "rpc" / "test_wrong_requests.py").WRONG
    lines = [
        "# Wrong requests",
        "",
        "Made by `make docs` from the table that `tests/rpc/test_wrong_requests.py` sends to a server; do not edit.",
        "An inference is tried on `ModelInfer` and on `ModelStreamInfer`. Where Triton answers otherwise, and why:",
        "[decision 12](decisions/0012-wrong-requests-that-triton-lets-pass.md).",
        "",
        "| method | what is wrong | status | the message holds |",
        "|---|---|---|---|",
    ]
    for row in rows:
        words = ", ".join(f"`{word}`" for word in row.words if word.strip())
        lines.append(f"| {row.method} | {row.what} | `{row.code}` | {words} |")
    return "\n".join([*lines, ""])


def _load(path: Path) -> Any:
    """A module of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


PAGES = {
    "load-scenarios.md": scenario_reference,
    "model-configuration.md": model_configuration,
    "training-configuration.md": config_reference,
    "wrong-requests.md": wrong_requests,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
        print(f"docs/{name}")
