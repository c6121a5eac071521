"""Whether the run kept its objectives, and what changed since an earlier one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtest.report import text
from loadtest.report.layout import Row, Section, Table, cell, row

Document = Mapping[str, Any]


def objectives_section(document: Document) -> Section | None:
    """Each objective, those that were missed first; None if none was set."""
    if not document["objectives"]:
        return None
    rows = [
        row(
            one["name"],
            one["wanted"],
            one["got"],
            cell("✓ met" if one["met"] else "✕ missed", css=f"verdict {'met' if one['met'] else 'missed'}"),
        )
        for one in sorted(document["objectives"], key=lambda one: bool(one["met"]))
    ]
    return Section(
        "Objectives", tables=[Table("Service-level objectives", ("objective", "wanted", "got", "verdict"), rows)]
    )


def comparison_section(document: Document) -> Section | None:
    """Each figure in both runs; None without an earlier one."""
    comparison = document["comparison"]
    if comparison is None:
        return None
    rows = [_changed(change) for change in comparison["changes"]]
    marked = sum(change["marked"] for change in comparison["changes"])
    other = comparison["with"]
    summary = f"{marked} of {len(rows)} figures changed beyond the noise." if marked else "Nothing beyond the noise."
    when = other["started_at"].replace("T", " ")[:16]
    sentences = [f"Compared with “{other['title']}” ({other['name']}) of {when} UTC. {summary}"]
    if comparison["not_alike"]:
        sentences.append(f"The runs are not alike: {'; '.join(comparison['not_alike'])}.")
    head = ("part", "figure", "before", "now", "change", "true change between", "verdict", "floor")
    return Section(
        "Compared with the earlier run",
        sentences,
        tables=[Table("Figures of both runs", head, rows, frozenset({1}))],
        after=[comparison["rule"]],
    )


def _changed(change: Mapping[str, Any]) -> Row:
    show = text.points if change["unit"] == "share" else text.signed_percent
    bounds = text.NOTHING if change["low"] is None else f"{show(change['low'])} … {show(change['high'])}"
    verdict, css = "within the noise", "dim"
    if change["low"] is None:
        verdict = "noise not known"
    elif change["marked"]:
        css = {True: "better", False: "worse", None: "moved"}[change["better"]]
        verdict = {"better": "▲ better", "worse": "▼ worse", "moved": "● moved"}[css]
    return row(
        change["scope"],
        change["label"],
        cell(text.quantity(change["old"], change["unit"]), change["old"]),
        cell(text.quantity(change["new"], change["unit"]), change["new"]),
        cell(show(change["change"]), change["change"], css),
        bounds,
        cell(verdict, css=css),
        cell(f"{change['floor'] * 100:g} {'points' if change['unit'] == 'share' else '%'}", change["floor"]),
        css="marked" if change["marked"] else "",
    )
