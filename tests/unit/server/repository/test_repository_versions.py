"""Which versions are loaded, kept and retired: the whole decision as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.config.model import AllVersions, Latest, Specific
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.versions import Standing, check_versions, plan_versions, versions_to_retire

NEW, READY, FAILED = Standing.NEW, Standing.READY, Standing.FAILED


@pytest.mark.parametrize(
    ("standing", "policy", "labelled", "load", "keep"),
    [
        ({}, Latest(1), (), [], []),  # reason: nothing on disk, nothing to do
        ({1: NEW, 2: NEW}, Latest(1), (), [2], [2]),  # reason: only the highest is tried
        ({1: NEW, 2: NEW, 10: NEW}, Latest(2), (), [2, 10], [2, 10]),  # reason: numbers are ordered as numbers
        ({1: NEW}, Latest(5), (), [1], [1]),  # reason: fewer than allowed is no mistake
        ({1: NEW, 2: FAILED}, Latest(1), (), [1], [1]),  # reason: at the start an older good one takes the place
        ({1: READY, 2: NEW}, Latest(1), (), [2], [2]),  # reason: the new one is tried while the old one answers
        ({1: READY, 2: FAILED}, Latest(1), (), [], [1]),  # reason: a broken one never replaces one that works
        ({1: READY, 2: READY}, Latest(1), (), [], [2]),  # reason: done; 1 may go
        ({1: FAILED, 2: FAILED}, Latest(1), (), [], []),  # reason: nothing works, nothing is tried twice
        ({1: NEW, 2: READY, 3: FAILED}, Latest(2), (), [1], [1, 2]),  # reason: two are wanted, the third stands in
        ({1: NEW, 2: READY, 3: NEW}, AllVersions(), (), [1, 3], [1, 2, 3]),  # reason: every version
        ({1: READY, 2: FAILED}, AllVersions(), (), [], [1]),  # reason: what failed is not kept
        ({1: NEW, 2: NEW, 3: NEW}, Specific(frozenset({1, 3})), (), [1, 3], [1, 3]),  # reason: exactly these
        ({1: NEW}, Specific(frozenset({1, 7})), (), [1], [1]),  # reason: 7 is being copied; 1 does not wait for it
        ({1: NEW, 2: NEW}, Latest(1), (1,), [1, 2], [1, 2]),  # reason: a label keeps an older version loaded
        ({1: NEW, 2: FAILED}, Latest(1), (2,), [1], [1]),  # reason: a label makes no broken version work
        ({2: NEW}, Latest(1), (9,), [2], [2]),  # reason: a label may name what is not there
    ],
)
def test_the_next_step(standing, policy, labelled, load, keep):
    plan = plan_versions(standing, policy, labelled)
    assert list(plan.load) == load
    assert sorted(plan.keep) == keep


@pytest.mark.parametrize(
    ("answering", "keep", "on_disk", "retired"),
    [
        ({1, 2}, {2}, {1, 2}, {1}),  # reason: the new one answers, the old one goes
        ({1}, {2}, {1, 2}, set()),  # reason: the new one does not answer yet
        ({1}, set(), {2}, set()),  # reason: 1 was deleted and 2 is broken: 1 stays until something works
        ({1}, set(), set(), {1}),  # reason: everything was taken away
        ({1, 3}, {1, 3}, {1, 3}, set()),  # reason: nothing is too many
        ({4}, {3}, {3}, set()),  # reason: 3 is to answer and does not
        ({3, 4}, {3}, {3}, {4}),  # reason: a version that was taken back leaves once the older one answers
    ],
)
def test_what_may_go(answering, keep, on_disk, retired):
    assert versions_to_retire(answering, keep, on_disk) == retired


POLICIES = st.one_of(
    st.just(AllVersions()),
    st.builds(Latest, st.integers(1, 4)),
    st.builds(Specific, st.frozensets(st.integers(1, 6), min_size=1)),
)
STANDINGS = st.dictionaries(st.integers(1, 6), st.sampled_from(Standing), max_size=6)


@given(STANDINGS, POLICIES, st.sets(st.integers(1, 6)), st.sets(st.integers(1, 6)))
def test_it_comes_to_an_end_and_something_goes_on_answering(standing, policy, labelled, works):
    """Whatever loads or fails, each version is tried once at most, and what answers is never given up for nothing."""
    standing = dict(standing)
    answered = {number for number, stands in standing.items() if stands is READY}
    tried = []
    while load := plan_versions(standing, policy, labelled).load:
        tried += load
        for number in load:
            standing[number] = READY if number in works else FAILED
    assert len(tried) == len(set(tried))
    keep = plan_versions(standing, policy, labelled).keep
    answering = {number for number, stands in standing.items() if stands is READY}
    left = answering - versions_to_retire(answering, keep, standing)
    assert left or not answered


def test_a_missing_specific_version_is_said():
    with pytest.raises(InvalidModel, match=r"names 7, 9, but there is only 1, 2"):
        check_versions({1, 2}, Specific(frozenset({1, 7, 9})))


@pytest.mark.parametrize("policy", [AllVersions(), Latest(3), Specific(frozenset({1, 2}))])
def test_other_policies_leave_nothing_to_miss(policy):
    check_versions({1, 2}, policy)
