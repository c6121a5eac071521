"""What should be loaded, from what lies on disk: the step between the scan and the loading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pasarela_server.config.model import VersionPolicy
from pasarela_server.config.pbtxt import WrittenConfig, parse_model_config
from pasarela_server.config.plan import RUNS_ANOTHER, SUPPRESSION, version_policy, written_backend
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.scan import CONFIG_FILE, ModelOnDisk
from pasarela_server.repository.version_labels import present, read_history
from pasarela_server.repository.versions import check_versions


@dataclass(frozen=True, slots=True)
class DesiredModel:
    """A model whose configuration can be read."""

    name: str
    folder: Path
    source: str
    """What messages call its configuration."""
    written: WrittenConfig
    """As it stands on disk; empty without a config.pbtxt. Nobody changes it."""
    versions: Mapping[int, Path]
    """All on disk, by number, lowest first: the folder of the version, which need not exist for a detection model."""
    policy: VersionPolicy
    """Which of them should be READY."""
    labels: Mapping[str, int]
    """Names of versions; these should be READY too."""

    @property
    def is_detection(self) -> bool:
        """True if it runs another model instead of an artefact of its own."""
        return self.written.backend in RUNS_ANOTHER

    @property
    def is_suppression(self) -> bool:
        """True if what it makes of the other model's answers are tensors again."""
        return self.written.backend == SUPPRESSION

    @property
    def runs_model(self) -> str:
        """The model that it runs; empty if it has an artefact of its own."""
        # Asking a map field for a key that it has not would put it there.
        known = self.is_detection and "model" in self.written.parameters
        return self.written.parameters["model"].string_value if known else ""


def desire(model: ModelOnDisk) -> DesiredModel:
    """Reads a model's configuration, its version policy and its labels.

    Raises:
        InvalidModel: The folder or its configuration cannot be read, or no version is left to load.
    """
    if model.problem is not None:
        raise InvalidModel(model.problem)
    source = f"{model.name}/{CONFIG_FILE}"
    written = parse_model_config(model.config_text or "", source)
    on_disk = model.versions
    if written_backend(written, source) in RUNS_ANOTHER and not on_disk:
        on_disk = {1: model.folder}
    policy = version_policy(written, source)
    labels = present(read_history(model.folder))
    try:
        check_versions(on_disk.keys(), policy)
    except InvalidModel as error:
        raise InvalidModel(f"model {model.name!r}: {error}") from error
    return DesiredModel(model.name, model.folder, source, written, on_disk, policy, labels)


def runs_model(model: ModelOnDisk) -> str:
    """The model that a model on disk runs; empty if it has an artefact of its own, or its configuration is wrong."""
    try:
        return desire(model).runs_model
    except InvalidModel:
        return ""
