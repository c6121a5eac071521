"""From the folder of a run to its report, as files; and the command that does it."""

import json
from pathlib import Path

import pytest

from loadtest.report.__main__ import main
from loadtest.report.document import NoReport
from loadtest.report.generator import LIMIT_FILE
from loadtest.report.sampling import SAMPLES_FILE
from loadtest.report.write import write_report
from tests.example_run import facts, leave, records, samples, steady

STEPS = steady(20, 20)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return leave(tmp_path / "run", facts(STEPS), records(STEPS), samples(23))


def test_a_folder_gets_its_page_and_its_json(run: Path) -> None:
    page = write_report(run)
    assert page == run / "report.html"
    assert page.read_text().startswith("<!doctype html>")
    document = json.loads((run / "report.json").read_text())
    assert document["server"]["cores"]
    assert document["comparison"] is None
    assert not list(run.glob("*.partial"))


def test_a_report_made_again_is_the_same(run: Path) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_an_earlier_run_is_compared_with(run: Path, tmp_path: Path) -> None:
    earlier = leave(tmp_path / "earlier", facts(STEPS), records(STEPS, seed=5, scale=0.5), samples(23))
    write_report(earlier)
    write_report(run, compare=earlier)
    changes = json.loads((run / "report.json").read_text())["comparison"]["changes"]
    assert {one["label"]: one["marked"] for one in changes}["p50 latency"] is True


def test_what_stands_beside_the_records_may_be_broken(run: Path) -> None:
    (run / SAMPLES_FILE).write_text("no\nsamples\n")
    (run / LIMIT_FILE).write_text("{}")
    write_report(run)
    document = json.loads((run / "report.json").read_text())
    assert document["server"] is None
    assert [note.split(":")[0] for note in document["notes"]] == ["Left out, as it cannot be read"] * 2
    assert "Left out, as it cannot be read" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        pytest.param("run.json", None, "holds no run", id="no facts"),
        pytest.param("run.json", "{}", "cannot be reported", id="facts of something else"),
        pytest.param("requests-0.jsonl", "nothing\n", r"requests-0\.jsonl:1", id="records of something else"),
    ],
)
def test_a_folder_that_is_no_run_says_why_and_gets_nothing(
    file: str, content: str | None, message: str, run: Path
) -> None:
    if content is None:
        (run / file).unlink()
    else:
        (run / file).write_text(content)
    with pytest.raises(NoReport, match=message):
        write_report(run)
    assert not (run / "report.html").exists()
    assert not (run / "report.json").exists()


def test_the_command_prints_where_the_page_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["{tmp}/nothing"], "holds no run", id="no run"),
        pytest.param(["{run}", "--compare", "{tmp}/nothing"], "makes it where a run left its records", id="no report"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([one.format(tmp=tmp_path, run=run) for one in arguments]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("loadtest.report: ")
    assert message in errors
