"""What the figures depend on: the generator, the machine, the scenario. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from loadtest.report import text
from loadtest.report.layout import Meter, Section, Table, row

Document = Mapping[str, Any]


def generator_section(document: Document) -> Section | None:
    """What these users can send at most, and how near the run came to it."""
    generator = document["generator"]
    limit, lag = generator["limit"], generator["lag_p99_ms"]
    sentences = []
    meter = None
    if limit is None:
        sentences.append("What the generator itself can do was not measured.")
    else:
        kinds = ", ".join(limit["kinds"])
        sentences.append(
            f"Against an echo server that answers at once these users ({kinds}; {limit['users']} at a time in "
            f"{limit['workers']} {'process' if limit['workers'] == 1 else 'processes'}) made "
            f"{text.quantity(limit['per_second'], '/s')} on this machine, measured on {limit['measured_on']}. The echo "
            f"server shares its cores as the server does, so this is no more than a bound."
        )
        if generator["share"] is not None:
            meter = Meter(
                round(min(100.0, generator["share"] * 100), 1),
                f"{text.percent(generator['share'])} of it was asked for at most "
                f"({text.quantity(generator['busiest_per_second'], '/s')})",
                "warn" if generator["warning"] else "",
            )
    if lag is not None:
        sentences.append(f"99 % of the open requests were sent within {text.ms(lag)} of when they were due.")
    return Section("The generator's own limit", sentences, meter=meter)


def conditions_section(document: Document) -> Section:
    """The machine, the software and the scenario."""
    told = {**document["conditions"]}
    packages = told.pop("packages", {})
    told.pop("generator", None)  # what benchmarks send tensors with; load tests are sent by Locust
    rows = [row(key.replace("_", " "), _plain(value)) for key, value in told.items() if value not in (None, "", [])]
    rows += [row(name, str(version)) for name, version in packages.items()]
    rows.append(row("warm-up, left out", text.duration(document["warm_up_s"])))
    return Section(
        "Conditions of the run",
        document["notes"],
        tables=[Table("Machine, software and settings", ("what", "as it was"), rows, frozenset({1}))],
        listing_title="The scenario, as it was run",
        listing=yaml.safe_dump(document["scenario"], sort_keys=False, allow_unicode=True)
        if document["scenario"]
        else "",
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)
