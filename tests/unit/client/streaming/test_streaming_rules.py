from __future__ import annotations

import math
from typing import Any

import pytest

from pasarela_client import InvalidRequest
from pasarela_client.streaming.rules import StreamRules


class Source:
    def __init__(self, *, live: bool) -> None:
        self.live = live


def rules(frames: object, **said: Any) -> StreamRules:
    defaults = {"window": 8, "policy": None, "buffer": 1, "deadline_s": None, "timeout_s": 30.0, "reconnect_s": 30.0}
    return StreamRules.of(frames, **(defaults | said))


POLICIES = [
    # reason: a live source does not wait
    (Source(live=True), None, "drop-oldest"),
    # reason: what can wait loses nothing
    (Source(live=False), None, "block"),
    ([b"jpeg"], None, "block"),
    # reason: the user knows better
    (Source(live=True), "block", "block"),
    ([b"jpeg"], "drop-oldest", "drop-oldest"),
]


@pytest.mark.parametrize(("frames", "said", "policy"), POLICIES)
def test_the_policy_goes_with_the_source(frames: object, said: Any, policy: str) -> None:
    assert rules(frames, policy=said).policy == policy
    assert rules(frames, policy=said).drops == (policy == "drop-oldest")


@pytest.mark.parametrize("frames", ["a.jpg", b"jpeg", bytearray(b"jpeg")])
def test_one_image_is_no_source(frames: object) -> None:
    with pytest.raises(InvalidRequest, match="put it into a list"):
        rules(frames)


def test_a_limit_without_an_end_is_none() -> None:
    found = rules([b"jpeg"], deadline_s=math.inf, timeout_s=1e12)
    assert (found.deadline_s, found.timeout_s) == (None, None)
