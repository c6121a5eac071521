"""What detectors find is counted once, by name and by confidence, whatever the order and the threads."""

import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.observability.found import CONFIDENCES, TOGETHER, FoundObjects
from pasarela_server.request import Found

NAMES = (("shirt", "hat"), ("hat", "shoe", "shirt"))
"""Of two models: a version may be replaced by one with other classes."""

OBJECTS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.26, 0.5, 0.999, 1.0])), max_size=5)


def found(names, objects):
    return Found(names, np.int32([class_id for class_id, _ in objects]), np.float32([score for _, score in objects]))


@given(st.lists(st.tuples(st.sampled_from(NAMES), OBJECTS), max_size=30))
def test_every_object_is_counted_once(images):
    tally = FoundObjects()
    for names, objects in images:
        tally.add(found(names, objects))

    expected = Counter(names[class_id] for names, objects in images for class_id, _ in objects)
    assert tally.by_class() == expected
    scores = [np.float32(score) for _, objects in images for _, score in objects]
    counts, total = tally.confidences()
    assert counts.sum() == len(scores)
    assert total == pytest.approx(float(sum(map(float, scores))))
    for bound, at_most in zip(CONFIDENCES, np.cumsum(counts), strict=False):
        assert at_most == sum(score <= np.float32(bound) for score in scores)


def test_little_waits_to_be_counted():
    tally = FoundObjects()
    for _ in range(3 * TOGETHER):
        tally.add(found(NAMES[0], [(0, 0.5)]))
        assert tally.unsorted < TOGETHER


def test_objects_of_many_threads_are_all_counted():
    tally = FoundObjects()

    def work():
        for _ in range(500):
            tally.add(found(NAMES[0], [(1, 0.5)]))
            tally.by_class()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.by_class() == {"hat": 2000}
