"""Models for OpenVINO."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pasarela_server.backends.artefacts import import_framework, inferring, loading, require_file
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.metadata import image_shape
from pasarela_server.backends.openvino_cache import ModelCache
from pasarela_server.backends.openvino_description import METADATA, Description, describe
from pasarela_server.backends.openvino_files import ArtefactFiles, ModelSource, weights_of
from pasarela_server.backends.openvino_requests import FixedRequest, GeneralRequest, RowsRequest, is_fixed
from pasarela_server.backends.openvino_rows import row_shapes
from pasarela_server.backends.openvino_variants import Forms, Variant, Variants, in_form
from pasarela_server.backends.wide import may_go_wide
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import Array

_PRECISIONS = ("f32", "f16", "bf16", "default")
_TELEMETRY = "openvino_telemetry"

_first_use = threading.Lock()
_cores: list[Any] = []
"""The process's Core, once there is one; under `_first_use`."""


class OpenVinoSession:
    """One stream of inferences: an infer request of each variant that it has met."""

    def __init__(
        self, spec: ArtefactSpec, forms: Forms, variants: Variants, wide: Variant | None, wide_threads: int
    ) -> None:
        self._input_names = [tensor.name for tensor in spec.inputs]
        self._output_names = [tensor.name for tensor in spec.outputs]
        self._forms = forms
        self._variants: Variants | None = variants
        self._wide = wide
        self._wide_threads = wide_threads
        self._requests: dict[Variant, FixedRequest | RowsRequest | GeneralRequest] = {}

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`."""
        arrays = [inputs[name] for name in self._input_names]
        with inferring("OpenVINO"):
            outputs = self._request(self._forms.choose(arrays)).infer(arrays)
        return dict(zip(self._output_names, outputs, strict=True))

    @property
    def wide_threads(self) -> int:
        """See `WideSession.wide_threads`."""
        return self._wide_threads if self._wide is not None else 0

    def infer_wide(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `WideSession.infer_wide`."""
        arrays = [inputs[name] for name in self._input_names]
        variant = replace(self._forms.choose(arrays), wide=True)
        if variant != self._wide or self._variants is None or not self._variants.prepared(variant):
            return self.infer(inputs)
        with inferring("OpenVINO"):
            outputs = self._request(variant).infer(arrays)
        return dict(zip(self._output_names, outputs, strict=True))

    def infer_parts(self, parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
        """See `PartsSession.infer_parts`."""
        arrays = [[part[name] for name in self._input_names] for part in parts]
        variant = self._forms.choose(arrays[0])
        if variant.row is None or not self._forms.row_by_row:
            return self.infer({name: np.concatenate([part[name] for part in parts]) for name in self._input_names})
        with inferring("OpenVINO"):
            request = self._request(variant)
            assert isinstance(request, RowsRequest)
            outputs = request.infer_parts(arrays)
        return dict(zip(self._output_names, outputs, strict=True))

    def close(self) -> None:
        """Lets go of the infer requests, which keep the compiled models alive."""
        self._variants = None
        self._requests.clear()

    def _request(self, variant: Variant) -> FixedRequest | RowsRequest | GeneralRequest:
        request = self._requests.get(variant)
        if request is None:
            request = self._requests[variant] = self._open(variant)
        return request

    def _open(self, variant: Variant) -> FixedRequest | RowsRequest | GeneralRequest:
        if self._variants is None:
            raise RuntimeError("the model is closed")
        compiled = self._variants[variant]
        if variant.row is not None and self._forms.row_by_row:
            return RowsRequest(compiled)
        return FixedRequest(compiled) if is_fixed(compiled) else GeneralRequest(compiled)


class OpenVinoBackend:
    """A loaded .xml and .bin pair.

    A detector whose sizes vary is compiled for one image of the size that it was exported for: shapes known in advance
    make the common request about a tenth faster, and batches go through it row by row. That for pixels is compiled at
    once; that for values, and those for other sizes, when the first of them comes: each takes memory as a model does.

    A quantised model whose batch varies is compiled for one row only (see `openvino_rows`).
    """

    def __init__(self, ov: Any, artefact: Path, options: BackendOptions) -> None:
        self._ov = ov
        self._options = options
        self._device = options.parameters.get("device", "CPU").upper()
        settings = _settings(self._device, options)
        self._sessions: list[OpenVinoSession] = []
        with loading(artefact):
            core = _core(ov)
            cache, source = _opened(ov, core, artefact, self._device, settings, options)
            described = _described(cache, source, artefact)
            self._quantised = described.quantised
            self._spec, row = described.spec(options), None
            if self._quantised and described.dynamic:
                self._spec, row = _fix_to_one_row(source.model(), described, options)
            elif (single := _single_shape(self._spec)) is not None:
                row = (single,)
            only_row = self._quantised and row is not None
            known = _planned(row, pixels=bool(self._spec.pixel_inputs), only_row=only_row)
            self._first = known[0]
            self._wide = replace(self._first, wide=True) if may_go_wide(options, on_cpu=self._device == "CPU") else None

            def compiled_by(variant: Variant) -> Any:
                chosen = {**settings, "NUM_STREAMS": 1} if variant.wide else settings
                return cache.compile(
                    repr(variant),
                    lambda: core.compile_model(in_form(source.model(), variant), self._device, chosen),
                    lambda content: core.import_model(content, self._device, chosen),
                )

            variants = Variants(compiled_by, known if self._wide is None else (*known, self._wide))
            by_rows = row is not None and self._spec.batched and self._device == "CPU"
            by_rows = is_fixed(variants[self._first]) and by_rows
            self._forms = Forms(bool(self._spec.pixel_inputs), row, row_by_row=by_rows, only_row=only_row)
            self._spec = replace(self._spec, row_by_row=by_rows)
            self._variants: Variants | None = variants

    @property
    def spec(self) -> ArtefactSpec:
        """See `Backend.spec`."""
        return self._spec

    @property
    def description(self) -> str:
        """See `Backend.description`."""
        return (
            f"OpenVINO {self._ov.__version__.partition('-')[0]}, {self._device}, {self._precision()}, "
            f"{self._options.instances} x {self._options.threads} threads"
        )

    def session(self) -> OpenVinoSession:
        """See `Backend.session`."""
        cores = self._options.instances * self._options.threads
        session = OpenVinoSession(self._spec, self._forms, self._open(), self._wide, cores)
        self._sessions.append(session)
        return session

    def close(self) -> None:
        """See `Backend.close`. Sessions are emptied too: whoever still holds one keeps nothing of the model alive."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        if self._variants is not None:
            self._variants.close()
        self._variants = None

    def _precision(self) -> str:
        precision: str = self._open()[self._first].get_property("INFERENCE_PRECISION_HINT").get_type_name()
        return f"int8 ({precision} elsewhere)" if self._quantised else precision

    def _open(self) -> Variants:
        if self._variants is None:
            raise RuntimeError("the backend is closed")
        return self._variants


class OpenVinoLoader:
    """Loads .xml files, with the .bin and the metadata.yaml that lie beside them."""

    name = "openvino"
    artefact = "model.xml"

    def prepare(self) -> None:
        """See `PreparedLoader.prepare`."""
        _core(_import_openvino())

    def load(self, artefact: Path, options: BackendOptions) -> OpenVinoBackend:
        """See `BackendLoader.load`.

        The parameter `precision` (f32, bf16, f16, default) says in what the network computes: OpenVINO's default is
        bf16 where the CPU has it. `wide`, unless it is false, gives a single client the cores of all instances; the
        form that this takes is compiled when it is first of use. `device` is OpenVINO's name of a device, `CPU` unless
        given.
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


def _core(ov: Any) -> Any:
    """The process's one Core, which any thread may use and which never goes.

    A Core gives the thread that first uses it a stack for signals. Of two that go in the order in which they came, the
    second would put back the first one's, which is no memory any more: the next signal would end the process.
    """
    with _first_use:
        if not _cores:
            core = ov.Core()
            # Weights that are mapped end the process when somebody overwrites the file in place.
            core.set_property({"ENABLE_MMAP": False})
            _cores.append(core)
        return _cores[0]


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


def _opened(
    ov: Any, core: Any, artefact: Path, device: str, settings: Mapping[str, object], options: BackendOptions
) -> tuple[ModelCache, ModelSource]:
    """The model, and the cache of what follows from it; for the CPU only, whose entries are known to be portable."""
    made_by = {
        "openvino": ov.get_version(),
        "device": device,
        "processor": core.get_property(device, "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property(device, "OPTIMIZATION_CAPABILITIES")),
        **settings,
    }
    folder = options.cache_folder / "openvino" if options.cache_folder is not None and device == "CPU" else None
    kept = (artefact, weights_of(artefact), artefact.with_name(METADATA)) if folder is not None else ()
    files = ArtefactFiles(kept)
    return ModelCache(folder, files, made_by), ModelSource(core, artefact, files)


def _described(cache: ModelCache, source: ModelSource, artefact: Path) -> Description:
    """What the model says. A .xml need not be read for that where it is known from an earlier start."""
    if artefact.suffix.lower() != ".xml":
        return describe(source.read(), artefact)
    return cache.get(
        "description", lambda: describe(source.read(), artefact), Description.to_bytes, Description.from_bytes
    )


def _planned(row: tuple[tuple[int, ...], ...] | None, *, pixels: bool, only_row: bool) -> tuple[Variant, ...]:
    """The variants that a model may need, the one to compile at the start first. Pure.

    That is the one for pixels if there is one, since that is what images are sent as.
    """
    kinds = (True, False) if pixels else (False,)
    rows = (row,) if row is None or only_row else (row, None)
    return tuple(Variant(kind, shapes) for shapes in rows for kind in kinds)


def _fix_to_one_row(
    model: Any, described: Description, options: BackendOptions
) -> tuple[ArtefactSpec, tuple[tuple[int, ...], ...]]:
    """A quantised model's spec, with the batch as the only size that varies; and the shapes of one row."""
    spec = described.spec(options)
    single = _single_shape(spec)
    if single is not None and spec.batched:
        model.reshape([-1, *single[1:]])
        spec = described.reshaped(model).spec(options)
    row = tuple(row_shapes(spec))
    if in_form(model, Variant(row=row)).is_dynamic():
        raise InvalidModel("the model is quantised and the size of its output is unknown; reshape it to fixed sizes")
    return spec, row


def _single_shape(spec: ArtefactSpec) -> tuple[int, ...] | None:
    image = image_shape(spec.metadata)
    if image is None or len(spec.inputs) != 1 or -1 not in spec.inputs[0].shape or len(spec.inputs[0].shape) != 4:
        return None
    single = (1, *image)
    fits = all(size in (-1, wanted) for size, wanted in zip(spec.inputs[0].shape, single, strict=True))
    return single if fits else None
