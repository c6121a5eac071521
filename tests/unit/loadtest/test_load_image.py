"""What Locust's image installs is all that its page needs, to the end of a run."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[3]


def normalised(name: str) -> str:
    return name.lower().replace("_", "-")


def imported(path: Path) -> set[str]:
    """Modules that a file imports, wherever it does so, but for the sake of types."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def reached(start: Path) -> dict[str, Path]:
    """Packages that are not the project's load tests, each with the file that needs it."""
    waiting, seen, others = [start], set[Path](), dict[str, Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imported(path):
            if name.split(".")[0] != "loadtest":
                others.setdefault(name.split(".")[0], path)
                continue
            base = ROOT / Path(*name.split("."))
            waiting += [each for each in (base.with_suffix(".py"), base / "__init__.py") if each.exists()]
    return others


def test_the_group_names_all_that_a_run_imports() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["loadtest"]
    declared = {normalised(each.split(">")[0]) for each in group}
    for project in ("proto", "client"):
        wanted = tomllib.loads((ROOT / project / "pyproject.toml").read_text())["project"]
        for each in (*wanted["dependencies"], *wanted.get("optional-dependencies", {}).get("media", ())):
            declared.add(normalised(each.split(">")[0]))
    declared |= {"pasarela-proto", "pasarela-client"}
    declared |= {"gevent", "pydantic-core"}  # reason: Locust and pydantic bring these, and show them to their users
    providers = metadata.packages_distributions()
    missing = {
        name: str(path.relative_to(ROOT))
        for name, path in reached(ROOT / "loadtest/locustfile.py").items()
        if name not in sys.stdlib_module_names
        and not declared & {normalised(each) for each in providers.get(name, [name])}
    }
    assert not missing
