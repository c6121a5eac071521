"""Commands for a person who looks after a repository: `pasarela-server versions | label | rollback | tune`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pasarela_server.config.command_line import OneLineParser
from pasarela_server.config.server import DEFAULT_REPOSITORY, variable
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.edit import describe_versions, roll_back_label, set_labels, withdraw_highest
from pasarela_server.request import VERSION_LABEL
from pasarela_server.tuning.command import run_tune

_TUNE = "tune"
_FOLLOWS = (
    "a server that polls the repository (--model-control-mode poll) follows within seconds; with explicit control, "
    "load the model again"
)


def is_command(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for one of these, and not for a server."""
    return bool(arguments) and arguments[0] in (*_COMMANDS, _TUNE)


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs one command.

    Args:
        arguments: The command line without the program's name; the first is the command.
        environment: Usually `os.environ`.

    Returns:
        0, or 1 with one line on stderr if it could not be done; 130 if it was stopped.

    Raises:
        SystemExit: With code 2 for a wrong command line; with 0 after `--help`.
    """
    name = arguments[0]
    if name == _TUNE:
        return run_tune(arguments[1:], environment)
    summary, build, run = _COMMANDS[name]
    parser = OneLineParser(prog=f"pasarela-server {name}", description=summary, allow_abbrev=False)
    parser.add_argument("model", metavar="MODEL", help="the model's name")
    build(parser)
    parser.add_argument(
        "--model-repository",
        metavar="PATH",
        type=Path,
        default=Path(environment.get(variable("model_repository")) or DEFAULT_REPOSITORY),
        help=f"folder that holds the models (default: ./{DEFAULT_REPOSITORY}) [{variable('model_repository')}]",
    )
    said = parser.parse_args(arguments[1:])
    try:
        sys.stdout.write(run(said))
    except (InvalidModel, OSError) as error:
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return 1
    return 0


def _versions(said: argparse.Namespace) -> str:
    lines = describe_versions(said.model_repository, said.model)
    rows = [("version", "labels", "served", "")]
    rows += [
        (str(line.version), ", ".join(line.labels) or "-", "yes" if line.wanted else "no", line.fault or "")
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join("  ".join(map(str.ljust, row, widths)).rstrip() + "\n" for row in rows)


def _label(said: argparse.Namespace) -> str:
    labels = set_labels(said.model_repository, said.model, dict(said.labels))
    shown = ", ".join(f"{label} is version {version}" for label, version in sorted(labels.items())) or "no labels"
    return f"{said.model}: {shown}\n{_FOLLOWS}\n"


def _rollback(said: argparse.Namespace) -> str:
    if said.label is not None:
        before, now = roll_back_label(said.model_repository, said.model, said.label)
        return f"{said.model}: {said.label} was version {before}, and is version {now} now\n{_FOLLOWS}\n"
    gone, left, folder = withdraw_highest(said.model_repository, said.model)
    return (
        f"{said.model}: version {gone} is withdrawn, version {left} is the highest now\n{_FOLLOWS}\n"
        f"to bring it back: mv {folder} {folder.with_name(str(gone))}\n"
    )


def _label_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "labels",
        metavar="LABEL=VERSION",
        nargs="+",
        type=_assignment,
        help="a label and the version that it is to name, as stable=3; an empty version takes the label away",
    )


def _rollback_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "label",
        metavar="LABEL",
        nargs="?",
        help="give this label back to the version that it named before; without it, the highest version is withdrawn",
    )


def _nothing(_: argparse.ArgumentParser) -> None:
    """`versions` takes the model alone."""


def _assignment(text: str) -> tuple[str, int | None]:
    label, equals, version = text.partition("=")
    whole = version.isascii() and version.isdecimal() and int(version) > 0
    if not equals or VERSION_LABEL.fullmatch(label) is None or (version and not whole):
        raise argparse.ArgumentTypeError(f"expected LABEL=VERSION, like stable=3, got {text!r}")
    return label, int(version) if version else None


_Command = tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], str]]
_COMMANDS: Mapping[str, _Command] = {
    "versions": (
        "Lists the versions of a model on disk: labels, what is served, what is not whole.",
        _nothing,
        _versions,
    ),
    "label": ("Names versions of a model: clients may ask for a label instead of a number.", _label_arguments, _label),
    "rollback": (
        "Takes the latest change back: a label's, or the highest version itself. Nothing is deleted.",
        _rollback_arguments,
        _rollback,
    ),
}
