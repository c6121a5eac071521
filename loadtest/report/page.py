"""Pages as one file of HTML that asks for nothing else: style, script and charts are inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from loadtest.report import head
from loadtest.report.layout import Section
from loadtest.report.sections.conditions import conditions_section, generator_section
from loadtest.report.sections.requests import (
    faults_section,
    frames_section,
    kinds_section,
    latency_section,
    steps_section,
    throughput_section,
)
from loadtest.report.sections.server import server_section, stages_section
from loadtest.report.sections.verdict import comparison_section, objectives_section

_TEMPLATES: Final = Path(__file__).parent / "template"
_SECTIONS: Final[tuple[Callable[[Mapping[str, Any]], Section | None], ...]] = (
    objectives_section,
    comparison_section,
    steps_section,
    latency_section,
    throughput_section,
    faults_section,
    frames_section,
    kinds_section,
    server_section,
    stages_section,
    generator_section,
    conditions_section,
)
"""In the order of the page."""


def render_report(document: Mapping[str, Any]) -> str:
    """The page of a report."""
    return render(
        "report.html.j2",
        title=document["title"] or document["name"],
        facts=head.facts(document),
        banners=list(head.banners(document)),
        tiles=list(head.tiles(document)),
        tile_notes=head.tile_notes(document),
        sections=[section for make in _SECTIONS if (section := make(document)) is not None],
        footer=f"Made by Pasarela’s load test; the same figures are in report.json (schema {document['schema']}).",
    )


def render(template: str, **content: Any) -> str:
    """One of the templates with the project's style and script in it; all of the content is escaped."""
    return _environment().get_template(template).render(**content)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name, file in (("style", "style.css"), ("script", "script.js")):
        # Our own files, which hold no end tag; what comes from a run is escaped.
        environment.globals[name] = Markup((_TEMPLATES / file).read_text(encoding="utf-8"))  # noqa: S704
    return environment
