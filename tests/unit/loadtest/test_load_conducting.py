"""How records come together, and how a run is told to those who watch."""

import argparse
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.access import Access
from loadtest.command_line import overrides, parser
from loadtest.conduct.collector import Collector
from loadtest.conduct.conductor import Conductor, Run
from loadtest.conduct.messages import BROKEN, END, ENDED
from loadtest.conduct.progress import Progress
from loadtest.exit_codes import exit_code
from loadtest.folders import fresh_folder
from loadtest.outline import describe_scenario, list_scenarios
from loadtest.records import RequestRecord, RunFacts, read_records
from loadtest.scenario import load_scenario, scenario_names


def lot(share: int, *records: RequestRecord) -> dict[str, object]:
    return {"share": share, "lines": "".join(record.to_json() + "\n" for record in records)}


def request(step: int, outcome: str = "done", worker: int = 0, **fields: object) -> RequestRecord:
    return RequestRecord(step, "detect", "m", "open", 1.0, outcome, 1.0, 1.5, worker=worker, **fields)  # type: ignore[arg-type]


def test_records_of_all_who_send_come_together(tmp_path: Path) -> None:
    collector = Collector(tmp_path, keep=True)
    sent = [request(0), request(1, "unsent"), request(1, "failed", 1, message="it broke\u2028here")]
    collector.take(lot(0, *sent[:2]))
    collector.take(lot(1, sent[2]))
    collector.close()
    assert read_records(tmp_path) == sent
    assert {step: len(records) for step, records in collector.measured.items()} == {0: 1, 1: 2}
    assert collector.overrun == 1
    words = collector.recent.show(2.0)
    assert words.startswith("3 requests  0.5/s  p50 500 ms  p99 500 ms")
    assert "1 failed" in words


def test_a_frame_that_is_left_out_is_no_overrun_of_the_generator(tmp_path: Path) -> None:
    collector = Collector(tmp_path, keep=False)
    collector.take(lot(0, request(0, "unsent", stream=1, frame=3)))
    collector.close()
    assert collector.overrun == 0
    assert collector.measured == {}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_changes() -> None:
    screen = Terminal()
    progress = Progress(screen)
    progress.show(1.0, "20/s", 65, "long figures")
    progress.show(1.1, "20/s", 64, "short")
    progress.say("stays")
    shown = screen.getvalue()
    assert shown.startswith("\r  20/s  1m5s left  long figures\r  20/s  1m4s left  short")
    assert shown.endswith("\r  stays\n")
    assert shown.count("\n") == 1


def test_a_log_has_a_line_now_and_then() -> None:
    file = io.StringIO()
    progress = Progress(file)
    for tenth in range(120):
        progress.show(tenth / 10, "20/s", None, str(tenth))
    assert file.getvalue().splitlines() == ["  20/s  0", "  20/s  50", "  20/s  100"]


class Runner:
    """Locust's, of a master whose workers end as soon as they are told to."""

    def __init__(self, *workers: str) -> None:
        self.clients = Clients(workers)
        self.user_count = 0
        self.conductor: Conductor | None = None

    def send_message(self, message: str, data: dict[str, Any], client_id: str | None) -> None:
        if message == END and self.conductor is not None:
            share = sorted(self.clients.known).index(client_id or "")
            self.conductor.receive(ENDED, {"share": share})


class Clients(dict[str, Any]):
    """The workers of a master: those who are there, and those who were."""

    def __init__(self, workers: tuple[str, ...]) -> None:
        super().__init__({name: SimpleNamespace(id=name, state="ready") for name in workers})
        self.known = workers

    @property
    def ready(self) -> list[Any]:
        return list(self.values())


def conducted(folder: Path, runner: Runner) -> Conductor:
    scenario, document = load_scenario("closed")
    environment: Any = SimpleNamespace(runner=runner)
    run = Run(scenario, document, "closed", Access("127.0.0.1:1"), folder)
    runner.conductor = Conductor(environment, run, Progress(io.StringIO()))
    return runner.conductor


def test_a_user_that_breaks_ends_the_run_with_a_fault(tmp_path: Path) -> None:
    """One who cannot ask would be missing without a word: the others would look as well as ever."""
    conductor = conducted(tmp_path, Runner("a", "b"))
    conductor.receive(BROKEN, {"share": 1, "why": "NoImages: nothing here"})
    assert conductor.tick() is None
    facts = RunFacts.read(tmp_path)
    assert (facts.cut_short, facts.fault) == (
        True,
        "a user of worker 1 broke, so the run ends here: NoImages: nothing here",
    )
    assert exit_code(facts) == 1


def test_a_worker_that_goes_away_is_a_fault_of_the_run(tmp_path: Path) -> None:
    runner = Runner("a", "b")
    conductor = conducted(tmp_path, runner)
    conductor.cut_short()
    runner.clients["b"].state = "missing"
    assert conductor.tick() is None
    facts = RunFacts.read(tmp_path)
    assert facts.fault == "1 of 2 workers went away; what they had to send was not sent"
    assert exit_code(facts) == 1


def test_runs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = {fresh_folder(tmp_path / "reports") for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.is_dir() for folder in folders)


def test_flags_stand_for_values_of_the_scenario() -> None:
    arguments = parser().parse_args(
        [
            "open",
            "--rate",
            "5",
            "--model",
            "hats",
            "--images",
            "a b",
            "--model-repository",
            "/r",
            "--set",
            "load.rate=9",
        ]
    )
    document = {"requests": [{"user": "detect"}, {"user": "raw"}]}
    assert overrides(arguments, document) == [
        "load.rate=5.0",
        'requests.0.model="hats"',
        'requests.0.images="a b"',
        'requests.1.model="hats"',
        'server.repository="/r"',
        "load.rate=9",
    ]
    assert overrides(parser().parse_args([]), {}) == []


def test_the_help_names_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {code}  " in text for code in (0, 1, 2, 3, 4, 130))
    assert isinstance(parser(), argparse.ArgumentParser)


@pytest.mark.parametrize("workers", ["-1", "two", "1.5"])
def test_a_number_of_processes_is_one(workers: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--workers", workers])
    assert f"expected a number of processes, got '{workers}'" in capsys.readouterr().err


@pytest.mark.parametrize("name", scenario_names())
def test_scenarios_can_be_told_in_a_line(name: str) -> None:
    scenario, _ = load_scenario(name)
    assert all(entry.model in describe_scenario(scenario) for entry in scenario.requests)
    assert any(line.startswith(f"{name} ") and scenario.title in line for line in list_scenarios().splitlines())
