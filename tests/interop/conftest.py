"""Runs clients that nobody here wrote, each in a process of its own: two protos of one package cannot share one.

Tests name what they show with `@pytest.mark.compatible(client, feature)`; see `tests.interop.matrix`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pasarela_training.config.dataset import ConvertSection, SampleSection
from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.sample import make_sample
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.dataset.yolo import DATA, make_yolo
from pasarela_training.synthesize import SynthesizeSettings, synthesize
from tests.interop import compatibility

CLIENTS = Path(__file__).parent / "clients"


def pytest_addoption(parser):
    compatibility.add_options(parser)


def pytest_configure(config):
    config.addinivalue_line("markers", "compatible(client, feature, outcome): a cell of docs/compatibility.md")
    config.pluginmanager.register(compatibility.Recorder(config), "compatibility")


@pytest.fixture(scope="session")
def run_client(tmp_path_factory):
    """`run_client("name", *arguments)` runs a script of `clients/` and returns the JSON of its last line."""
    home = tmp_path_factory.mktemp("home")
    offline = {"YOLO_CONFIG_DIR": str(home), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}

    def run(name, *arguments, python=sys.executable, limit_s=110):
        command = [python, str(CLIENTS / f"{name}.py"), *map(str, arguments)]
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | offline, cwd=home, timeout=limit_s
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="session")
def light_repository(repository, tmp_path_factory):
    """A copy of the models that load quickly, for tests that start servers of their own or change what is there."""
    copy = tmp_path_factory.mktemp("light") / "models"
    for name in ("garments", "garments_onnx", "garments_openvino"):
        shutil.copytree(repository / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def image(sample_names, sample_image, tmp_path_factory):
    """The sample with garments on it; noise where the models under test are not the shipped ones."""
    if sample_names is not None:
        return sample_image
    noise = tmp_path_factory.mktemp("image") / "noise.jpg"
    cv2.imwrite(str(noise), np.random.default_rng(7).integers(0, 256, (96, 128, 3), np.uint8))
    return noise


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory):
    """The description of a drawn dataset in the layout of YOLO; 20 of its 24 images are its test split."""
    folder = tmp_path_factory.mktemp("drawn")
    for stage in ("sample", "coco", "yolo"):
        (folder / stage).mkdir()
    synthesize(folder / "drawn", SynthesizeSettings(images=24, seed=11), processes=1)
    source = open_source(folder / "drawn")
    make_sample(source, SampleSection(ratios=(1, 1, 10)), processes=1, max_broken=0, output=folder / "sample")
    make_coco(source, folder / "sample", processes=1, max_broken=0, output=folder / "coco")
    make_yolo(source.image_root, folder / "coco", {}, ConvertSection(), processes=1, output=folder / "yolo")
    return folder / "yolo" / DATA
