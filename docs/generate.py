"""Writes the pages that are made from the code: `make docs`. A test compares them with what is committed."""

from __future__ import annotations

from pathlib import Path

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


PAGES = {"model-configuration.md": model_configuration, "training-configuration.md": config_reference}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
        print(f"docs/{name}")
