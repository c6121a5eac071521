"""Models for OpenVINO."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pasarela_server.backends.artefacts import import_framework, inferring, loading, require_file
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.metadata import image_shape, normalise, tensor_names
from pasarela_server.backends.openvino_rows import RowByRowSession, is_quantised, row_shapes
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import Array, DataType, TensorSpec

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
_PRECISIONS = ("f32", "f16", "bf16", "default")
_TELEMETRY = "openvino_telemetry"

_first_use = threading.Lock()


class OpenVinoSession:
    """One stream of inferences: infer requests of its own."""

    def __init__(self, spec: ArtefactSpec, general: Any, single: Any, single_shape: tuple[int, ...] | None) -> None:
        self._input_names = [tensor.name for tensor in spec.inputs]
        self._output_names = [tensor.name for tensor in spec.outputs]
        self._general: Any = general.create_infer_request()
        self._single: Any = None if single is None else single.create_infer_request()
        self._single_shape = single_shape

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`."""
        arrays = [inputs[name] for name in self._input_names]
        fits_single = self._single is not None and arrays[0].shape == self._single_shape
        request = self._single if fits_single else self._general
        with inferring("OpenVINO"):
            # Inputs are read where they lie. Outputs are copied: the next inference writes into the request's memory.
            results = request.infer(arrays, share_inputs=True, share_outputs=False)
            return {name: results[position] for position, name in enumerate(self._output_names)}

    def close(self) -> None:
        """Lets go of the infer requests, which keep the compiled model alive."""
        self._general = self._single = None


class OpenVinoBackend:
    """A loaded .xml and .bin pair.

    A detector whose sizes vary is compiled a second time for one image of the size it was exported for: shapes known
    in advance make the common request about a tenth faster. Everything else goes through the model as it is.

    A quantised model whose batch varies is compiled for one row only (see `openvino_rows`).
    """

    def __init__(self, ov: Any, artefact: Path, options: BackendOptions) -> None:
        self._ov = ov
        self._options = options
        self._device = options.parameters.get("device", "CPU").upper()
        settings = _settings(self._device, options)
        self._sessions: list[OpenVinoSession | RowByRowSession] = []
        with loading(artefact):
            core = ov.Core()
            # Weights that are mapped end the process when somebody overwrites the file in place.
            core.set_property({"ENABLE_MMAP": False})
            model = core.read_model(artefact)
            self._spec = _read_spec(model, artefact, options)
            self._quantised = is_quantised(model)
            self._row_by_row = self._quantised and model.is_dynamic()
            self._single_shape = _single_shape(self._spec)
            self._single: Any = None
            if self._row_by_row:
                self._spec = _fix_to_one_row(model, self._spec, self._single_shape, artefact, options)
                self._general: Any = core.compile_model(model, self._device, settings)
                return
            self._general = core.compile_model(model, self._device, settings)
            if self._single_shape is not None:
                model.reshape(list(self._single_shape))
                self._single = core.compile_model(model, self._device, settings)

    @property
    def spec(self) -> ArtefactSpec:
        """See `Backend.spec`."""
        return self._spec

    @property
    def description(self) -> str:
        """See `Backend.description`."""
        precision = self._general.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if self._quantised:
            precision = f"int8 ({precision} elsewhere)"
        return (
            f"OpenVINO {self._ov.__version__.partition('-')[0]}, {self._device}, {precision}, "
            f"{self._options.instances} x {self._options.threads} threads"
        )

    def session(self) -> OpenVinoSession | RowByRowSession:
        """See `Backend.session`."""
        session: OpenVinoSession | RowByRowSession
        if self._row_by_row:
            session = RowByRowSession(self._spec, self._general)
        else:
            session = OpenVinoSession(self._spec, self._general, self._single, self._single_shape)
        self._sessions.append(session)
        return session

    def close(self) -> None:
        """See `Backend.close`. Sessions are emptied too: whoever still holds one keeps nothing of the model alive."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        self._general = self._single = None


class OpenVinoLoader:
    """Loads .xml files, with the .bin and the metadata.yaml that lie beside them."""

    name = "openvino"
    artefact = "model.xml"

    def load(self, artefact: Path, options: BackendOptions) -> OpenVinoBackend:
        """See `BackendLoader.load`.

        The parameter `precision` (f32, bf16, f16, default) says in what the network computes: OpenVINO's default is
        bf16 where the CPU has it. `device` is OpenVINO's name of a device, `CPU` unless given.
        """
        ov = _import_openvino()
        require_file(artefact)
        return OpenVinoBackend(ov, artefact, options)


def _import_openvino() -> Any:
    """OpenVINO, ready to be used on several threads. Threads that load models call this at the same time."""
    with _first_use:
        ov = _import_without_telemetry()
        # The first call fills a table, under a lock of C++ and without Python's: two first calls on two threads would
        # each keep the lock that the other waits for, and the process would stand still.
        ov.Type.f32.to_dtype()
        return ov


def _import_without_telemetry() -> Any:
    # OpenVINO reports its own import over the network unless the package that does so is absent.
    if _TELEMETRY in sys.modules or "openvino" in sys.modules:
        return import_framework("openvino", extra="openvino")
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # "not importable", as the import system defines it
    try:
        return import_framework("openvino", extra="openvino")
    finally:
        del sys.modules[_TELEMETRY]


def _settings(device: str, options: BackendOptions) -> dict[str, object]:
    precision = options.parameters.get("precision", "default")
    if precision not in _PRECISIONS:
        raise InvalidModel(f"parameter 'precision' is {precision!r}; expected one of {', '.join(_PRECISIONS)}")
    settings: dict[str, object] = {"PERFORMANCE_HINT": "THROUGHPUT"}
    if precision != "default":
        settings["INFERENCE_PRECISION_HINT"] = precision
    if device == "CPU":
        settings["NUM_STREAMS"] = options.instances
        settings["INFERENCE_NUM_THREADS"] = options.instances * options.threads
        # Pinned streams of two processes would share one core and leave the next idle.
        settings["ENABLE_CPU_PINNING"] = False
    return settings


def _read_spec(model: Any, artefact: Path, options: BackendOptions) -> ArtefactSpec:
    metadata = _read_metadata(model, artefact)
    inputs = _tensor_specs(model.inputs, options.input_names, metadata, "images", "INPUT__{}")
    outputs = _tensor_specs(model.outputs, options.output_names, metadata, "output0", "OUTPUT__{}")
    batched = all(spec.shape[:1] == (-1,) for spec in inputs + outputs)
    return ArtefactSpec(inputs, outputs, batched, metadata)


def _fix_to_one_row(
    model: Any, spec: ArtefactSpec, single: tuple[int, ...] | None, artefact: Path, options: BackendOptions
) -> ArtefactSpec:
    """Reshapes a quantised model to one row; the spec returned keeps the batch and has every other size fixed."""
    if single is not None and spec.batched:
        model.reshape([-1, *single[1:]])
        spec = _read_spec(model, artefact, options)
    shapes = row_shapes(spec)
    model.reshape({port: list(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
    if model.is_dynamic():
        raise InvalidModel("the model is quantised and the size of its output is unknown; reshape it to fixed sizes")
    return spec


def _read_metadata(model: Any, artefact: Path) -> dict[str, object]:
    metadata: dict[str, object] = {}
    if model.has_rt_info("model_info"):
        metadata["model_info"] = dict(model.get_rt_info("model_info").value)
    written = artefact.with_name("metadata.yaml")
    if written.is_file():
        yaml = import_framework("yaml", extra="openvino")
        try:
            content = yaml.safe_load(written.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InvalidModel(f"{written.name} is no YAML") from error
        if not isinstance(content, dict):
            raise InvalidModel(f"{written.name} holds no keys and values")
        metadata.update(normalise(content))
    return metadata


def _tensor_specs(
    ports: list[Any], given: tuple[str, ...], metadata: Mapping[str, object], ultralytics: str, positional: str
) -> tuple[TensorSpec, ...]:
    own = [port.get_any_name() if port.get_names() else "" for port in ports]
    names = tensor_names(own, given, metadata, ultralytics=ultralytics, positional=positional)
    return tuple(_tensor_spec(name, port) for name, port in zip(names, ports, strict=True))


def _tensor_spec(name: str, port: Any) -> TensorSpec:
    kind = port.element_type.get_type_name()
    if kind not in _DATATYPES:
        raise InvalidModel(f"{name!r} is of type {kind}, which is not served")
    if port.partial_shape.rank.is_dynamic:
        raise InvalidModel(f"{name!r} has any number of dimensions, which is not served")
    shape = tuple(size.get_length() if size.is_static else -1 for size in port.partial_shape)
    return TensorSpec(name, _DATATYPES[kind], shape)


def _single_shape(spec: ArtefactSpec) -> tuple[int, ...] | None:
    image = image_shape(spec.metadata)
    if image is None or len(spec.inputs) != 1 or -1 not in spec.inputs[0].shape or len(spec.inputs[0].shape) != 4:
        return None
    single = (1, *image)
    fits = all(size in (-1, wanted) for size, wanted in zip(spec.inputs[0].shape, single, strict=True))
    return single if fits else None
