"""What the files of an OpenVINO model say of it, in plain values that can be kept beside what was compiled."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from pasarela_server.backends.artefacts import import_framework
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.metadata import normalise, pixel_inputs, tensor_names
from pasarela_server.backends.openvino_rows import is_quantised
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

METADATA = "metadata.yaml"
"""What Ultralytics' exporter writes beside the artefact."""
_DATATYPES = {
    "boolean": DataType.BOOL,
    "u8": DataType.UINT8,
    "u16": DataType.UINT16,
    "u32": DataType.UINT32,
    "u64": DataType.UINT64,
    "i8": DataType.INT8,
    "i16": DataType.INT16,
    "i32": DataType.INT32,
    "i64": DataType.INT64,
    "f16": DataType.FP16,
    "f32": DataType.FP32,
    "f64": DataType.FP64,
}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output, in OpenVINO's words."""

    name: str
    """Empty if it has none."""
    kind: str
    shape: tuple[int, ...] | None
    """-1 for a size that varies; None if the number of dimensions does."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a model says of itself."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    model_information: Mapping[str, object] | None
    """What the artefact itself carries; None if it carries nothing."""
    metadata: Mapping[str, object]
    """What its `metadata.yaml` says, as it stands there; empty if there is none."""
    quantised: bool
    dynamic: bool
    """Whether any size in it varies."""

    def spec(self, options: BackendOptions) -> ArtefactSpec:
        """The same in the server's words.

        Raises:
            InvalidModel: A tensor is of a kind that is not served.
        """
        metadata: dict[str, object] = {}
        if self.model_information is not None:
            metadata["model_info"] = dict(self.model_information)
        metadata.update(normalise(self.metadata))
        inputs = _tensor_specs(self.inputs, options.input_names, metadata, "images", "INPUT__{}")
        outputs = _tensor_specs(self.outputs, options.output_names, metadata, "output0", "OUTPUT__{}")
        batched = all(spec.shape[:1] == (-1,) for spec in inputs + outputs)
        return ArtefactSpec(inputs, outputs, batched, metadata, pixel_inputs=pixel_inputs(metadata, inputs))

    def reshaped(self, model: Any) -> Description:
        """The same of a model whose shapes were changed."""
        return replace(self, inputs=_ports(model.inputs), outputs=_ports(model.outputs), dynamic=model.is_dynamic())

    def to_bytes(self) -> bytes | None:
        """The text of a Python literal; None if that would not give the same again, as for dates in the metadata."""
        content = repr(astuple(self)).encode()
        try:
            return content if Description.from_bytes(content) == self else None
        except (ValueError, SyntaxError, TypeError):
            return None

    @staticmethod
    def from_bytes(content: bytes) -> Description:
        """What `to_bytes` wrote.

        Raises:
            ValueError, SyntaxError, TypeError: It is something else.
        """
        inputs, outputs, *rest = ast.literal_eval(content.decode())
        return Description(tuple(Port(*port) for port in inputs), tuple(Port(*port) for port in outputs), *rest)


def describe(model: Any, artefact: Path) -> Description:
    """Reads what a model and the file beside it say.

    Raises:
        InvalidModel: The file beside it is broken.
    """
    carries = model.has_rt_info("model_info")
    return Description(
        inputs=_ports(model.inputs),
        outputs=_ports(model.outputs),
        model_information=dict(model.get_rt_info("model_info").value) if carries else None,
        metadata=_read_metadata(artefact.with_name(METADATA)),
        quantised=is_quantised(model, artefact),
        dynamic=model.is_dynamic(),
    )


def _read_metadata(written: Path) -> dict[str, object]:
    if not written.is_file():
        return {}
    yaml = import_framework("yaml", extra="openvino")
    try:
        content = yaml.safe_load(written.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidModel(f"{written.name} is no YAML") from error
    if not isinstance(content, dict):
        raise InvalidModel(f"{written.name} holds no keys and values")
    return content


def _ports(ports: Sequence[Any]) -> tuple[Port, ...]:
    return tuple(map(_port, ports))


def _port(port: Any) -> Port:
    shape = port.partial_shape
    sizes = None if shape.rank.is_dynamic else tuple(size.get_length() if size.is_static else -1 for size in shape)
    return Port(port.get_any_name() if port.get_names() else "", port.element_type.get_type_name(), sizes)


def _tensor_specs(
    ports: Sequence[Port], given: tuple[str, ...], metadata: Mapping[str, object], ultralytics: str, positional: str
) -> tuple[TensorSpec, ...]:
    own = [port.name for port in ports]
    names = tensor_names(own, given, metadata, ultralytics=ultralytics, positional=positional)
    return tuple(_tensor_spec(name, port) for name, port in zip(names, ports, strict=True))


def _tensor_spec(name: str, port: Port) -> TensorSpec:
    if port.kind not in _DATATYPES:
        raise InvalidModel(f"{name!r} is of type {port.kind}, which is not served")
    if port.shape is None:
        raise InvalidModel(f"{name!r} has any number of dimensions, which is not served")
    return TensorSpec(name, _DATATYPES[port.kind], port.shape)
