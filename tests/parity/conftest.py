"""Where parity is measured: the shipped repository, or the one that PASARELA_TEST_REPOSITORY names."""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

# Read by ultralytics when it is first imported, which the tests here do.
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="ultralytics-"))
os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The model repository whose models are compared."""
    shipped = Path(__file__).parents[2] / "model_repository"
    return Path(os.environ.get("PASARELA_TEST_REPOSITORY", shipped))


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A drawn person in a shirt and trousers before a noisy wall, RGB (480, 384, 3)."""
    random = np.random.default_rng(5)
    wall = random.normal(170, 12, (480, 384, 3)) + np.linspace(-30, 30, 480)[:, None, None]
    picture = np.clip(wall, 0, 255).astype(np.uint8)
    skin, shirt, trousers = (222, 180, 150), (180, 40, 60), (40, 60, 120)
    cv2.circle(picture, (192, 70), 34, skin, -1)
    cv2.fillPoly(picture, [np.array([[140, 110], [244, 110], [300, 200], [272, 218], [236, 170], [238, 280],
                                     [146, 280], [148, 170], [112, 218], [84, 200]])], shirt)  # fmt: skip
    cv2.fillPoly(picture, [np.array([[146, 278], [238, 278], [252, 450], [208, 450], [192, 320], [176, 450],
                                     [132, 450]])], trousers)  # fmt: skip
    cv2.line(picture, (192, 112), (192, 278), (120, 20, 40), 2)
    return cv2.GaussianBlur(picture, (3, 3), 0)
