"""Fakes for frameworks, and repositories on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.repository.manager import ManagerOptions, ModelManager
from pasarela_server.tensor import Array, DataType, TensorSpec

NAMES = {0: "skirt", 1: "vest"}
METADATA = {"task": "detect", "names": NAMES, "stride": 32, "imgsz": [32, 64], "batch": 1, "channels": 3}
DETECTOR = ArtefactSpec(
    inputs=(TensorSpec("images", DataType.FP32, (-1, 3, -1, -1)),),
    outputs=(TensorSpec("output0", DataType.FP32, (-1, 6, -1)),),
    batched=True,
    metadata=METADATA,
)
PLAIN = ArtefactSpec(
    inputs=(TensorSpec("x", DataType.FP32, (-1, 2)),), outputs=(TensorSpec("y", DataType.FP32, (-1, 2)),), batched=True
)


def double(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """The network of PLAIN."""
    return {"y": inputs["x"] * 2}


def one_vest(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """The network of DETECTOR: one vest, 16x8 pixels around (32, 16) of the network's 64x32, and nothing else."""
    anchors = np.zeros((6, 3), np.float32)
    anchors[:, 1] = [32, 16, 16, 8, 0.1, 0.75]
    return {"output0": np.repeat(anchors[None], len(inputs["images"]), axis=0)}


@dataclass
class FakeBackend:
    """A backend whose network is a function. Remembers what happened to it."""

    spec: ArtefactSpec
    network: Callable[[Mapping[str, Array]], Mapping[str, Array]]
    options: BackendOptions
    shapes: list[dict[str, tuple[int, ...]]] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    description: str = "fake 1.0"

    def session(self) -> FakeBackend:
        return self

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        assert not self.closed.is_set(), "inference after close"
        self.shapes.append({name: array.shape for name, array in inputs.items()})
        return self.network(inputs)

    def close(self) -> None:
        self.closed.set()


@dataclass
class FakeLoader:
    """Loads by the text in the artefact: "plain", "detector", or one that a test has added."""

    name: str = "fake"
    artefact: str = "model.fake"
    networks: dict[str, tuple[ArtefactSpec, Callable[[Mapping[str, Array]], Mapping[str, Array]]]] = field(
        default_factory=lambda: {"plain": (PLAIN, double), "detector": (DETECTOR, one_vest)}
    )
    errors: dict[str, Exception] = field(default_factory=dict)
    backends: list[FakeBackend] = field(default_factory=list)
    on_load: Callable[[], None] = field(default=lambda: None)

    def load(self, artefact: Path, options: BackendOptions) -> FakeBackend:
        kind = artefact.read_text()
        self.on_load()
        if kind in self.errors:
            raise self.errors[kind]
        backend = FakeBackend(*self.networks[kind], options)
        self.backends.append(backend)
        return backend


@dataclass
class Repository:
    """A repository on disk, the loader of its artefacts, and managers that are closed when the test ends."""

    root: Path
    pool: ThreadPoolExecutor
    loader: FakeLoader = field(default_factory=FakeLoader)
    changes: list[str] = field(default_factory=list)
    managers: list[ModelManager] = field(default_factory=list)

    def add(self, model: str, kind: str | None = None, *, version: int = 1, config: str | None = None) -> Repository:
        """Adds a version with an artefact of that kind, or a configuration, or both."""
        (self.root / model).mkdir(exist_ok=True)
        if config is not None:
            (self.root / model / "config.pbtxt").write_text(config)
        if kind is not None:
            (self.root / model / str(version)).mkdir()
            (self.root / model / str(version) / "model.fake").write_text(kind)
        return self

    def manager(self, *, load: bool = True, options: ManagerOptions | None = None) -> ModelManager:
        """A manager of the repository, loaded unless that is not wanted."""
        manager = ModelManager(
            self.root, {"fake": self.loader}, self.pool, 2, self.changes.append, options or ManagerOptions()
        )
        self.managers.append(manager)
        if load:
            manager.load_all()
        return manager


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """An empty repository."""
    root = tmp_path / "models"
    root.mkdir()
    with ThreadPoolExecutor(2) as pool:
        repository = Repository(root, pool)
        yield repository
        for manager in repository.managers:
            manager.close()


@pytest.fixture
def detector_spec() -> ArtefactSpec:
    """An artefact that claims to be a detector of two classes at 64x32."""
    return DETECTOR


@pytest.fixture
def plain_spec() -> ArtefactSpec:
    """An artefact without metadata: two numbers in, two out."""
    return PLAIN
