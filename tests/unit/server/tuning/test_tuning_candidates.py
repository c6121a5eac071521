"""Which settings are worth measuring."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.config.pbtxt import WrittenConfig, parse_model_config
from pasarela_server.tuning.candidate import BASELINE, Candidate, Merge, read_candidate
from pasarela_server.tuning.candidates import (
    cpu_instances,
    effect_of,
    instances_of,
    is_defaults,
    why_not,
    worth_measuring,
)
from pasarela_server.tuning.subject import Subject
from tests.unit.server.tuning.tuned import subject

OFF = Merge(on=False)

ROWS = [
    # subject, precisions, flags, candidates, reason
    (
        subject(max_batch_size=0),
        (),
        (),
        [Candidate(instances=1)],
        "two cores, no batch: the only other way is one instance on both",
    ),
    (subject(cores=1, instances=1, max_batch_size=0), (), (), [], "one core leaves nothing to choose"),
    (
        subject(),
        (),
        (),
        [
            Candidate(instances=1),
            Candidate(instances=2, merge=Merge(preferred_rows=4)),
            Candidate(instances=1, merge=Merge(preferred_rows=4)),
        ],
        "merging on a CPU is tried with few rows only",
    ),
    (
        subject(row_by_row=True),
        (),
        (),
        [Candidate(instances=1)],
        "where a batch is computed row by row, merging is not tried",
    ),
    (
        subject(max_batch_size=4),
        (),
        (),
        [Candidate(instances=1), Candidate(instances=2, merge=Merge()), Candidate(instances=1, merge=Merge())],
        "where the largest batch is small already, no size is preferred",
    ),
    (
        subject(max_batch_size=0, instances=1, threads=2, writes_instances=True),
        (),
        (),
        [Candidate(instances=0)],
        "the defaults come first, and stand for the same number written out",
    ),
    (
        subject(max_batch_size=2, merge=Merge(), writes_merge=True, instances=2),
        (),
        (),
        [
            Candidate(merge=OFF),
            Candidate(instances=1),
            Candidate(instances=1, merge=OFF),
        ],
        "what merges today may stop merging",
    ),
    (
        subject(max_batch_size=2, merge=Merge(), writes_merge=True, merge_may_go=False),
        (),
        (),
        [Candidate(instances=1)],
        "a block that promises order or priorities to clients is never taken away",
    ),
    (
        subject(max_batch_size=0),
        ("f32", "bf16"),
        (),
        [Candidate(instances=1), Candidate(instances=2, precision="f32"), Candidate(instances=1, precision="f32")],
        "a precision that the processor would emulate is not tried",
    ),
    (
        subject(max_batch_size=0, cores=1, instances=1),
        ("bf16",),
        ("avx512_bf16",),
        [Candidate(instances=1, precision="bf16")],
        "one that it has is, once it was allowed",
    ),
    (
        subject(max_batch_size=0, backend="onnxruntime"),
        ("f32",),
        (),
        [Candidate(instances=1)],
        "a backend without that parameter",
    ),
    (
        subject(on_gpu=True, instances=1, max_batch_size=0, detects=False),
        (),
        (),
        [Candidate(instances=2)],
        "a GPU without batches: a second instance hides the copies",
    ),
]


@pytest.mark.parametrize(("of", "precisions", "flags", "expected", "reason"), ROWS, ids=[str(row[4]) for row in ROWS])
def test_what_is_worth_measuring(
    of: Subject, precisions: tuple[str, ...], flags: tuple[str, ...], expected: list[Candidate], reason: str
) -> None:
    assert list(worth_measuring(of, precisions, flags)) == expected, reason


def test_on_a_gpu_batches_grow_and_never_shrink() -> None:
    of = subject(on_gpu=True, instances=1, max_batch_size=16, merge=Merge())
    found = worth_measuring(of)

    assert found[0] == Candidate(instances=2, merge=Merge())
    assert {candidate.max_batch_size for candidate in found} == {None, 32, 64, 128}
    assert {candidate.merge.delay_us for candidate in found if candidate.merge} == {0, 2000}


@pytest.mark.parametrize(
    ("cores", "leaves", "counts", "reason"),
    [
        (1, True, (1,), "one core"),
        (2, True, (2, 1), "two"),
        (4, True, (4, 3, 2, 1), "three leave one for images"),
        (4, False, (4, 2, 1), "tensors need none"),
        (6, False, (6, 3, 1), "cores that are no power of two are used up too"),
        (16, True, (16, 12, 8, 4, 2, 1), "not every number"),
    ],
)
def test_instances_on_a_cpu(cores: int, leaves: bool, counts: tuple[int, ...], reason: str) -> None:
    assert cpu_instances(cores, leaves_cores=leaves) == counts, reason


@settings(deadline=None)
@given(
    cores=st.integers(1, 128),
    instances=st.integers(1, 128),
    rows=st.sampled_from([0, 1, 2, 4, 8, 64]),
    detects=st.booleans(),
    on_gpu=st.booleans(),
    writes=st.booleans(),
    merges=st.booleans(),
    precisions=st.lists(st.sampled_from(["f32", "bf16", "f16", "int3"])),
)
def test_no_candidate_oversubscribes_repeats_or_takes_away(
    cores: int,
    instances: int,
    rows: int,
    detects: bool,
    on_gpu: bool,
    writes: bool,
    merges: bool,
    precisions: list[str],
) -> None:
    merge = Merge(on=merges and rows > 1)
    of = subject(
        cores=cores,
        instances=instances if writes else 1 if on_gpu else cores,
        max_batch_size=rows,
        detects=detects,
        on_gpu=on_gpu,
        writes_instances=writes,
        merge=merge,
        writes_merge=merge.on,
    )
    found = worth_measuring(of, precisions, ("avx512_bf16",))

    effects = [effect_of(candidate, of) for candidate in (BASELINE, *found)]
    assert len(set(effects)) == len(effects), "nothing is measured twice"
    assert len(found) <= 60
    for candidate in found:
        assert on_gpu or instances_of(candidate, of) <= cores
        assert candidate.max_batch_size is None or candidate.max_batch_size > rows
        assert candidate.merge is None or not candidate.merge.on or rows > 1
        assert candidate.precision is None or candidate.precision in precisions
        assert read_candidate(candidate.key()) == candidate


def test_defaults_are_known_as_such() -> None:
    of = subject(writes_instances=True, instances=1)
    assert is_defaults(worth_measuring(of)[0], of)
    assert not is_defaults(Candidate(instances=1), of)


@pytest.mark.parametrize(
    ("precision", "of", "said"),
    [
        ("f64", subject(), "it has default, f32, bf16, f16"),
        ("f32", subject(backend="onnxruntime"), "to choose"),
        ("bf16", subject(precision="bf16"), "the one that is written"),
        ("default", subject(), "the one that is written"),
        ("bf16", subject(), "does not compute in it"),
    ],
)
def test_why_a_precision_is_not_tried(precision: str, of: Subject, said: str) -> None:
    assert said in str(why_not(precision, of, ()))


APPLIED = [
    (Candidate(instances=3), "", "instance_group { count: 3 }", "a group of its own"),
    (
        Candidate(instances=1),
        "instance_group [{ kind: KIND_GPU count: 2 }, { kind: KIND_GPU gpus: 1 }]",
        "instance_group { kind: KIND_GPU count: 1 gpus: 1 }",
        "one group is left, on the same device",
    ),
    (Candidate(instances=0), "instance_group { count: 4 }", "", "nothing is left that says nothing"),
    (Candidate(instances=0), "instance_group { count: 4 name: 'n' }", "instance_group { name: 'n' }", "a name stays"),
    (Candidate(instances=0), "", "", "what is not there stays away"),
    (Candidate(merge=Merge()), "", "dynamic_batching { }", "an empty block says to merge"),
    (
        Candidate(merge=Merge(preferred_rows=4, delay_us=50)),
        "dynamic_batching { preferred_batch_size: [2, 8] preserve_ordering: true }",
        "dynamic_batching { preferred_batch_size: 4 max_queue_delay_microseconds: 50 preserve_ordering: true }",
        "what clients rely on stays",
    ),
    (Candidate(merge=OFF), "dynamic_batching { }", "", "no merging"),
    (
        Candidate(precision="f32", max_batch_size=32),
        "max_batch_size: 8 parameters { key: 'a' value { string_value: 'b' } }",
        (
            "max_batch_size: 32 parameters { key: 'a' value { string_value: 'b' } } "
            "parameters { key: 'precision' value { string_value: 'f32' } }"
        ),
        "other parameters stay",
    ),
    (BASELINE, "max_batch_size: 8", "max_batch_size: 8", "nothing changes"),
]


@pytest.mark.parametrize(("candidate", "before", "after", "reason"), APPLIED, ids=[row[3] for row in APPLIED])
def test_what_a_candidate_writes(candidate: Candidate, before: str, after: str, reason: str) -> None:
    written = parse_model_config(before, "m")
    untouched = WrittenConfig()
    untouched.CopyFrom(written)

    assert candidate.apply(written) == parse_model_config(after, "m"), reason
    assert written == untouched
