import numpy as np
import pytest

from pasarela_training.synthesize.categories import CATEGORIES, Category
from pasarela_training.synthesize.cut import draw_garment
from pasarela_training.synthesize.dressing import outline
from pasarela_training.synthesize.figure import flat_pose, pose
from pasarela_training.synthesize.geometry import Points
from pasarela_training.synthesize.settings import PROFILES


def _landmarks(category: Category, seed: int, flat: bool) -> Points:
    rng = np.random.default_rng(seed)
    skeleton = flat_pose(rng) if flat else pose(rng, PROFILES["easy"])
    return outline(draw_garment(rng, category), skeleton).landmarks


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)
@pytest.mark.parametrize("flat", [True, False])
def test_every_cut_has_all_landmarks_in_reach_of_a_body(category: Category, flat: bool) -> None:
    for seed in range(20):
        landmarks = _landmarks(category, seed, flat)
        assert landmarks.shape == (category.landmarks, 2)
        assert np.isfinite(landmarks).all()
        assert (np.abs(landmarks[:, 0]) < 4).all()
        assert (landmarks[:, 1] > -2.5).all()
        assert (landmarks[:, 1] < 6.5).all()


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)
def test_a_flat_garment_is_symmetric(category: Category) -> None:
    landmarks = _landmarks(category, 3, flat=True)
    mirrored = landmarks * (-1, 1)
    nearest = np.linalg.norm(landmarks[:, None] - mirrored[None], axis=2).min(axis=1)
    assert nearest.max() < 0.02


def test_sleeves_tell_long_from_short() -> None:
    for seed in range(20):
        short, long = (_landmarks(CATEGORIES[number], seed, flat=True) for number in (0, 1))
        assert np.ptp(short[:, 0]) < np.ptp(long[:, 0])


def test_dresses_reach_below_tops() -> None:
    tops = [_landmarks(CATEGORIES[number], seed, True)[:, 1].max() for number in (0, 4, 5) for seed in range(20)]
    dresses = [_landmarks(CATEGORIES[number], seed, True)[:, 1].max() for number in (9, 11, 12) for seed in range(20)]
    assert max(tops) + 0.5 < min(dresses)


def test_trousers_reach_below_shorts() -> None:
    shorts = [_landmarks(CATEGORIES[6], seed, True)[:, 1].max() for seed in range(20)]
    trousers = [_landmarks(CATEGORIES[7], seed, True)[:, 1].max() for seed in range(20)]
    assert max(shorts) + 0.8 < min(trousers)
