"""What should be loaded, from what lies on disk: the step between the scan and the loading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pasarela_server.config.pbtxt import WrittenConfig, parse_model_config
from pasarela_server.config.plan import DETECTION, version_policy, written_backend
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.scan import CONFIG_FILE, ModelOnDisk
from pasarela_server.repository.versions import choose_versions


@dataclass(frozen=True, slots=True)
class DesiredModel:
    """A model whose configuration can be read, and the versions of it that should be READY."""

    name: str
    folder: Path
    source: str
    """What messages call its configuration."""
    written: WrittenConfig
    """As it stands on disk; empty without a config.pbtxt. Nobody changes it."""
    versions: Mapping[int, Path]
    """By number, lowest first: the folder of the version, which need not exist for a detection model."""

    @property
    def is_detection(self) -> bool:
        """True if it runs another model instead of an artefact of its own."""
        return self.written.backend == DETECTION


def desire(model: ModelOnDisk) -> DesiredModel:
    """Reads a model's configuration and chooses its versions.

    Raises:
        InvalidModel: The folder or its configuration cannot be read, or no version is left to load.
    """
    if model.problem is not None:
        raise InvalidModel(model.problem)
    source = f"{model.name}/{CONFIG_FILE}"
    written = parse_model_config(model.config_text or "", source)
    on_disk = model.versions
    if written_backend(written, source) == DETECTION and not on_disk:
        on_disk = {1: model.folder}
    try:
        chosen = choose_versions(on_disk.keys(), version_policy(written, source))
    except InvalidModel as error:
        raise InvalidModel(f"model {model.name!r}: {error}") from error
    return DesiredModel(model.name, model.folder, source, written, {number: on_disk[number] for number in chosen})
