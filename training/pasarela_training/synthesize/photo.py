"""What a camera does to a picture: colour cast, exposure, blur, noise."""

import cv2
import numpy as np

from .layers import Image
from .settings import Profile


def expose(rng: np.random.Generator, image: Image, profile: Profile, source: str) -> Image:
    """Turn a drawing into something like a photograph."""
    user = source == "user"
    gain = rng.uniform(0.8, 1.12) if user else rng.uniform(0.95, 1.03)
    cast = rng.normal(1.0, 0.05 if user else 0.012, 3)
    values = image.astype(np.float32) * (gain * cast).astype(np.float32)
    sigma = rng.uniform(0.0, profile.blur if user else 0.3)
    if sigma > 0.35:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)
    noise = rng.uniform(0.5, profile.noise if user else 2.0)
    values += rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None] * np.float32(noise)
    return np.clip(values, 0, 255).astype(np.uint8)
