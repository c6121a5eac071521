"""Makes the report of a run out of the folder that it left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from loadtest.records import RunFacts, read_records
from loadtest.report.comparison import compare as compared
from loadtest.report.document import NoReport, build, read_document, write_document, write_whole
from loadtest.report.generator import GeneratorLimit
from loadtest.report.page import render_report
from loadtest.report.samples import Sample, read_samples
from loadtest.report.sampling import SAMPLES_FILE

PAGE_FILE: Final = "report.html"
T = TypeVar("T")


def write_report(run_folder: Path, *, compare: Path | None = None) -> Path:
    """Writes `report.html` and `report.json` into the folder of a run; those that were there are replaced.

    Args:
        run_folder: Where the run left its records, its facts, and the samples of its server if there are any.
        compare: An earlier run to compare with: its folder or its `report.json`.

    Returns:
        The page.

    Raises:
        NoReport: The folder holds no run, or the earlier run has no report.
        OSError: They cannot be written.
    """
    earlier = None if compare is None else read_document(compare)
    try:
        run = RunFacts.read(run_folder)
        records = read_records(run_folder)
    except FileNotFoundError as error:
        raise NoReport(f"{run_folder} holds no run: there is no {error.filename}") from error
    except ValueError as error:
        raise NoReport(f"{run_folder} cannot be reported: {error}") from error
    notes: list[str] = []
    samples = _or_note(lambda: _samples(run_folder), list[Sample](), notes)
    limit = _or_note(lambda: GeneratorLimit.read(run_folder), None, notes)
    document = build(run, records, samples, limit, notes)
    if earlier is not None:
        document["comparison"] = compared(earlier, document)
    page = render_report(document)
    write_document(document, run_folder)
    return write_whole(run_folder / PAGE_FILE, page)


def _samples(folder: Path) -> list[Sample]:
    path = folder / SAMPLES_FILE
    return read_samples(path) if path.exists() else []


def _or_note(read: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    """What stands beside the records may be broken without making them worthless."""
    try:
        return read()
    except ValueError as error:
        notes.append(f"Left out, as it cannot be read: {error}.")
        return otherwise
