"""Processes in which candidates are measured: real ones, that also crash, hang and go away."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from pasarela_server.tuning.bench import Probe
from pasarela_server.tuning.candidate import BASELINE, Candidate, Merge
from pasarela_server.tuning.orders import Job
from pasarela_server.tuning.search import CandidateFailed
from tests.tiny_models import write_onnx


@pytest.fixture
def job(tmp_path: Path) -> Job:
    write_onnx(tmp_path / "m" / "1", 3)
    return Job(tmp_path, "m", 1, 2)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_candidate_is_loaded_as_it_asks_and_measured(job: Job) -> None:
    with Probe(job, Candidate(instances=1, merge=Merge(preferred_rows=2))) as probe:
        process = probe.process
        subject = probe.loaded.subject
        measured = probe.measure(2, 0.05)
        again = probe.measure(1, 0.05)

    assert (subject.instances, subject.threads, subject.max_batch_size) == (1, 2, 4)
    assert subject.merge == Merge(preferred_rows=2)
    assert subject.writes_instances
    assert not subject.detects
    assert (measured.clients, again.clients) == (2, 1)
    assert measured.completed > 0
    assert not is_running(process)


def test_the_configuration_is_that_from_when_the_tuning_began(job: Job) -> None:
    (job.repository / "m" / "config.pbtxt").write_text("max_batch_size: 8\n")
    with Probe(replace(job, config_text="max_batch_size: 2\n"), BASELINE) as probe:
        assert probe.loaded.subject.max_batch_size == 2


def test_modules_of_the_working_directory_are_not_taken(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    with Probe(job, BASELINE) as probe:
        assert probe.measure(1, 0.01).completed > 0


def test_a_candidate_that_cannot_be_loaded_says_why(job: Job) -> None:
    with pytest.raises(CandidateFailed, match="max_batch_size is -1"), Probe(job, Candidate(max_batch_size=-1)):
        pytest.fail("it was loaded")


def test_a_candidate_whose_process_is_killed_ends_nothing_else(job: Job) -> None:
    with Probe(job, BASELINE) as probe:
        os.kill(probe.process, signal.SIGKILL)
        with pytest.raises(CandidateFailed, match="killed, as happens when memory runs out"):
            probe.measure(1, 0.05)


def test_what_a_crash_leaves_behind_is_told(job: Job) -> None:
    with Probe(job, BASELINE) as probe:
        os.kill(probe.process, signal.SIGABRT)
        with pytest.raises(CandidateFailed, match="ended by SIGABRT"):
            probe.measure(1, 0.05)


def test_an_interruption_leaves_no_process(job: Job) -> None:
    processes = []

    def interrupted() -> None:
        with Probe(job, BASELINE) as probe:
            processes.append(probe.process)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not is_running(processes[0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "n"}, "there is no model 'n'"),
        ({"version": 7}, "has no version 7"),
        ({"repository": Path("/nowhere")}, "does not exist"),
    ],
)
def test_a_job_that_cannot_be_done(job: Job, changes: dict[str, object], said: str) -> None:
    with pytest.raises(CandidateFailed, match=said), Probe(replace(job, **changes), BASELINE):  # type: ignore[arg-type]
        pytest.fail("it was loaded")
