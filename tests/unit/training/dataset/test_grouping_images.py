import pytest

from pasarela_training.dataset.groups import GroupBy, Kinship, group_images

IMAGES = [
    Kinship("a", 1, (1,)),
    Kinship("b", 1, (1, 2)),
    Kinship("c", 1, (2,)),
    Kinship("d", 1, (3,)),
    Kinship("e", 2, (1,)),
    Kinship("f", 0, (1,)),
    Kinship("g", 0, (), "folder"),
    Kinship("h", 0, (), "folder"),
    Kinship("i"),
]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("image", ["a", "b", "c", "d", "e", "f", "g", "h", "i"]),  # reason: each for itself
        ("pair", ["abcd", "e", "f", "gh", "i"]),  # reason: one pair_id, or else one folder
        ("garment", ["abc", "d", "e", "f", "gh", "i"]),  # reason: c meets a through b; style counts within a pair only
    ],
)
def test_what_belongs_together(by: GroupBy, expected: list[str]) -> None:
    together: dict[object, str] = {}
    for image, group in zip(IMAGES, group_images(IMAGES, by), strict=True):
        together[group] = together.get(group, "") + image.key
    assert list(together.values()) == expected
