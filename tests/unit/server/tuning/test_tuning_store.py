"""What is kept on disk, and under which conditions it may be used again."""

from __future__ import annotations

import json
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pasarela_server.repository.desired import desire
from pasarela_server.repository.edit import find_model
from pasarela_server.tuning.candidate import BASELINE, Candidate, Merge
from pasarela_server.tuning.conditions import cpu_flags, cpu_name, differences, fingerprint, memory_gib, read_conditions
from pasarela_server.tuning.journal import Sitting
from pasarela_server.tuning.orders import Job
from pasarela_server.tuning.store import (
    Record,
    default_folder,
    other_records,
    read_record,
    record_file,
    replace_file,
    write_record,
)
from tests.tiny_models import write_onnx
from tests.unit.server.tuning.tuned import a_slice

CONDITIONS = {"hardware": {"cpu": "one", "cores": 2}, "model": {"name": "m"}}
CANDIDATE = Candidate(instances=1, merge=Merge(delay_us=5))
RECORD = Record(
    CONDITIONS,
    (
        Sitting("round 0", (CANDIDATE,), {BASELINE: [a_slice(1)], CANDIDATE: [a_slice(1), a_slice(2)]}),
        Sitting("round 0", (Candidate(instances=3),), {}, "no memory"),
    ),
    {"reached": True},
)


def test_a_record_comes_back(tmp_path: Path) -> None:
    file = record_file(tmp_path, "m", CONDITIONS)
    write_record(file, RECORD)

    assert read_record(file) == RECORD
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "an empty file"),
        ('{"format": 1, "sit', "half a file"),
        ("[]", "something else"),
        ('{"format": 2, "conditions": {}, "sittings": [], "outcome": null}', "a later format"),
        ('{"format": 1, "conditions": {}, "sittings": [{"name": "round 0"}], "outcome": null}', "a part is missing"),
        (
            (
                '{"format": 1, "conditions": {}, "outcome": null, "sittings": '
                '[{"name": "r", "candidates": [{"cores": 3}], "slices": [], "failure": null}]}'
            ),
            "a candidate of another time",
        ),
        ("\x00\xff", "no text"),
    ],
)
def test_what_cannot_be_used_is_as_if_it_were_not_there(tmp_path: Path, content: str, reason: str) -> None:
    file = tmp_path / "tune-m-0123456789ab.json"
    file.write_text(content, encoding="latin-1")
    assert read_record(file) is None, reason


def test_records_of_other_conditions(tmp_path: Path) -> None:
    for name in ("tune-m-0123456789ab.json", "tune-m-2-0123456789ab.json", "tune-m-0123456789ab.svg"):
        (tmp_path / name).touch()
    own = record_file(tmp_path, "m", CONDITIONS)
    own.touch()

    assert [file.name for file in other_records(tmp_path, "m", own)] == ["tune-m-0123456789ab.json"]


def test_equal_conditions_have_equal_fingerprints() -> None:
    assert fingerprint(CONDITIONS) == fingerprint(json.loads(json.dumps(CONDITIONS)))
    assert fingerprint(CONDITIONS) != fingerprint({**CONDITIONS, "model": {"name": "n"}})


def test_what_has_changed_is_said() -> None:
    now = {"hardware": {"cpu": "two", "cores": 2, "gpus": []}, "model": {"name": "m"}}
    assert differences(CONDITIONS, now) == ("hardware, cpu: one then, two now", "hardware, gpus: nothing then, [] now")
    assert differences(CONDITIONS, CONDITIONS) == ()


CPUINFO = "processor\t: 0\nmodel name\t: AMD EPYC 9B14\nflags\t\t: fpu avx2 avx512_bf16\n\nprocessor\t: 1\n"


def test_what_the_system_says_of_itself() -> None:
    assert cpu_name(CPUINFO) == "AMD EPYC 9B14"
    assert cpu_flags(CPUINFO) == {"fpu", "avx2", "avx512_bf16"}
    assert cpu_flags("Features : asimd sve\n") == {"asimd", "sve"}
    assert memory_gib("MemTotal:       24689672 kB\n") == 24


def test_a_system_that_says_nothing() -> None:
    assert cpu_name("") != ""
    assert cpu_flags("") == frozenset()
    assert memory_gib("") == 0


def test_conditions_follow_what_matters_and_nothing_else(tmp_path: Path) -> None:
    repository, images = tmp_path / "repository", tmp_path / "images"
    write_onnx(repository / "m" / "1", 3)
    images.mkdir()
    (images / "a.jpg").write_bytes(b"a")

    def now(**changes: Any) -> str:
        job = Job(**{"repository": repository, "model": "m", "version": 1, "cpu_threads": 2, **changes})
        return fingerprint(read_conditions(job, desire(find_model(repository, "m"))))

    seen = [now()]
    assert now() == seen[0]
    seen += [now(cpu_threads=1), now(tensors=True), now(images=images)]
    (images / "a.jpg").write_bytes(b"b")
    seen.append(now(images=images))
    (images / "notes.txt").write_text("no image")
    assert now(images=images) == seen[-1]
    (repository / "m" / "config.pbtxt").write_text("max_batch_size: 2\n")
    seen.append(now())
    (repository / "m" / "config.pbtxt").write_text("# a comment says nothing\nmax_batch_size: 2\n")
    assert now() == seen[-1]
    write_onnx(repository / "m" / "1", 4)
    seen.append(now())
    assert len(set(seen)) == len(seen)


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "config.pbtxt"
    file.write_text("old")
    file.chmod(0o640)

    replace_file(file, "new")

    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["config.pbtxt"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "config.pbtxt", tmp_path / "config.pbtxt"
    target.write_text("old")
    link.symlink_to(target)

    replace_file(link, "new")

    assert link.is_symlink()
    assert target.read_text() == "new"


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.pbtxt"
    file.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(file, "new")

    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("config.pbtxt", "old")]


@pytest.mark.parametrize(
    ("cache", "folder"),
    [(Path("/c/pasarela"), "/c/pasarela/tune"), (None, f"{tempfile.gettempdir()}/pasarela/tune")],
)
def test_the_usual_folder(cache: Path | None, folder: str) -> None:
    assert default_folder(cache) == Path(folder)
