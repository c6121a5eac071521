"""Writes `pasarela_client/sync/` from `pasarela_client/aio/`; with --check it only says whether that is current.

`concurrency.py` is written by hand on both sides: it is where tasks and threads differ.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import tokenize_rt
import unasync

PACKAGE: Final = Path(__file__).resolve().parent / "pasarela_client"
BY_HAND: Final = frozenset({"__init__.py", "concurrency.py"})
HEADER: Final = "# Generated from ../aio/ by client/generate_sync.py (make client-sync): change that, not this.\n"
NAMES: Final = {"aio": "sync", "aclose": "close", "anext": "next", "aiter": "iter", "aclosing": "closing"}
_ASYNC_WORD: Final = re.compile(r"\b(?:async|await) (?=\S)|\bAsync(?=[A-Z])")


class _ToSync(unasync.Rule):  # type: ignore[misc]
    """Names lose their `Async`; so do docstrings, whose examples are to run, too."""

    def __init__(self) -> None:
        super().__init__("aio", "sync", additional_replacements=NAMES)

    def translated(self, source: str) -> str:
        """The source without `async` and `await`."""
        tokens = list(self._unasync_tokens(tokenize_rt.src_to_tokens(source)))
        return str(tokenize_rt.tokens_to_src(list(_with_docstrings(tokens))))

    def _unasync_name(self, name: str) -> str:
        if name in self.token_replacements:
            return str(self.token_replacements[name])
        return re.sub(r"^(_?)Async(?=[A-Z])", r"\1", name)


def _with_docstrings(tokens: Iterable[Any]) -> Iterator[Any]:
    for token in tokens:
        long = token.name == "STRING" and token.src.endswith('"""')
        yield token._replace(src=_ASYNC_WORD.sub("", token.src)) if long else token


def generate(folder: Path) -> None:
    """Writes the synchronous form of every module into the folder, formatted."""
    rule = _ToSync()
    written = []
    for path in sorted((PACKAGE / "aio").glob("*.py")):
        if path.name not in BY_HAND:
            target = folder / path.name
            target.write_text(HEADER + rule.translated(path.read_text()))
            written.append(str(target))
    config = ["--config", str(PACKAGE.parent.parent / "pyproject.toml")]
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--quiet", "--fix-only", "--select", "I", *config, *written], check=True)
    subprocess.run([*ruff, "format", "--quiet", *config, *written], check=True)


def outdated() -> list[str]:
    """Names of modules in `sync/` that are not what `aio/` makes them, or that nothing makes."""
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        made = {path.name: path.read_text() for path in Path(fresh).glob("*.py")}
    there = {path.name: path.read_text() for path in (PACKAGE / "sync").glob("*.py") if path.name not in BY_HAND}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def main(arguments: list[str]) -> int:
    """Generates, or checks; returns the exit code."""
    if arguments == ["--check"]:
        if names := outdated():
            print(
                f"not current in client/pasarela_client/sync: {', '.join(names)}. Run: make client-sync",
                file=sys.stderr,
            )
        return 1 if names else 0
    for path in (PACKAGE / "sync").glob("*.py"):
        if path.name not in BY_HAND:
            path.unlink()
    generate(PACKAGE / "sync")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
