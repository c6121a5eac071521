"""How many requests a second the users of a scenario make at most: `python -m loadtest.generator_limit SCENARIO`.

The same users are run for a few seconds against an echo server (`loadtest.echo`), without pauses and deadlines. What
was found on this machine with these versions holds for a week; it is kept in `runs/loadtest/`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from loadtest.access import Access
from loadtest.echo import describe as describe_model
from loadtest.images import ROOT, NoImages, image_paths
from loadtest.locust_processes import LocustRun, run_locust
from loadtest.records import RunFacts, read_records
from loadtest.report.generator import GeneratorLimit
from loadtest.scenario import ScenarioError, load_scenario
from loadtest.scenario.read import parse_scenario
from loadtest.server_process import ServerDidNotStart, free_port, last_line, process_until_left, wait_until_ready

KEPT: Final = ROOT / "runs" / "loadtest" / "generator-limits"
USERS: Final = 16
SECONDS: Final = 3.0
_WARM_UP_S: Final = 1.0
_VALID_S: Final = 7 * 24 * 3600.0
_READY_S: Final = 30.0
_SENDERS: Final = {"detect": "detect", "leaver": "detect", "raw": "raw", "stream": "stream", "slow": "stream"}
"""By kind of user: who sends the same as fast as may be."""
_KEPT_KEYS: Final = frozenset({"model", "weight", "images", "rows", "sizes", "window"})
_VERSIONS: Final = ("grpcio", "protobuf", "locust", "gevent", "numpy")


class LimitNotMeasured(Exception):
    """There is no limit to tell; the message says why."""


def relentless(document: Mapping[str, Any]) -> dict[str, Any]:
    """A scenario with the same requests, sent by closed users who never pause. Pure.

    Args:
        document: A scenario, checked.
    """
    entries: list[dict[str, Any]] = []
    for entry in document["requests"]:
        user = _SENDERS[entry["user"]]
        kept = {key: value for key, value in entry.items() if key in _KEPT_KEYS}
        if user != "stream":
            kept.pop("window", None)
        entries.append({"user": user, **kept})
    load = {"kind": "closed", "users": USERS, "duration": SECONDS, "warm_up": _WARM_UP_S}
    return {"title": "What can the generator send at most?", "requests": entries, "load": load, "finish": 2.0}


def generator_limit(
    document: Mapping[str, Any], *, workers: int = 0, like: str | None = None, kept: Path = KEPT
) -> GeneratorLimit:
    """The limit of the users of a scenario on this machine: an earlier one, or it is measured now.

    Args:
        document: The scenario, checked.
        workers: Locust processes that send; 0: one that conducts, too.
        like: host:port of a server that says which tensors its models take.
        kept: Where earlier limits are.

    Raises:
        LimitNotMeasured: The echo server or Locust did not run.
    """
    wanted = relentless(document)
    folder = kept / _key(wanted, workers, like)
    with contextlib.suppress(ValueError, OSError):
        known = GeneratorLimit.read(folder)
        if known is not None and time.time() - (folder / "generator.json").stat().st_mtime < _VALID_S:
            return known
    limit = _measure(wanted, workers, like)
    folder.mkdir(parents=True, exist_ok=True)
    limit.write(folder)
    return limit


def _measure(wanted: Mapping[str, Any], workers: int, like: str | None) -> GeneratorLimit:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario = folder / "limit.yaml"
        scenario.write_text(yaml.safe_dump(dict(wanted), sort_keys=False), encoding="utf-8")
        address, log = f"127.0.0.1:{free_port()}", folder / "echo.log"
        command = [sys.executable, "-m", "loadtest.echo", address, *(("--like", like) if like else ())]
        with process_until_left(command, log) as (process, _):
            if not wait_until_ready(address, _READY_S, process):
                raise LimitNotMeasured(f"the echo server did not start: {last_line(log)}")
            run_locust(LocustRun(str(scenario), (), Access(address), folder, folder, workers, quiet=True))
        try:
            facts, records = RunFacts.read(folder), read_records(folder)
        except (OSError, ValueError) as error:
            output = folder / "locust-output.log"
            raise LimitNotMeasured(
                f"Locust left nothing: {last_line(output)}" if output.exists() else str(error)
            ) from error
    counting = [(number, step) for number, step in enumerate(facts.steps) if step.counts]
    seconds = sum(step.ends_s - step.begins_s for _, step in counting)
    numbers = {number for number, _ in counting}
    answered = sum(record.outcome == "done" and record.step in numbers for record in records)
    if not answered or seconds <= 0:
        failures = {record.message for record in records if record.message}
        raise LimitNotMeasured(f"nothing was answered: {'; '.join(sorted(failures)[:3]) or 'nothing was sent'}")
    return GeneratorLimit(
        per_second=float(f"{answered / seconds:.4g}"),
        users=USERS,
        workers=max(1, workers),
        seconds=round(seconds, 2),
        kinds=tuple(dict.fromkeys(entry["user"] for entry in wanted["requests"])),
        measured_on=f"{datetime.now(UTC):%Y-%m-%d}",
    )


def _key(wanted: Mapping[str, Any], workers: int, like: str | None) -> str:
    """Differs where the limit may: by what is sent, who sends it, the machine and the versions."""
    images = [
        [path.name, path.stat().st_size]
        for folder in dict.fromkeys(entry.get("images") for entry in wanted["requests"] if entry["user"] != "raw")
        for path in image_paths(None if folder is None else Path(folder))
    ]
    machine = [platform.node(), platform.machine(), platform.python_version(), psutil.cpu_count(), _cpu()]
    versions = {name: metadata.version(name) for name in _VERSIONS}
    models = [entry.model for entry in parse_scenario(wanted, "limit").requests if entry.user == "raw"]
    tensors = asyncio.run(_tensors(models, like)) if models else []
    parts = json.dumps([wanted, workers, images, tensors, machine, versions], sort_keys=True, default=str)
    return hashlib.sha256(parts.encode()).hexdigest()[:20]


async def _tensors(models: Sequence[str], like: str | None) -> list[list[Any]]:
    """What the models take and give that are sent tensors: a model of the same name may be another one by now."""
    told = [await describe_model(model, like) for model in dict.fromkeys(models)]
    return [
        [tensor.name, tensor.datatype, list(tensor.shape)] for one in told for tensor in (*one.inputs, *one.outputs)
    ]


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line for line in lines if line.startswith("model name")), platform.processor())


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the limit; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.generator_limit",
        description="How many requests a second the users of a scenario make at most, when a server answers at once.",
        epilog="exit codes: 0 done; 1 it could not be measured; 2 wrong usage; 130 Ctrl-C",
        allow_abbrev=False,
    )
    parser.add_argument("scenario", nargs="?", default="closed", help="a YAML file, or the name of a shipped scenario")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="Locust processes that send (default: one)")
    parser.add_argument("--like", metavar="HOST:PORT", help="a server that says which tensors its models take")
    parser.add_argument("--again", action="store_true", help="measure, whatever is known from earlier")
    arguments = parser.parse_args(argv)
    try:
        _, document = load_scenario(arguments.scenario)
        with tempfile.TemporaryDirectory() as fresh:
            kept = Path(fresh) if arguments.again else KEPT
            limit = generator_limit(document, workers=arguments.workers, like=arguments.like, kept=kept)
    except (ScenarioError, NoImages) as error:
        print(f"loadtest.generator_limit: {error}", file=sys.stderr)
        return 2
    except (LimitNotMeasured, ServerDidNotStart) as error:
        print(f"loadtest.generator_limit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(describe(limit))
    return 0


def describe(limit: GeneratorLimit) -> str:
    """One line for the terminal."""
    processes = "1 process" if limit.workers == 1 else f"{limit.workers} processes"
    return (
        f"the generator itself makes at most {limit.per_second:g} requests a second of this kind "
        f"({', '.join(limit.kinds)}; {limit.users} users in {processes}; against an echo server, {limit.measured_on})"
    )


if __name__ == "__main__":
    sys.exit(main())
