"""What a load test leaves for its report comes back as it was written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.records import (
    OUTCOMES,
    Finding,
    ObjectiveResult,
    RequestRecord,
    RunFacts,
    StepFacts,
    read_records,
    request_file,
    write_records,
)
from pasarela_client.timings import NOT_TOLD, Timings

SECONDS = st.integers(0, 10**9).map(lambda micros: micros / 1e6)
RECORDS = st.builds(
    RequestRecord,
    step=st.integers(0, 99),
    user=st.sampled_from(["detect", "stream", "raw", "slow", "leaver"]),
    model=st.text(max_size=12),
    loop=st.sampled_from(["open", "closed"]),
    due_s=SECONDS,
    outcome=st.sampled_from(OUTCOMES),
    sent_s=st.none() | SECONDS,
    done_s=st.none() | SECONDS,
    status=st.sampled_from(["OK", "UNAVAILABLE", ""]),
    message=st.text(max_size=30),
    response_bytes=st.integers(0, 2**31),
    timings=st.builds(Timings, infer_ns=st.integers(0, 10**10), batch_size=st.integers(0, 8), close_reason=st.text()),
    stream=st.none() | st.integers(0, 9),
    frame=st.none() | st.integers(0, 9),
    worker=st.integers(0, 9),
)


@given(RECORDS)
def test_a_record_comes_back_from_its_line(record: RequestRecord) -> None:
    line = record.to_json()
    assert "\n" not in line
    assert RequestRecord.from_json(line) == record


def plain(due_s: float, worker: int = 0, **fields: object) -> RequestRecord:
    return RequestRecord(0, "detect", "m", "open", due_s, "done", worker=worker, **fields)  # type: ignore[arg-type]


def test_what_stands_at_its_default_is_not_written() -> None:
    document = json.loads(plain(1.5, sent_s=1.5, done_s=1.75).to_json())
    assert "message" not in document
    assert "timings" not in document
    assert RequestRecord.from_json(json.dumps(document)).timings == NOT_TOLD


def test_files_of_workers_are_merged_in_the_order_of_due_times(tmp_path: Path) -> None:
    for worker, dues in enumerate(([3.0, 1.0], [2.0, 0.5])):
        with request_file(tmp_path, worker).open("w", encoding="utf-8") as file:
            write_records(file, [plain(due_s, worker) for due_s in dues])
    assert [(record.due_s, record.worker) for record in read_records(tmp_path)] == [
        (0.5, 1),
        (1.0, 0),
        (2.0, 1),
        (3.0, 0),
    ]


def test_a_last_line_that_is_cut_short_is_left_out(tmp_path: Path) -> None:
    line = plain(1.0).to_json()
    request_file(tmp_path, 0).write_text(f"{line}\n{line[:-9]}", encoding="utf-8")
    assert read_records(tmp_path) == [plain(1.0)]


def test_a_last_line_may_be_cut_short_within_a_letter(tmp_path: Path) -> None:
    whole, cut = plain(1.0).to_json().encode(), plain(2.0, message="…").to_json().encode()
    request_file(tmp_path, 0).write_bytes(whole + b"\n" + cut[: cut.index("…".encode()) + 1])
    assert read_records(tmp_path) == [plain(1.0)]


@pytest.mark.parametrize(
    ("outcome", "status", "answered"),
    [
        ("done", "OK", True),
        ("late", "OK", True),
        ("late", "DEADLINE_EXCEEDED", False),  # reason: its deadline ended it
        ("refused", "UNAVAILABLE", False),
        ("lost", "", False),
    ],
)
def test_an_answer_may_be_late_but_has_to_come(outcome: str, status: str, answered: bool) -> None:
    assert replace(plain(1.0), outcome=outcome, status=status).answered is answered  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",  # reason: no document at all
        '{"step": 1}',  # reason: a document that lacks what has no default
    ],
)
def test_another_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    request_file(tmp_path, 0).write_text(f"{plain(1.0).to_json()}\n{line}\n{plain(2.0).to_json()}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"requests-0\.jsonl:2: "):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("loop", "sent_s", "done_s", "latency_s", "lag_s"),
    [
        ("open", 1.25, 2.0, 1.0, 0.25),  # reason: a generator that is late hides nothing of what its users would wait
        ("closed", 1.25, 2.0, 0.75, 0.25),  # reason: nobody waited before it was sent
        ("open", None, None, None, None),  # reason: never sent
        ("open", 1.25, None, None, 0.25),  # reason: lost: nobody knows when it ended
    ],
)
def test_latency_counts_from_the_due_time_in_an_open_loop(
    loop: str, sent_s: float | None, done_s: float | None, latency_s: float | None, lag_s: float | None
) -> None:
    record = RequestRecord(0, "detect", "m", loop, 1.0, "done", sent_s, done_s)  # type: ignore[arg-type]
    assert record.latency_s == latency_s
    assert record.lag_s == lag_s


def test_the_facts_of_a_run_come_back(tmp_path: Path) -> None:
    facts = RunFacts(
        scenario={"load": {"kind": "open", "rate": 20}},
        name="open",
        title="How does it fare?",
        models=("garments",),
        started_at=1.8e9,
        ended_s=13.5,
        warm_up_s=3.0,
        steps=(StepFacts("warm-up", 0, 3, "open", 20, 20, counts=False), StepFacts("20/s", 3, 13, "open", 20, 20)),
        workers=2,
        seeds=(1, 2),
        url="127.0.0.1:8001",
        objectives=(ObjectiveResult("p99_ms", "<= 120", "80", met=True),),
        findings=(Finding("rate", 24.0, "/s", 23.0, 25.0, "bisected"),),
        conditions={"cores": 2},
    )
    facts.write(tmp_path)
    assert RunFacts.read(tmp_path) == facts
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_file_that_holds_no_facts_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"models": []}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"run\.json does not hold the facts of a run: "):
        RunFacts.read(tmp_path)
