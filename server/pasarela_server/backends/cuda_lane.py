"""One stream of work on an NVIDIA GPU, and the memory that goes with it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

_REHEARSALS = 3
"""Runs before work is recorded: the framework chooses its kernels and takes their memory while it runs them first."""
_recording = threading.Lock()


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
        # Kernels are chosen by trying them, which is a switch of the process.
        with _recording, self._torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
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
                raise
            graph.capture_end()
        return graph.replay, outputs

    def wait(self) -> None:
        """Blocks until the lane's work is done. Other threads run in the meantime."""
        self._done.record(self._stream)
        self._done.synchronize()
