"""First inferences before a model is READY, so that no client's request is the one that is cold."""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pasarela_server.backends.base import ArtefactSpec, Session
from pasarela_server.backends.limits import check_spatial
from pasarela_server.backends.outputs import OutputCheck
from pasarela_server.config.model import ModelConfig
from pasarela_server.config.warmup import WarmupData, WarmupInput, WarmupSample
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import InvalidModel, InvalidRequest, ServingError
from pasarela_server.repository.side_by_side import run_side_by_side
from pasarela_server.tensor import Array, DataType, TensorSpec

FOLDER = "warmup"
_EACH_UP_TO = 8
"""Batch sizes that are all tried; beyond, powers of two stand for their neighbours."""
_LENGTH = struct.Struct("<I")


def warm_up(
    config: ModelConfig,
    sessions: Sequence[Session],
    detector: YoloDetector | None,
    samples: Sequence[WarmupSample],
    folder: Path,
    *,
    artefact: ArtefactSpec | None = None,
    outputs: OutputCheck | None = None,
) -> str:
    """Runs each session on what will come: each batch size of zeros, or the samples that the configuration asks for.

    Args:
        config: The complete configuration.
        sessions: All of them, used side by side.
        detector: What makes a detector of the model, if it is one.
        samples: Those of `model_warmup`; empty for the default.
        folder: The model's folder.
        artefact: What the artefact says of itself: which sizes it takes, and whether a batch is computed one row after
            the other, so that one row stands for all batches.
        outputs: Looks at each answer; None if nobody does.

    Returns:
        What was done, for people.

    Raises:
        InvalidModel: An inference failed, or a sample's file is not what the model takes.
    """
    row_by_row = artefact is not None and artefact.row_by_row
    if samples:
        requests = [(sample_inputs(sample, folder), sample.repeats) for sample in samples]
        said = f"warmed up with {', '.join(repr(sample.name) for sample in samples)}, as written"
    else:
        size = None if detector is None else detector.image_size
        sizes = (1,) if row_by_row else batch_sizes(config)
        found = [default_inputs(config.inputs, size, rows) for rows in sizes]
        requests = [(inputs, 1) for inputs in found if inputs is not None]
        if not requests:
            return "no warm-up: sizes vary and nothing says which are usual; write model_warmup"
        said = f"warmed up with {', '.join(map(str, sizes))} rows" if len(sizes) > 1 else "warmed up"
        if row_by_row and detector is not None and detector.takes_pixels:
            requests, said = [], "warmed up with pixels"  # one picture, below, is all that it needs
    if artefact is not None:
        _check_sizes(config.name, artefact, [inputs for inputs, _ in requests])
    failures: list[ServingError] = []

    def run(session: Session) -> None:
        try:
            for inputs, repeats in requests:
                for _ in range(repeats):
                    answer = session.infer(inputs)
                    if outputs is not None:
                        outputs.check(answer, _rows(inputs))
            if detector is not None:
                _detect_once(session, detector)
        except ServingError as error:
            failures.append(error)

    run_side_by_side([functools.partial(run, session) for session in sessions], "warm-up")
    if failures:
        with_what = "the samples of model_warmup" if samples else "zeros"
        raise InvalidModel(
            f"model {config.name!r}: a first inference with {with_what} failed: {failures[0]}"
        ) from failures[0]
    return said


def _check_sizes(model: str, artefact: ArtefactSpec, requests: Sequence[Mapping[str, Array]]) -> None:
    for inputs in requests:
        try:
            check_spatial(artefact, inputs)
        except InvalidRequest as error:
            raise InvalidModel(f"model {model!r}: it cannot be warmed up: {error}") from error


def _rows(inputs: Mapping[str, Array]) -> int:
    shape = next(iter(inputs.values())).shape
    return shape[0] if shape else 1


def batch_sizes(config: ModelConfig) -> tuple[int, ...]:
    """Rows to warm up with. Pure.

    Where requests are merged, each size that can come about: up to eight all of them, beyond the powers of two, those
    that are preferred and the largest. Where they are not, single rows, and the largest batch that a client may send.
    """
    most = config.max_batch_size
    if most <= 1:
        return (1,)
    if config.dynamic_batching is None:
        return (1, most)
    sizes = {*range(1, min(most, _EACH_UP_TO) + 1), *config.dynamic_batching.preferred_batch_sizes, most}
    return tuple(sorted(sizes | {2**power for power in range(int(math.log2(most)) + 1)}))


def default_inputs(
    inputs: Sequence[TensorSpec], image_size: tuple[int, int] | None, rows: int
) -> Mapping[str, Array] | None:
    """Zeros for each input of a model. Pure.

    Args:
        inputs: The model's inputs, whole shapes.
        image_size: (height, width) that the model is made for, if it takes images.
        rows: What a first dimension that varies becomes.

    Returns:
        An array for each input; None if another size varies and nothing says what it usually is.
    """
    arrays: dict[str, Array] = {}
    for spec in inputs:
        shape = list(spec.shape)
        if shape and shape[0] == -1:
            shape[0] = rows
        if image_size is not None and len(shape) == 4:
            shape[2:] = [usual if size == -1 else size for size, usual in zip(shape[2:], image_size, strict=True)]
            shape[1] = 3 if shape[1] == -1 else shape[1]
        if -1 in shape:
            return None
        arrays[spec.name] = _zeros(spec.datatype, tuple(shape))
    return arrays


def sample_inputs(sample: WarmupSample, folder: Path) -> Mapping[str, Array]:
    """The arrays of a sample; its files are read from the folder `warmup` of the model.

    Raises:
        InvalidModel: A file is missing or has not the input's size.
    """
    return {given.name: _array(given, folder) for given in sample.inputs}


def _array(given: WarmupInput, folder: Path) -> Array:
    if given.data is WarmupData.FILE:
        return _from_file(given, f"{folder.name}/{FOLDER}/{given.file}", folder / FOLDER / given.file)
    if given.data is WarmupData.ZERO or given.datatype is DataType.BYTES:
        return _zeros(given.datatype, given.shape)
    noise = np.random.default_rng(0)
    kind = given.datatype.numpy
    if given.datatype is DataType.BF16:  # the upper halves of floats from 0 to 1
        return (noise.random(given.shape, np.float32).view(np.uint32) >> 16).astype(kind)
    return (noise.random(given.shape) if kind.kind == "f" else noise.integers(0, 2, given.shape)).astype(kind)


def _zeros(datatype: DataType, shape: tuple[int, ...]) -> Array:
    return np.full(shape, b"" if datatype is DataType.BYTES else 0, datatype.numpy)


def _from_file(given: WarmupInput, called: str, file: Path) -> Array:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise InvalidModel(f"{called} cannot be read: {error.strerror}") from error
    if given.datatype is DataType.BYTES:
        return _elements(raw, given, called)
    expected = math.prod(given.shape) * given.datatype.numpy.itemsize
    if len(raw) != expected:
        raise InvalidModel(
            f"{called} has {len(raw)} bytes; expected {expected}: {given.datatype.value} of shape {list(given.shape)}"
        )
    return np.frombuffer(raw, given.datatype.numpy).reshape(given.shape)


def _elements(raw: bytes, given: WarmupInput, called: str) -> Array:
    """BYTES as Triton stores them: each element behind its length, a little-endian uint32."""
    elements: list[bytes] = []
    start = 0
    while start + _LENGTH.size <= len(raw):
        body = start + _LENGTH.size
        start = body + _LENGTH.unpack_from(raw, start)[0]
        elements.append(raw[body:start])
    if start != len(raw) or len(elements) != math.prod(given.shape):
        raise InvalidModel(
            f"{called} holds no {math.prod(given.shape)} elements, each behind its length (a little-endian uint32)"
        )
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(given.shape)


def _detect_once(session: Session, detector: YoloDetector) -> None:
    """One black picture all the way: libraries load their parts when they are first used."""
    pixels, letterbox = detector.preprocess(np.zeros((48, 64, 3), np.uint8))
    outputs = session.infer({detector.input_name: pixels})
    detector.postprocess(outputs[detector.output_name][0], letterbox, DetectOptions(confidence=0.0))
