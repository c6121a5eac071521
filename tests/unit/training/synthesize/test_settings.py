from typing import Any

import pytest

from pasarela_training.synthesize import SynthesizeSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 0}, "images must be from 1"),
        ({"images": 1_000_000}, "images must be"),
        ({"seed": -1}, "seed must not be negative"),
        ({"width": 20}, "width must be from 96"),
        ({"height": 10_000}, "height must be from 96"),
        ({"difficulty": "medium"}, "difficulty must be one of"),
        ({"class_prior": "flat"}, "class_prior must be one of"),
        ({"landscape_share": 1.5}, "landscape_share must be"),
        ({"size_jitter": 0.9}, "size_jitter must be"),
        ({"jpeg_quality": (90, 80)}, "jpeg_quality must be an ascending pair"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SynthesizeSettings(**{"images": 10, **changes})


def test_defaults() -> None:
    settings = SynthesizeSettings(images=5)
    assert (settings.difficulty, settings.class_prior) == ("easy", "balanced")
    assert settings.height > settings.width
