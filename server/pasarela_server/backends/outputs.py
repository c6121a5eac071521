"""Whether a network answered what its artefact says that it answers: nobody gets what does not fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pasarela_server.errors import BackendFailure
from pasarela_server.tensor import Array, TensorSpec


class OutputCheck:
    """The check for one model; it costs about a microsecond an output."""

    def __init__(self, model: str, outputs: Sequence[TensorSpec], *, batched: bool) -> None:
        """Prepares the check.

        Args:
            model: The model's name, for messages.
            outputs: What the artefact says, whole shapes; what else is answered is not looked at.
            batched: Whether the first dimension has a row for each of the inputs.
        """
        self._model = model
        self._expected = [(spec, spec.datatype.numpy, len(spec.shape)) for spec in outputs]
        self._batched = batched

    def check(self, outputs: Mapping[str, Array], rows: int) -> None:
        """Looks at an answer.

        Args:
            outputs: The answer.
            rows: Of the batch.

        Raises:
            BackendFailure: An output is missing, or its type, shape or number of rows is another one.
        """
        for spec, kind, rank in self._expected:
            array = outputs.get(spec.name)
            if array is None:
                raise BackendFailure(f"model '{self._model}' did not answer with its output '{spec.name}'")
            shape = array.shape
            if array.dtype != kind or len(shape) != rank or not _fits(shape, spec.shape):
                raise BackendFailure(
                    f"model '{self._model}': output '{spec.name}' should be {spec.datatype.value} of shape "
                    f"{list(spec.shape)}, and is {array.dtype} of shape {list(shape)}"
                )
            if self._batched and shape[0] != rows:
                raise BackendFailure(
                    f"model '{self._model}': output '{spec.name}' has shape {list(shape)} after a batch of {rows} rows"
                )


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    for size, fixed in zip(shape, wanted, strict=True):  # noqa: SIM110 - a generator costs more than the loop
        if fixed not in (-1, size):
            return False
    return True
