"""Batches on a GPU: gathered where the GPU copies from, padded to a recorded size, answered in the caller's own memory.

Nothing here knows CUDA: a lane does, and any other lane will do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pasarela_server.backends.artefacts import inferring
from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.backends.pytorch_network import Network, lend
from pasarela_server.backends.reasons import reason
from pasarela_server.backends.usual_shapes import Form
from pasarela_server.errors import BackendFailure
from pasarela_server.tensor import Array


class Lane(Protocol):
    """One stream of work on a device; `CudaLane` is one, and says what each of these does."""

    def working(self) -> AbstractContextManager[None]:
        """The calling thread's calls go to this lane."""
        ...

    def host(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Memory of the host that the device copies from and to."""
        ...

    def resident(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Zeros in the device's memory."""
        ...

    def record(self, run: Callable[[], list[Any]]) -> tuple[Callable[[], None], list[Any]]:
        """Records work; gives what starts it again, and the outputs that it writes."""
        ...

    def wait(self) -> None:
        """Blocks until the lane's work is done."""
        ...


Prepare = Callable[[Sequence[Any]], Callable[[], list[Any]]]
"""Takes tensors that stay where they are; gives what runs a network on whatever they hold when it is called."""


@dataclass(frozen=True, slots=True)
class _Play:
    """All that is needed to run a batch of one number of rows.

    Every view is made beforehand: each call of PyTorch lets go of the interpreter, and on a busy server each return to
    it is a wait.
    """

    start: Callable[[], None]
    host: list[Any]
    resident: list[Any]
    """Where the rows of each input are put, and where the device reads them."""
    outputs: list[Any]
    """The rows of each output; the next run overwrites them."""


class BatchSession:
    """A session on a lane: batches of recorded forms are padded to a recorded size, others run step by step."""

    def __init__(self, network: Network, lane: Lane, spec: ArtefactSpec, prepare: Prepare | None = None) -> None:
        """Builds the session; `record` makes it fast.

        Args:
            network: Runs batches that are not recorded.
            lane: The session's own.
            spec: Of the network.
            prepare: Makes what is recorded; None records the network.
        """
        self._network: Network | None = network
        self._lane: Lane | None = lane
        self._prepare: Prepare | None = prepare or (lambda inputs: functools.partial(network, inputs))
        self._batched = spec.batched
        self._input_names = [tensor.name for tensor in spec.inputs]
        self._output_names = [tensor.name for tensor in spec.outputs]
        self._plays: dict[Form, dict[int, _Play]] = {}
        self._sizes: set[int] = set()

    def record(self, forms: Sequence[Form], sizes: Sequence[int]) -> list[str]:
        """Records every form in every size. What cannot be recorded will run step by step.

        Args:
            forms: Those that will come.
            sizes: Rows, at least one size if there is a form; of a network without batches, any one.

        Returns:
            Why something could not be recorded, for people.
        """
        failures: list[str] = []
        for form in forms if sizes else ():
            failures += self._record_form(form, sorted(sizes, reverse=True))
        return failures

    def _record_form(self, form: Form, sizes: Sequence[int]) -> list[str]:
        """Records the sizes, the largest first: the smaller ones then find their memory in the pool."""
        (_, lane), prepare = self._open(), self._prepare
        assert prepare is not None, "the session is open"
        failures: list[str] = []
        plays: dict[int, _Play] = {}
        try:
            with lane.working():
                host = [lane.host(self._whole(shape, sizes[0]), self._type(kind)) for kind, shape in form]
                resident = [lane.resident(tuple(tensor.shape), tensor.dtype) for tensor in host]
        except RuntimeError as error:
            return [f"batches of {sizes[0]} rows: {reason(error)}"]
        for size in sizes:
            inputs = [self._rows(tensor, size) for tensor in resident]
            try:
                with lane.working():
                    start, outputs = lane.record(prepare(inputs))
            except Exception as error:  # noqa: BLE001 - whatever the reason, the batch can still run step by step
                failures.append(f"batches of {size} rows: {reason(error)}")
                if _is_out_of_memory(error):
                    continue
                break
            self._sizes.add(size)
            for rows in range(1, size + 1):
                views = [[self._rows(tensor, rows) for tensor in tensors] for tensors in (host, resident, outputs)]
                plays[rows] = _Play(start, *views)
        self._plays[form] = plays
        return failures

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes that are recorded for some form, ascending."""
        return tuple(sorted(self._sizes))

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`."""
        return self.infer_parts([inputs])

    def infer_parts(self, parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
        """See `PartsSession.infer_parts`."""
        network, lane = self._open()
        columns = [[part[name] for part in parts] for name in self._input_names]
        rows = sum(len(array) for array in columns[0]) if self._batched else 1
        play = self._plays.get(self._form(columns), {}).get(rows)
        with inferring("PyTorch"), _enough_memory(rows), lane.working():
            if play is None:
                outputs = network([self._upload(lane, column, rows) for column in columns])
            else:
                for column, host, resident in zip(columns, play.host, play.resident, strict=True):
                    self._put(column, host, resident)
                play.start()
                outputs = play.outputs
            answers = self._download(lane, outputs)
        return dict(zip(self._output_names, answers, strict=True))

    def close(self) -> None:
        """Lets go of the network, and of all memory on the device."""
        self._plays.clear()
        self._sizes.clear()
        self._network = self._lane = self._prepare = None

    def _open(self) -> tuple[Network, Lane]:
        if self._network is None or self._lane is None:
            raise RuntimeError("the session is closed")
        return self._network, self._lane

    def _form(self, columns: Sequence[Sequence[Array]]) -> Form:
        firsts = (column[0] for column in columns)
        return tuple((array.dtype.str, array.shape[1:] if self._batched else array.shape) for array in firsts)

    def _whole(self, shape: tuple[int, ...], rows: int) -> tuple[int, ...]:
        return (rows, *shape) if self._batched else shape

    def _type(self, kind: str) -> Any:
        network, _ = self._open()
        return network.torch.from_numpy(np.empty(0, kind)).dtype

    def _rows(self, tensor: Any, rows: int) -> Any:
        return tensor[:rows] if self._batched else tensor

    def _put(self, column: Sequence[Array], host: Any, resident: Any) -> None:
        """Brings the parts of one input to the device, one behind the other.

        A single part goes there from where it lies. Several are put together on the host first, in one call.
        """
        network, _ = self._open()
        lent = [lend(network.torch, array) for array in column]
        if len(lent) > 1:
            network.torch.cat(lent, out=host)
            lent = [host]
        resident.copy_(lent[0], non_blocking=True)

    def _upload(self, lane: Lane, column: Sequence[Array], rows: int) -> Any:
        array = column[0]
        shape = self._whole(array.shape[1:], rows) if self._batched else array.shape
        host, resident = (take(shape, self._type(array.dtype.str)) for take in (lane.host, lane.resident))
        self._put(column, host, resident)
        return resident

    def _download(self, lane: Lane, outputs: Sequence[Any]) -> list[Array]:
        hosts = []
        for output in outputs:
            host = lane.host(tuple(output.shape), output.dtype)
            host.copy_(output, non_blocking=True)
            hosts.append(host)
        lane.wait()
        return [host.numpy() for host in hosts]


@contextmanager
def _enough_memory(rows: int) -> Iterator[None]:
    """Says what to do when a batch does not fit into the GPU's memory. The next batch finds it as it was."""
    try:
        yield
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        raise BackendFailure(
            f"the GPU has not enough memory for a batch of {rows} rows: lower the model's max_batch_size or "
            "instance_group.count, or unload other models"
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    """TorchScript tells it as an error of its own, so the type does not say."""
    return "out of memory" in str(error)
