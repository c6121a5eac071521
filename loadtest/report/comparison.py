"""What changed from an earlier report to this one, and which changes are beyond the noise. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtest.report.figures import Better, Figure
from loadtest.report.noise import CONFIDENCE, difference

FINDING_FLOOR: Final = 0.05
RULE: Final = (
    f"A change is marked where the {CONFIDENCE:.0%} interval of the difference leaves out zero and the change is at "
    "least the floor in the last column. The noise is that within the two runs, from windows of time resampled whole; "
    f"about one figure in {1 / (1 - CONFIDENCE):.0f} that did not change is marked by chance. What differs between two "
    "days on one machine is not in it: repeat a run before you act on a small change."
)
"""As the page says it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both reports."""

    scope: str
    """Whole run, or the name of a step."""
    label: str
    unit: str
    old: float | None
    new: float | None
    change: float | None
    """A part of the old value; for shares new − old."""
    low: float | None
    """Where the true change lies; None if the noise is not known."""
    high: float | None
    floor: float
    marked: bool
    better: bool | None
    """Whether a marked change is for the better; None if it is not marked, or neither."""


WHOLE: Final = "whole run"
SEARCHED: Final = "searched for"


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a report that compares it with an earlier one.

    Args:
        old: The document of the earlier report.
        new: That of this one, without this part.
    """
    changes = [*_findings(old, new), *_figures(WHOLE, old["headline"], new["headline"])]
    steps = {step["name"]: step for step in old["steps"]}
    if len(new["steps"]) > 1:
        for step in new["steps"]:
            if step["name"] in steps:
                changes += _figures(step["name"], steps[step["name"]]["figures"], step["figures"])
    return {
        "with": {"title": old["title"], "name": old["name"], "started_at": old["started_at"]},
        "rule": RULE,
        "changes": [asdict(change) for change in changes],
        "not_alike": list(_not_alike(old, new)),
    }


def _figures(scope: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    earlier = {figure.name: figure for figure in _known(old)}
    for figure in _known(new):
        before = earlier.get(figure.name)
        if before is None:
            continue
        kind, found = figure.kind, difference(before.estimate, figure.estimate)
        marked = found.beyond(kind.floor)
        yield Change(
            scope,
            kind.label,
            "share" if kind.unit == "%" else kind.unit,
            _told(found.old),
            _told(found.new),
            _told(found.change),
            _told(found.low),
            _told(found.high),
            kind.floor,
            marked,
            _better(kind.better, found.change) if marked else None,
        )


def _known(figures: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    for content in figures:
        try:
            yield Figure.from_json(dict(content))
        except KeyError:  # another version knew more
            continue


def _findings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """What was searched for lies in an interval that the search ends with: those of a true change are apart."""
    earlier = {finding["name"]: finding for finding in old["findings"]}
    for finding in new["findings"]:
        before = earlier.get(finding["name"])
        if before is None or not before["value"] or not finding["value"]:
            continue
        change = finding["value"] / before["value"] - 1
        bounds = [one[end] for one in (before, finding) for end in ("low", "high")]
        low = high = None
        if None not in bounds and min(bounds) > 0:
            low, high = finding["low"] / before["high"] - 1, finding["high"] / before["low"] - 1
        marked = low is not None and high is not None and (low > 0 or high < 0) and abs(change) >= FINDING_FLOOR
        yield Change(
            SEARCHED,
            finding["name"],
            finding["unit"],
            before["value"],
            finding["value"],
            change,
            low,
            high,
            FINDING_FLOOR,
            marked,
            _better("high", change) if marked else None,
        )


def _better(which: Better, change: float) -> bool | None:
    return None if which == "neither" else (change > 0) == (which == "high")


def _not_alike(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What else differs, so that a change may come from it."""
    if old["name"] != new["name"]:
        yield f"the scenario was {old['name']}, now {new['name']}"
    elif old["scenario"] != new["scenario"]:
        keys = sorted(
            key for key in {*old["scenario"], *new["scenario"]} if old["scenario"].get(key) != new["scenario"].get(key)
        )
        yield f"the scenario differs in {', '.join(keys)}"
    if old["models"] != new["models"]:
        yield f"asked was {', '.join(old['models'])}, now {', '.join(new['models'])}"
    before, now = _flat(old["conditions"]), _flat(new["conditions"])
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key) and key not in _VARIES:
            yield f"{key} was {before.get(key, 'not told')}, now {now.get(key, 'not told')}"
    for which, report in (("the earlier run", old), ("this run", new)):
        if report["cut_short"]:
            yield f"{which} was cut short"


_VARIES: Final = frozenset({"busy_before"})


def _flat(conditions: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in conditions.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{key}: " if key != "packages" else "")
        else:
            flat[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return flat


def _told(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
