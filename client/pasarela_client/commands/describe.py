"""`pasarela describe`: what does a model take and give, and how is it set up?"""

from __future__ import annotations

import argparse
import dataclasses
import json
import textwrap
from collections.abc import Iterable
from typing import Final

from pasarela_client.commands.connection_flags import connection_of
from pasarela_client.commands.tables import format_table
from pasarela_client.errors import AccessDenied, Unsupported
from pasarela_client.models import ModelDescription, ModelState, TensorSpec

_WIDTH: Final = 100
_EPILOG = """\
examples:
  pasarela describe garments
  pasarela describe garments_onnx --model-version stable
  pasarela describe garments --json | jq .class_names

exit codes: 0 done; 1 no such model, or it is not ready; 2 wrong usage; 3 no server; 130 Ctrl-C
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = (
        "Tells of one model what it takes and gives, which classes it finds, which versions and labels\n"
        "it has, and how its requests are batched and computed."
    )
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument(
        "--model-version", default="", metavar="N", help="version of it, or a label (default: the highest ready)"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait (default: 10)")


def run(arguments: argparse.Namespace) -> int:
    """Describes; returns the exit code.

    Raises:
        PasarelaError: The server did not say.
    """
    from pasarela_client.sync.control import Server

    with Server(arguments.url, timeout_s=arguments.timeout, connection=connection_of(arguments)) as server:
        described = server.describe(arguments.model, arguments.model_version)
        try:
            states = [state for state in server.models() if state.name == arguments.model]
        except (Unsupported, AccessDenied):  # who may ask for detections may not always see the list
            states = []
    if arguments.json:
        content = dataclasses.asdict(described) | {"states": [dataclasses.asdict(state) for state in states]}
        print(json.dumps(content, ensure_ascii=False))
    else:
        print(format_description(described, states))
    return 0


def format_description(model: ModelDescription, states: Iterable[ModelState]) -> str:
    """A model as a person reads it. Pure."""
    below = f" over {model.runs}{f' version {model.runs_version}' if model.runs_version else ''}" if model.runs else ""
    rows = [["platform", model.platform + below]]
    rows += _titled("versions", _versions(model, states))
    rows += _titled("labels", [f"{label}: version {version}" for label, version in sorted(model.labels.items())])
    rows += _titled("inputs", _tensors(model.inputs))
    rows += _titled("outputs", _tensors(model.outputs))
    rows += [["batching", _batching(model)]]
    if model.instances:
        groups = ", ".join(
            f"{group.count}"
            + (f" on {group.device}" if group.device else "")
            + (f" {', '.join(map(str, group.gpus))}" if group.gpus else "")
            for group in model.instances
        )
        rows += [["instances", groups]]
    rows += _titled("parameters", [f"{name}: {value}" for name, value in sorted(model.parameters.items())])
    if model.class_names:
        names = ", ".join(f"{class_id} {name}" for class_id, name in sorted(model.class_names.items()))
        rows += _titled("classes", textwrap.wrap(f"{len(model.class_names)}: {names}", _WIDTH - 14))
    return f"{model.name}\n{format_table(rows, indent='  ')}"


def _titled(title: str, lines: Iterable[str]) -> list[list[str]]:
    return [[title if number == 0 else "", line] for number, line in enumerate(lines)]


def _versions(model: ModelDescription, states: Iterable[ModelState]) -> list[str]:
    known = [
        f"{state.version or '-'} {state.state}" + (f": {state.reason}" if state.reason else "") for state in states
    ]
    return known or [f"{version} READY" for version in model.versions]


def _tensors(specs: Iterable[TensorSpec]) -> list[str]:
    rows = [[spec.name, spec.datatype, f"[{', '.join(map(str, spec.shape))}]"] for spec in specs]
    return format_table(rows).split("\n") if rows else []


def _batching(model: ModelDescription) -> str:
    if model.runs:
        return f"as {model.runs}"
    if model.max_batch_size == 0:
        return "requests are computed one by one"
    if model.batching is None:
        return f"up to {model.max_batch_size} rows a request; requests are not merged"
    told = f"requests are merged, up to {model.max_batch_size} rows"
    if model.batching.preferred:
        told += f", preferably {' or '.join(map(str, model.batching.preferred))}"
    return f"{told}; the oldest waits {model.batching.delay_us / 1e3:g} ms for others"
