"""The bare engine: the archive in half precision as CUDA graphs, without anything of the server."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

SIDE = 640
_LANES = 2


class BareEngine:
    """The network on one GPU, for one batch size."""

    def __init__(self, torch: Any, artefact: Path, rows: int) -> None:
        self.torch, self.rows = torch, rows
        module = torch.jit.load(str(artefact), map_location="cuda:0").eval().half()
        self._module = module.to(memory_format=torch.channels_last)
        self._lanes = [self._lane() for _ in range(_LANES)]

    def _lane(self) -> tuple[Any, Any, Any, Any, Any, Any]:
        torch = self.torch
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        with torch.inference_mode():
            pixels = torch.randint(0, 256, (self.rows, SIDE, SIDE, 3), dtype=torch.uint8, device="cuda:0")

            def run() -> Any:
                images = pixels.permute(0, 3, 1, 2).to(torch.float16, memory_format=torch.channels_last).div_(255)
                with torch.jit.optimized_execution(False):
                    return self._module(images).float()

            with torch.cuda.stream(stream):
                for _ in range(4):
                    run()
            stream.synchronize()
            with torch.cuda.graph(graph, stream=stream):
                output = run()
            host_in = torch.randint(0, 256, tuple(pixels.shape), dtype=torch.uint8).pin_memory()
            host_out = torch.empty(tuple(output.shape), pin_memory=True)
        return stream, graph, pixels, output, host_in, host_out

    def resident_rate(self, seconds: float) -> float:
        """Images per second with input and output on the GPU, one replay after the other."""
        torch = self.torch
        stream, graph, *_ = self._lanes[0]
        count, begun = 0, time.perf_counter()
        with torch.cuda.stream(stream):
            while time.perf_counter() < begun + seconds:
                for _ in range(8):
                    graph.replay()
                stream.synchronize()
                count += 8
        return count * self.rows / (time.perf_counter() - begun)

    def copying_rate(self, seconds: float) -> float:
        """Images per second with pixels from the host and answers back to it, two streams side by side."""
        torch = self.torch
        counts = [0] * _LANES
        begun = time.perf_counter()

        def loop(index: int) -> None:
            stream, graph, pixels, output, host_in, host_out = self._lanes[index]
            done = torch.cuda.Event(blocking=True)
            with torch.inference_mode(), torch.cuda.stream(stream):
                while time.perf_counter() < begun + seconds:
                    pixels.copy_(host_in, non_blocking=True)
                    graph.replay()
                    host_out.copy_(output, non_blocking=True)
                    done.record()
                    done.synchronize()
                    counts[index] += 1

        threads = [threading.Thread(target=loop, args=(index,)) for index in range(_LANES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) * self.rows / (time.perf_counter() - begun)
