"""Reports as a person sees them: in a real browser, on light and dark, on a desk and on a telephone, with keys only."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from loadtest.report.generator import GeneratorLimit
from loadtest.report.write import write_report
from loadtest.variants.page import render_variants
from tests.browser import browser, find_browser, opened
from tests.example_run import facts, knee, leave, met_and_missed, records, samples, stairs, steady
from tests.example_variants import comparison

ROOT = Path(__file__).parents[2]
WINDOWS = [
    pytest.param(1280, "light", id="desk, light"),
    pytest.param(1280, "dark", id="desk, dark"),
    pytest.param(400, "light", id="telephone, light"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports that have everything a report can have."""
    folder = tmp_path_factory.mktemp("reports")
    load = steady(40, 30)
    earlier = leave(folder / "earlier", facts(load), records(load), samples(43))
    write_report(earlier)
    later = leave(
        folder / "later", facts(load, objectives=met_and_missed(), server_ready_s=2.1),
        records(load, seed=2, scale=1.3, failing=0.02, frames=True), samples(43, cores=1.2),
    )  # fmt: skip
    GeneratorLimit(412.0, 16, 1, 3.0, ("detect", "stream"), "2026-11-26").write(later)
    rising = stairs()
    cut = leave(
        folder / "steps", facts(rising, findings=knee(), cut_short=True, ended_s=29.5, overrun=4),
        [one for one in records(rising, capacity=38) if one.due_s < 29.5], samples(29, gone_at=20),
    )  # fmt: skip
    GeneratorLimit(60.0, 16, 1, 3.0, ("detect",), "2026-11-26").write(cut)
    variants = folder / "variants.html"
    variants.write_text(render_variants(comparison()), encoding="utf-8")
    return {"compared": write_report(later, compare=earlier), "steps": write_report(cut), "variants": variants}


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
@pytest.mark.parametrize(
    ("name", "headline"),
    [
        pytest.param("compared", "What does a steady load cost?", id="a run beside an earlier one"),
        pytest.param("steps", "What does a steady load cost?", id="steps that were cut short"),
        pytest.param("variants", "Which variant to run", id="variants side by side"),
    ],
)
def test_a_page_is_quiet_fits_its_window_and_can_be_read(
    name: str, headline: str, width: int, scheme: str, chromium: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    with opened(chromium, pages[name], width=width, scheme=scheme) as look:  # type: ignore[arg-type]
        look.page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert look.page.inner_text("h1") == headline
        assert look.width <= width
        assert look.hard_to_read() == []
        assert look.troubles == []
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_the_value_under_the_pointer_and_under_the_arrow_keys_is_told(
    chromium: Browser, pages: dict[str, Path]
) -> None:
    with opened(chromium, pages["compared"]) as look:
        plot = look.page.locator(".plot").first
        tip = plot.locator(".tip")
        assert not tip.is_visible()
        plot.hover(position={"x": 300, "y": 80})
        under_pointer = tip.inner_text()
        assert "p99" in under_pointer
        assert " ms" in under_pointer
        look.page.mouse.move(0, 0)
        assert not tip.is_visible()
        plot.focus()
        told = []
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
            look.page.keyboard.press(key)
            told.append(tip.inner_text().splitlines()[0])
        assert told[0] == told[2] != told[1], "there and back"
        look.page.keyboard.press("Escape")
        assert not tip.is_visible()
        assert look.troubles == []


def test_tables_are_sorted_by_numbers_with_keys_alone(chromium: Browser, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["steps"]) as look:
        table = look.page.locator("table.sortable", has=look.page.locator("caption", has_text="Steps"))
        head = table.locator("th", has_text="served /s")

        def column() -> list[float]:
            cells = table.locator("tbody tr td:nth-child(4)").all_inner_texts()
            return [float(cell.replace(",", "")) for cell in cells]

        head.locator("button").focus()
        look.page.keyboard.press("Enter")
        assert column() == sorted(column())
        assert head.get_attribute("aria-sort") == "ascending"
        look.page.keyboard.press("Enter")
        assert column() == sorted(column(), reverse=True)
        assert look.troubles == []


def test_every_part_that_scrolls_can_be_reached_with_the_tab_key(chromium: Browser, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["compared"], width=400) as look:
        wide = look.page.locator(".wide:visible").count()
        reached: set[str] = set()
        for _ in range(400):
            look.page.keyboard.press("Tab")
            label = look.page.evaluate("document.activeElement.classList[0] + ' ' + document.activeElement.ariaLabel")
            if label in reached and label.startswith("wide"):
                break
            reached.add(label)
        assert sum(one.startswith("wide") for one in reached) == wide > 3


A4_PX = 688
"""What lies between the margins of a page of A4, in pixels of 1/96 inch."""


def test_it_prints_on_white_whatever_the_screen_is(chromium: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    with opened(chromium, pages["compared"], scheme="dark") as look:
        look.page.emulate_media(media="print")
        look.page.set_viewport_size({"width": A4_PX, "height": 900})
        assert look.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert (
            look.page.evaluate(
                "[...document.querySelectorAll('.wide')].filter((one) => one.scrollWidth > one.clientWidth + 1).length"
            )
            == 0
        ), "paper cannot be scrolled"
        assert look.hard_to_read(least_px=7) == [], "paper is looked at from nearer"
        look.page.pdf(path=tmp_path / "page.pdf")
        assert look.troubles == []
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.timeout(300)  # it may have to start the server that all tests share, and measure the generator's limit
def test_a_load_test_leaves_a_report_that_can_be_read(server, chromium: Browser, tmp_path: Path) -> None:
    """The command as a person types it, short, and what it left."""
    command = [sys.executable, "loadtest/run.py", "smoke", "--duration", "3s", "--set", "load.warm_up=0s"]
    command += ["--url", server.address, "--metrics-url", f"http://{server.metrics_address}/metrics"]
    done = subprocess.run([*command, "--reports", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (page,) = tmp_path.glob("*/report.html")
    document = json.loads(page.with_name("report.json").read_text())
    served = next(figure for figure in document["headline"] if figure["name"] == "served")
    assert served["value"] > 0
    assert document["server"]["answered"]
    assert {row["user"] for row in document["kinds"]} == {"detect", "stream"}
    for width in (1280, 400):
        with opened(chromium, page, width=width) as look:
            look.page.screenshot(path=tmp_path / f"{width}.png", full_page=True)
            shown = " ".join(look.page.inner_text("main").split())
            assert look.width <= width
            assert look.hard_to_read() == []
            assert look.troubles == []
    for part in ("Throughput", "Latency over time", "Requests on the server", "Where the time goes"):
        assert part in shown


def test_without_a_browser_a_test_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("PASARELA_BROWSER", raising=False)
    with pytest.raises(AssertionError, match="`make browser` installs it"):
        find_browser()


def test_the_contrast_that_is_asked_for_is_really_looked_at(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "pale.html"
    page.write_text(
        "<body style='background:#fff'><p style='color:#999'>pale</p><p style='font-size:8px'>small</p></body>"
    )
    with opened(chromium, page) as look:
        poor = look.hard_to_read()
    assert [one.split(":")[0] for one in poor] == ["pale", "small"]
