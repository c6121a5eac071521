"""The measured section of docs/performance.md says what docs/performance.json does."""

from pathlib import Path

from loadtest.benchmark.__main__ import PAGE, PICTURE, RESULTS
from loadtest.benchmark.page import BEGIN, measured_section, put_into
from loadtest.benchmark.results import read_results

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_shows_the_results() -> None:
    page, results = (DOCS / PAGE).read_text(), read_results(DOCS / RESULTS)
    assert (BEGIN in page) == bool(results), "one of the two was not committed"
    if results:
        section = measured_section(results, PICTURE if "jpeg" in results else None)
        assert page == put_into(page, section), "run: make benchmark ARGS='--from docs/performance.json'"
        assert all(entry.complete for entry in results.values())
