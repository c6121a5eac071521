"""One stream of work on an NVIDIA GPU, and the memory that goes with it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

_REHEARSALS = 3
"""Runs before work is recorded: the framework chooses its kernels and takes their memory while it runs them first."""
_recording = threading.Lock()


def keep_single_precision(torch: Any) -> None:
    """Has this process compute in single precision where that was asked for: convolutions use TF32 otherwise."""
    torch.backends.cudnn.allow_tf32 = False


class CudaLane:
    """Work of one lane runs in order; lanes run side by side, and none waits for another. Used by one thread at a time.

    What is recorded shares one pool of memory: recordings of a lane never run at the same time.
    """

    def __init__(self, torch: Any, device: str) -> None:
        self._torch = torch
        self._device = torch.device(device)
        with torch.cuda.device(self._device):
            self._stream = torch.cuda.Stream(self._device)
            self._done = torch.cuda.Event(blocking=True)
            self._pool = torch.cuda.graph_pool_handle()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """The calling thread's PyTorch calls go to this lane."""
        torch = self._torch
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream), torch.inference_mode():
            yield

    def host(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Memory of the host that the GPU copies from and to by itself.

        PyTorch keeps it when it is let go, and gives it out again: it is dear to get from the system.
        """
        return self._torch.empty(shape, dtype=dtype, pin_memory=True)

    def resident(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Zeros in the GPU's memory."""
        return self._torch.zeros(shape, dtype=dtype, device=self._device)

    def record(self, run: Callable[[], list[Any]]) -> tuple[Callable[[], None], list[Any]]:
        """Records what `run` has the GPU do, so that all of it is started by one call.

        Args:
            run: Works on tensors that stay where they are, and returns the outputs.

        Returns:
            What starts it again, and the outputs, which it overwrites.

        Raises:
            Exception: Whatever the framework raises, for work that cannot be recorded or memory that is not there.
        """
        with _recording:
            for _ in range(_REHEARSALS):
                run()
            self.wait()
            graph = self._torch.cuda.CUDAGraph()
            # Other threads may take memory in the meantime: other models are being loaded, or answer.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                outputs = run()
            except BaseException:
                with contextlib.suppress(RuntimeError):
                    graph.capture_end()
                self._recover()
                raise
            graph.capture_end()
        return graph.replay, outputs

    def _recover(self) -> None:
        """Ends what a failed recording leaves: PyTorch takes memory and random numbers as if it still went on."""
        torch, pool = self._torch, self._pool
        self._pool = torch.cuda.graph_pool_handle()
        with contextlib.suppress(RuntimeError, AttributeError):
            torch._C._cuda_endAllocateToPool(self._device.index, pool)  # noqa: SLF001 - there is no public way
        with contextlib.suppress(RuntimeError):
            graph, one = torch.cuda.CUDAGraph(), torch.zeros(1, device=self._device)
            graph.capture_begin(pool=torch.cuda.graph_pool_handle(), capture_error_mode="thread_local")
            one.add_(1)
            graph.capture_end()

    def wait(self) -> None:
        """Blocks until the lane's work is done. Other threads run in the meantime."""
        self._done.record(self._stream)
        self._done.synchronize()
