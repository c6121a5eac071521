from collections import defaultdict
from typing import Any

import pytest

from pasarela_training.synthesize.pairs import Pairing, pairing
from pasarela_training.synthesize.settings import ClassPrior


def _groups(count: int) -> dict[int, list[Pairing]]:
    groups: dict[int, list[Pairing]] = defaultdict(list)
    for index in range(1, count + 1):
        pair = pairing(3, index, "balanced")
        groups[pair.pair_id].append(pair)
    return groups


def test_a_garment_has_one_shop_picture_and_several_user_pictures() -> None:
    for pictures in _groups(120).values():
        assert all(pair.garment == pictures[0].garment for pair in pictures)
        if pictures[0].style:
            assert [pair.source for pair in pictures] == ["shop"] + ["user"] * (len(pictures) - 1)
            assert len(pictures) >= 2
        else:
            assert len(pictures) == 1


def test_pair_ids_count_up_without_gaps() -> None:
    assert sorted(_groups(120)) == list(range(1, 61))


def test_identity_depends_on_seed_and_index_only() -> None:
    assert pairing(3, 50, "balanced") == pairing(3, 50, "balanced")
    assert any(pairing(3, i, "balanced") != pairing(4, i, "balanced") for i in range(1, 13))


def test_same_pair_and_style_is_the_same_garment_on_disk(annotations: dict[str, dict[str, Any]]) -> None:
    categories: dict[tuple[int, int], set[int]] = defaultdict(set)
    sources: dict[tuple[int, int], list[str]] = defaultdict(list)
    for entry in annotations.values():
        for item in (value for key, value in entry.items() if key.startswith("item")):
            if item["style"]:
                key = (entry["pair_id"], item["style"])
                categories[key].add(item["category_id"])
                sources[key].append(entry["source"])
    assert categories
    assert all(len(found) == 1 for found in categories.values())
    assert all(found.count("shop") == 1 and found.count("user") >= 1 for found in sources.values())


@pytest.mark.parametrize(("prior", "ratio"), [("balanced", 4), ("deepfashion2", 100)])
def test_class_priors(prior: ClassPrior, ratio: int) -> None:
    counts: dict[int, int] = defaultdict(int)
    for index in range(1, 1201):
        counts[pairing(0, index, prior).garment.category.id] += 1
    assert max(counts.values()) / min(counts.values()) < ratio
    if prior == "deepfashion2":
        assert counts[1] > 20 * max(1, counts[3])
    else:
        assert len(counts) == 13
