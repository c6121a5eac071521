"""The load test as a person runs it: real Locust, real gRPC, a few seconds each."""

import json
import re
import resource
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.access import Access
from loadtest.exit_codes import exit_code
from loadtest.images import ROOT
from loadtest.locust_processes import LocustRun, run_locust
from loadtest.objectives import judged
from loadtest.records import RequestRecord, RunFacts, read_records
from loadtest.run import main
from loadtest.summary import describe_run
from pasarela_client import Detector
from tests.e2e.slow_server import SlowService, serving
from tests.tiny_models import write_detector

SERVICE_S = 0.02
CAPACITY = 1 / SERVICE_S
LEAVES = ("cancel", "disconnect")
BRIEF = ("--no-limit", "--set", "load.warm_up=0s")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose only model answers in a millisecond."""
    repository = tmp_path_factory.mktemp("tiny")
    write_detector(repository / "garments" / "1", ("shirt", "skirt"))
    return repository


@pytest.fixture
def slow() -> Iterator[tuple[str, SlowService]]:
    """A server that answers `CAPACITY` images a second, and its address."""
    service = SlowService(SERVICE_S)
    with serving(service) as url:
        yield url, service


def command(*flags: object) -> list[str]:
    return [sys.executable, str(ROOT / "loadtest" / "run.py"), *map(str, flags)]


def run(*flags: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(*flags), capture_output=True, text=True, check=False, timeout=100)


def load(scenario: Path, access: Access | str, folder: Path, workers: int = 0) -> tuple[RunFacts, list[RequestRecord]]:
    """Locust alone, against a server that is there: what it leaves."""
    folder.mkdir()
    reached = Access(access) if isinstance(access, str) else access
    run_locust(LocustRun(str(scenario), ("load.warm_up=0s",), reached, folder, folder, workers, quiet=True))
    assert (folder / "run.json").exists(), (folder / "locust-output.log").read_text()
    return judged(folder, RunFacts.read(folder)), read_records(folder)


def write_scenario(path: Path, **parts: Any) -> Path:
    document = {"title": "Is it well?", "requests": [{"user": "detect", "model": "garments"}], **parts}
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


def measured(reports: Path) -> tuple[Path, RunFacts, list[RequestRecord]]:
    (folder,) = reports.iterdir()
    return folder, RunFacts.read(folder), read_records(folder)


def test_a_short_run_starts_a_server_and_leaves_a_report(tiny: Path, tmp_path: Path) -> None:
    flags = ("--no-limit", "--duration", "2s", "--set", "load.warm_up=1s", "--model-repository", tiny)
    done = run("smoke", *flags, "--reports", tmp_path / "r")
    assert done.returncode == 0, done.stdout + done.stderr
    folder, facts, records = measured(tmp_path / "r")
    assert f"report: {folder / 'report.html'}" in done.stdout
    assert (folder / "report.html").exists()
    assert "✓  failed" in done.stdout
    assert {record.user for record in records} == {"detect", "stream"}
    assert {record.outcome for record in records} == {"done"}
    assert all(record.timings.total_ns and record.timings.batch_size for record in records)
    assert all(record.response_bytes and record.latency_s for record in records)
    assert [(step.name, step.counts) for step in facts.steps] == [("warm-up", False), ("4 users", True)]
    assert {record.step for record in records} == {0, 1}
    assert facts.server_pid
    assert facts.metrics_url
    assert facts.conditions["packages"]["locust"]
    assert "Detect garments" in (folder / "locust_stats.csv").read_text()
    assert "stopped" in (folder / "server.log").read_text()


def test_an_open_loop_offers_what_it_says_however_slow_the_server(slow: tuple[str, Any], tmp_path: Path) -> None:
    """Twice what the server can do: all of it is sent, and the wait that its users would have grows and grows."""
    shape = {"kind": "open", "rate": 2 * CAPACITY, "duration": "2s", "arrivals": "even"}
    scenario = write_scenario(tmp_path / "open.yaml", load=shape, objectives={"p99_ms": 500})
    facts, records = load(scenario, slow[0], tmp_path / "r")
    assert [(one.name, one.met) for one in facts.objectives] == [("p99_ms", False), ("failed", True)]
    begins_s = facts.steps[0].begins_s
    assert [record.due_s - begins_s for record in records] == pytest.approx(
        [number / (2 * CAPACITY) for number in range(200)], abs=1e-5
    )
    waits = [record.latency_s or 0 for record in records]
    assert sum(waits[-50:]) / 50 > 2 * sum(waits[:50]) / 50
    # What is counted from when it was sent cannot be longer: that is the omission which does not happen here.
    assert all(record.latency_s >= record.done_s - record.sent_s for record in records)
    assert max(waits) > 1.0


def test_a_closed_loop_asks_a_slow_server_less(slow: tuple[str, Any], tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path / "closed.yaml", load={"kind": "closed", "users": 4, "duration": "2s"})
    _, records = load(scenario, slow[0], tmp_path / "r")
    assert 4 <= len(records) <= 2 * CAPACITY + 8
    assert {record.loop for record in records} == {"closed"}
    under_way = [sum(other.sent_s <= one.sent_s < other.done_s for other in records) for one in records]
    assert max(under_way) <= 4


def test_more_than_may_be_under_way_is_not_sent_and_told(slow: tuple[str, Any], tmp_path: Path) -> None:
    shape = {"kind": "open", "rate": 4 * CAPACITY, "duration": "1s", "arrivals": "even", "max_under_way": 5}
    scenario = write_scenario(tmp_path / "open.yaml", load=shape)
    facts, records = load(scenario, slow[0], tmp_path / "r")
    outcomes = Counter(record.outcome for record in records)
    assert outcomes.total() == 4 * CAPACITY
    assert outcomes["unsent"] == facts.overrun > 0
    told = (tmp_path / "r" / "locust-output.log").read_text()
    assert f"generator overrun: {facts.overrun} requests were due and not sent" in told


def test_workers_share_the_load_and_send_the_same(slow: tuple[str, Any], tmp_path: Path) -> None:
    shape = {"kind": "open", "rate": CAPACITY, "duration": "2s", "seed": 7}
    scenario = write_scenario(tmp_path / "open.yaml", load=shape)
    dues = []
    for workers in (0, 2):
        folder = tmp_path / str(workers)
        facts, records = load(scenario, slow[0], folder, workers)
        assert facts.workers == max(1, workers)
        assert len(list(folder.glob("requests-*.jsonl"))) == facts.workers
        assert {record.outcome for record in records} == {"done"}
        dues.append([round(record.due_s - facts.steps[0].begins_s, 4) for record in records])
    assert dues[0] == pytest.approx(dues[1], abs=2e-4)
    shares = Counter(record.worker for record in records)
    assert set(shares) == {0, 1}
    assert abs(shares[0] - shares[1]) <= 1


def test_frames_that_come_too_late_are_counted(slow: tuple[str, Any], tmp_path: Path) -> None:
    """The camera shows more than the server can do: some frames are late, and what the window has no room for is not sent."""
    requests = [{"user": "stream", "model": "garments", "fps": 2 * CAPACITY, "deadline": "50ms", "window": 4}]
    shape = {"kind": "closed", "users": 1, "duration": "2s"}
    scenario = write_scenario(tmp_path / "s.yaml", requests=requests, load=shape, objectives={"late_frames": "1%"})
    done = run(scenario, "--url", slow[0], *BRIEF, "--reports", tmp_path / "r")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "✗  late_frames" in done.stdout
    _, _, records = measured(tmp_path / "r")
    outcomes = Counter(record.outcome for record in records)
    assert outcomes["late"] > 0
    assert outcomes["unsent"] > 0
    assert [record.frame for record in records] == list(range(len(records)))
    assert all(record.latency_s > 0.05 for record in records if record.outcome == "late")
    assert all(record.latency_s <= 0.05 for record in records if record.outcome == "done")


def test_leavers_leave_the_server_as_it_was(start_server: Any, tiny: Path, sample_image: Path, tmp_path: Path) -> None:
    with start_server(tiny) as server:
        leaver = {"user": "leaver", "model": "garments", "after": "5ms"}
        kinds = [{"calls": calls, "leaves": leaves} for calls in ("detect", "stream") for leaves in LEAVES]
        requests = [{**leaver, **kind} for kind in kinds] + [{"user": "detect", "model": "garments", "weight": 4}]
        shape = {"kind": "closed", "users": 8, "duration": "3s"}
        scenario = write_scenario(tmp_path / "s.yaml", requests=requests, load=shape)
        _, records = load(scenario, server.address, tmp_path / "r")
        outcomes = {user: Counter(r.outcome for r in records if r.user == user) for user in ("leaver", "detect")}
        assert outcomes["leaver"]["left"] > 10
        assert set(outcomes["leaver"]) <= {"left", "done"}
        assert set(outcomes["detect"]) == {"done"}
        with Detector(server.address, "garments") as detector:
            assert list(detector.detect(sample_image).names) == ["shirt", "skirt"]
        page = urllib.request.urlopen(f"http://{server.metrics_address}/metrics").read().decode()
        assert re.findall(r"^pasarela_open_requests\{.*\} (\S+)$", page, re.MULTILINE) == ["0.0"]


def test_failures_are_counted_and_told(tmp_path: Path) -> None:
    shape = {"kind": "open", "rate": CAPACITY / 2, "duration": "2s", "arrivals": "even"}
    scenario = write_scenario(tmp_path / "open.yaml", load=shape, objectives={"failed": "1%"})
    with serving(SlowService(0.001, fails=frozenset({4, 5}))) as url:
        facts, records = load(scenario, url, tmp_path / "r")
    assert exit_code(facts) == 1
    failed = [record for record in records if record.outcome == "failed"]
    assert [(record.status, record.message) for record in failed] == [("INTERNAL", "ServerFailure: it broke")] * 2
    assert [(one.name, one.wanted, one.got, one.met) for one in facts.objectives] == [("failed", "<= 1%", "4%", False)]


def test_a_search_leaves_what_it_found(tmp_path: Path) -> None:
    shape = {"kind": "knee", "users": 4, "saturate": "1s", "probe": "1s", "precision": 0.5, "max_probes": 6}
    scenario = write_scenario(tmp_path / "knee.yaml", load={**shape, "arrivals": "even"})
    with serving(SlowService(0.01)) as url:
        facts, records = load(scenario, url, tmp_path / "r")
    findings = {finding.name: finding for finding in facts.findings}
    assert {"saturation", "knee"} <= set(findings)
    dues = [(record.step, record.due_s) for record in records if record.loop == "open"]
    assert dues
    assert len(dues) == len(set(dues)), "what was sent before busy users came in between was sent again"
    assert 0 < findings["saturation"].value <= 100
    assert all(f"{name}: " in describe_run(tmp_path / "r") for name in findings)
    probes = [step for step in facts.steps if step.rate_from is not None]
    assert probes
    assert all((step.rate_from == findings["knee"].value) == step.counts for step in probes)


def test_ctrl_c_ends_the_run_and_leaves_what_was_measured(tiny: Path, tmp_path: Path) -> None:
    flags = ("smoke", "--duration", "10m", *BRIEF, "--model-repository", tiny, "--reports", tmp_path / "r")
    with subprocess.Popen(command(*flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("requests" in line and "p50" in line for line in process.stdout), "no progress"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "cut short" in output
    folder, facts, records = measured(tmp_path / "r")
    assert facts.cut_short
    assert facts.ended_s < 60
    assert records
    assert {record.outcome for record in records} == {"done"}, "what was under way was still answered"
    assert (folder / "report.html").exists()
    assert "stopped" in (folder / "server.log").read_text()


def test_records_that_cannot_be_written_end_the_run(slow: tuple[str, Any], tmp_path: Path) -> None:
    """A disk without room, as far as the run can tell: no file may grow beyond some kilobytes."""
    scenario = write_scenario(tmp_path / "s.yaml", load={"kind": "closed", "users": 2, "duration": "10m"})
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
    try:
        facts, records = load(scenario, slow[0], tmp_path / "r")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert facts.cut_short
    assert facts.fault in (tmp_path / "r" / "locust-output.log").read_text()
    assert "records cannot be written" in facts.fault
    assert records
    assert exit_code(facts) == 1


def test_locusts_own_page_runs_the_scenario(slow: tuple[str, Any], tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        page = f"http://127.0.0.1:{probe.getsockname()[1]}"
    flags = ("smoke", "--duration", "1s", *BRIEF, "--url", slow[0], "--reports", tmp_path / "r")
    web = ("--web", "--web-port", page.rpartition(":")[2])
    with subprocess.Popen(command(*flags, *web), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert any(page in line for line in process.stdout)
            started = json.loads(_ask(f"{page}/swarm", {"user_count": "1", "spawn_rate": "1"}))
            assert started["success"]
            assert any("report: " in line for line in process.stdout)
            stats = json.loads(_ask(f"{page}/stats/requests"))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    counts = {entry["name"]: entry["num_requests"] for entry in stats["stats"]}
    assert counts["Detect garments"] > 0
    assert process.returncode == 130
    reported = [path for path in (tmp_path / "r").iterdir() if (path / "report.html").exists()]
    assert len(read_records(reported[0])) == counts["Aggregated"]


def _ask(url: str, form: dict[str, str] | None = None) -> str:
    """Asks again until the page is there."""
    body = None if form is None else urllib.parse.urlencode(form).encode()
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, body, timeout=10) as answer:
                return str(answer.read().decode())
        except ConnectionError:
            continue
        except urllib.error.URLError:
            subprocess.run(["sleep", "0.1"], check=True)
    raise AssertionError(f"{url} does not answer")


def test_locust_runs_the_file_by_hand(slow: tuple[str, Any], tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path / "s.yaml", load={"kind": "closed", "users": 2, "duration": "1s"})
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py"), "--headless"),
            *("--host", slow[0], "--scenario", str(scenario), "--reports", str(tmp_path / "r")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder, _, records = measured(tmp_path / "r")
    assert records
    assert f"report: {folder / 'report.html'}" in done.stdout


def test_what_no_request_would_get_past_is_told_at_once(start_server: Any, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("all the-right-token-of-this-test\n")
    (tmp_path / "wrong").write_text("a-wrong-token-of-this-test")
    (tmp_path / "right").write_text("the-right-token-of-this-test")
    scenario = write_scenario(tmp_path / "s.yaml", load={"kind": "closed", "users": 1, "duration": "1s"})
    with start_server(tiny, "--auth-tokens-file", str(tmp_path / "tokens")) as server:
        flags = (scenario, "--url", server.address, "--reports", tmp_path / "r", "--token-file")
        refused = run(*flags, tmp_path / "wrong")
        unknown = run(*flags, tmp_path / "right", "--model", "hats")
        access = Access(server.address, token_file=str(tmp_path / "right"))
        facts, records = load(scenario, access, tmp_path / "taken")
    assert (refused.returncode, unknown.returncode) == (1, 1)
    assert re.fullmatch(r"loadtest: .*token.*\n", refused.stderr)
    assert re.fullmatch(r"loadtest: .*hats.*\n", unknown.stderr)
    assert exit_code(facts) == 0
    assert {record.outcome for record in records} == {"done"}


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    done = run("smoke", "--model-repository", tmp_path / "nothing", "--reports", tmp_path / "r")
    assert done.returncode == 3
    assert "nothing" in done.stderr
    assert "server.log" in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("opne",), "did you mean open"),
        (("open", "--set", "load.rte=5"), "did you mean rate"),
        (("closed", "--images", "/nowhere"), "/nowhere"),
        (("nothing.yaml",), "there is no such file"),
        (("open", "--compare", "/nowhere"), "/nowhere"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_started(
    flags: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--reports", str(tmp_path / "r")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
