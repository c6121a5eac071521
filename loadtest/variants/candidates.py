"""The variants that a model repository holds."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from loadtest.variants.results import VariantResult
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.desired import DesiredModel, desire
from pasarela_server.repository.scan import scan


class NoVariants(Exception):
    """There is nothing to compare; the message says where it was looked for."""


def candidates(repository: Path, names: Collection[str] = ()) -> list[VariantResult]:
    """All models with an artefact of their own, by name; those whose configuration is broken with the reason.

    Args:
        repository: A model repository.
        names: Only these; empty takes all.

    Raises:
        NoVariants: There are none, or one of the names is none of them.
    """
    try:
        models = scan(repository)
    except InvalidModel as error:
        raise NoVariants(str(error)) from error
    desired: list[DesiredModel] = []
    broken: dict[str, str] = {}
    for model in models:
        try:
            desired.append(desire(model))
        except InvalidModel as error:
            broken[model.name] = str(error)
    over: dict[str, list[str]] = {}
    for one in desired:
        if one.is_detection and not one.is_suppression:
            over.setdefault(one.runs_model, []).append(one.name)
    found = [
        VariantResult(one.name, one.written.backend or _backend_of(one), tuple(over.get(one.name, ())))
        for one in desired
        if not one.is_detection
    ]
    found += [VariantResult(name, "", problem=reason) for name, reason in broken.items()]
    unknown = sorted(set(names) - {one.name for one in found})
    if unknown:
        raise NoVariants(f"{repository} has no model {', '.join(unknown)} with an artefact of its own; {_has(found)}")
    chosen = sorted((one for one in found if not names or one.name in names), key=lambda one: one.name)
    if not chosen:
        raise NoVariants(f"{repository} holds no model with an artefact of its own")
    return chosen


def _backend_of(model: DesiredModel) -> str:
    kinds = {".xml": "openvino", ".onnx": "onnxruntime", ".pt": "pytorch"}
    for folder in reversed(list(model.versions.values())):
        for path in sorted(folder.glob("model.*")):
            if path.suffix in kinds:
                return kinds[path.suffix]
    return ""


def _has(found: Collection[VariantResult]) -> str:
    return "it has " + ", ".join(sorted(one.name for one in found)) if found else "it has none"
