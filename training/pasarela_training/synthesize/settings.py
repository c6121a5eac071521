"""What a person can choose about a synthetic dataset, and what each difficulty means."""

from dataclasses import dataclass
from typing import Literal, get_args

Difficulty = Literal["easy", "hard"]
ClassPrior = Literal["balanced", "deepfashion2"]


@dataclass(frozen=True, slots=True)
class SynthesizeSettings:
    """The whole recipe of a synthetic dataset: the same settings give the same bytes.

    Attributes:
        images: How many images the `train` folder gets.
        seed: Every file depends on this and on its own index only.
        width: Typical width of a portrait image, in pixels.
        height: Typical height of a portrait image, in pixels; landscape images swap the two.
        difficulty: `hard` has more clutter, occlusion, blur and noise than `easy`.
        class_prior: `balanced`, or as skewed as DeepFashion2's train split.
        landscape_share: Share of images that are wider than high.
        size_jitter: Image sizes vary by up to this share.
        jpeg_quality: Lowest and highest JPEG quality.
    """

    images: int
    seed: int = 0
    width: int = 384
    height: int = 480
    difficulty: Difficulty = "easy"
    class_prior: ClassPrior = "balanced"
    landscape_share: float = 0.12
    size_jitter: float = 0.08
    jpeg_quality: tuple[int, int] = (82, 95)

    def __post_init__(self) -> None:
        """Refuse values that cannot give a dataset."""
        if not 1 <= self.images <= 999_999:
            raise ValueError(f"images must be from 1 to 999999, got {self.images}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        for name, pixels in (("width", self.width), ("height", self.height)):
            if not 96 <= pixels <= 4096:
                raise ValueError(f"{name} must be from 96 to 4096 pixels, got {pixels}")
        if self.difficulty not in get_args(Difficulty):
            raise ValueError(f"difficulty must be one of {get_args(Difficulty)}, got {self.difficulty!r}")
        if self.class_prior not in get_args(ClassPrior):
            raise ValueError(f"class_prior must be one of {get_args(ClassPrior)}, got {self.class_prior!r}")
        if not 0 <= self.landscape_share <= 1:
            raise ValueError(f"landscape_share must be from 0 to 1, got {self.landscape_share}")
        if not 0 <= self.size_jitter <= 0.5:
            raise ValueError(f"size_jitter must be from 0 to 0.5, got {self.size_jitter}")
        low, high = self.jpeg_quality
        if not 1 <= low <= high <= 100:
            raise ValueError(f"jpeg_quality must be an ascending pair from 1 to 100, got {self.jpeg_quality}")


@dataclass(frozen=True, slots=True)
class Profile:
    """The figures behind a difficulty; shares are probabilities."""

    second_figure: float
    prop: float
    folded_arm: float
    back_view: float
    side_view: float
    any_layering: bool
    furniture: tuple[int, int]
    noise: float
    blur: float
    min_item_area: float


PROFILES: dict[Difficulty, Profile] = {
    "easy": Profile(
        second_figure=0.07,
        prop=0.3,
        folded_arm=0.02,
        back_view=0.05,
        side_view=0.1,
        any_layering=False,
        furniture=(1, 4),
        noise=5.0,
        blur=0.6,
        min_item_area=0.035,
    ),
    "hard": Profile(
        second_figure=0.25,
        prop=0.8,
        folded_arm=0.15,
        back_view=0.1,
        side_view=0.2,
        any_layering=True,
        furniture=(4, 9),
        noise=14.0,
        blur=1.5,
        min_item_area=0.012,
    ),
}
