"""The top of the page: what was run, whether it kept its objectives, and the figures that matter. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from loadtest.report import text
from loadtest.report.comparison import SEARCHED, WHOLE
from loadtest.report.figures import Figure
from loadtest.report.layout import Banner, Tile

Document = Mapping[str, Any]

_FINDINGS: Final = {
    "rate": "Highest rate that keeps it",
    "knee": "Knee",
    "saturation": "Saturated throughput",
    "ratio": "Ratio",
}
_LEAST_NOISE: Final = 0.001
_IDLE: Final = 0.2
"""Cores that others may keep busy before a run."""
_LOOPS: Final = {"open": "open loop", "closed": "closed loop"}


def facts(document: Document) -> list[tuple[str, str]]:
    """What was run, in one line."""
    started = datetime.fromisoformat(document["started_at"])
    loops = ", ".join(_LOOPS.get(loop, loop) for loop in document["loops"])
    return [
        ("scenario", document["name"]),
        ("model" if len(document["models"]) == 1 else "models", ", ".join(document["models"])),
        ("load", loops or text.NOTHING),
        ("measured", text.duration(document["counted_s"])),
        ("requests", f"{document['requests']['counted']:,}"),
        ("on", f"{started:%-d %B %Y, %H:%M} UTC"),
        ("server", document["url"]),
    ]


def banners(document: Document) -> Iterator[Banner]:
    """Verdict first, then what limits what can be read from the figures."""
    objectives = document["objectives"]
    missed = [one for one in objectives if not one["met"]]
    if not objectives:
        yield Banner("none", "No objectives were set.")
    elif missed:
        word = f"{len(missed)} of {len(objectives)} objectives missed:" if len(objectives) > 1 else "Objective missed:"
        yield Banner("bad", f"✕ {word}", _told(missed))
    else:
        word = f"All {len(objectives)} objectives met:" if len(objectives) > 1 else "Objective met:"
        yield Banner("good", f"✓ {word}", _told(objectives))
    if document["cut_short"]:
        yield Banner(
            "warn",
            "⚠ Cut short.",
            f"The run was stopped after {text.duration(document['ended_s'])}, before its end; the figures are of what "
            f"was measured until then.",
        )
    if document["fault"]:
        yield Banner("bad", "✕ Not the load that was asked for:", f"{document['fault']}.")
    if not document["requests"]["counted"]:
        yield Banner("bad", "✕ Nothing was measured.", "No request was due after the warm-up.")
    yield from _of_generator(document["generator"])
    busy = document["conditions"].get("busy_before")
    if isinstance(busy, int | float) and busy > _IDLE:
        yield Banner("warn", "⚠ The machine was not idle.", f"Something else kept {busy:g} cores busy before the run.")
    server = document["server"]
    if server is not None and any("not looked at after" in note for note in server["notes"]):
        yield Banner("bad", "✕ The server went away during the run:", server["notes"][-1])


def _told(objectives: Sequence[Document]) -> str:
    return "; ".join(f"{one['name']} {one['got']}, wanted {one['wanted']}" for one in objectives)


def _of_generator(generator: Document) -> Iterator[Banner]:
    if generator["warning"]:
        yield Banner(
            "warn",
            "⚠ The generator may be the limit.",
            f"The run asked {text.percent(generator['share'])} of what these users can send at most on this machine "
            f"({text.quantity(generator['limit']['per_second'], '/s')}); from {generator['near']:.0%} on the figures "
            f"may be the generator's. Add --workers, or send from another machine.",
        )
    if generator["overrun"]:
        yield Banner(
            "warn",
            f"⚠ {generator['overrun']:,} requests were due and never sent,",
            "as too many were under way already or the generator was behind; they count as too late.",
        )


def tiles(document: Document) -> Iterator[Tile]:
    """What the run was made to find, then its headline figures, each with its noise and its change."""
    comparison = document["comparison"]
    changes = {(one["scope"], one["label"]): one for one in comparison["changes"]} if comparison else {}
    for finding in document["findings"]:
        value = text.NOTHING if finding["value"] is None else text.number(finding["value"])
        bounds = ""
        if finding["low"] is not None and finding["high"] is not None:
            bounds = f"between {text.number(finding['low'])} and {text.number(finding['high'])}"
        yield Tile(
            _FINDINGS.get(finding["name"], finding["name"]),
            value,
            finding["unit"] if finding["value"] is not None else "",
            bounds,
            *_change(changes.get((SEARCHED, finding["name"]))),
            found=True,
        )
    for content in document["headline"]:
        if content["name"] == "offered" and "open" not in document["loops"]:
            continue  # closed users offer just what is answered
        yield _tile(content, changes.get((WHOLE, content["label"])))


def tile_notes(document: Document) -> list[str]:
    """What the tiles need to be understood."""
    notes = [
        f"{_FINDINGS.get(one['name'], one['name'])}: {one['explanation'].rstrip('.')}."
        for one in document["findings"]
        if one["explanation"]
    ]
    if len(document["steps"]) > 1:
        notes.append("The other figures are of all steps together; the steps stand below.")
    if "open" in document["loops"]:
        notes.append("Latencies count from when a request was due, whether or not it could be sent then.")
    notes.append("± is the 95 % interval of the noise within the run, from windows of time resampled whole.")
    return notes


def _tile(content: Mapping[str, Any], change: Mapping[str, Any] | None) -> Tile:
    figure = Figure.from_json(dict(content))
    value, unit = text.quantity(figure.estimate.value, content["unit"]), ""
    if " " in value:
        value, unit = value.split(" ", 1)
    elif value.endswith("/s"):
        value, unit = value[:-2], "/s"
    noise = "noise not known"
    interval = figure.estimate.interval
    if interval is not None:
        part = figure.estimate.relative_noise
        if content["unit"] == "share":
            part = (interval[1] - interval[0]) / 2
        if part is not None:
            noise = f"± {text.percent(part, 2)}" if part >= _LEAST_NOISE else f"± less than {_LEAST_NOISE:.1%}"
    return Tile(figure.kind.label, value, unit, noise, *_change(change))


def _change(change: Mapping[str, Any] | None) -> tuple[str, str]:
    if change is None:
        return "", ""
    amount = text.points(change["change"]) if change["unit"] == "share" else text.signed_percent(change["change"])
    if change["low"] is None:
        return f"{amount}, noise not known", "dim"
    if not change["marked"]:
        return f"{amount}, noise", "dim"
    word = {True: "better", False: "worse", None: "moved"}[change["better"]]
    return f"{amount}, {word}", word
