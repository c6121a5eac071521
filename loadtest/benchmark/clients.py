"""Closed-loop clients in a process of their own.

`python -m loadtest.benchmark.clients URL MODEL CLIENTS SECONDS IMAGE…`

Each client sends its next image when the answer to the last has come. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import grpc

from pasarela_proto import detection_pb2, detection_pb2_grpc


async def measure(url: str, model: str, clients: int, seconds: float, images: list[bytes]) -> dict[str, object]:
    """Drives `Detect` and counts answers.

    Returns:
        `images_per_second`, `latencies_ms` (each answer's, sorted) and `cores` (how many this process kept busy).
    """
    requests = [
        detection_pb2.DetectRequest(model_name=model, image=detection_pb2.Image(encoded=image)) for image in images
    ]
    latencies: list[float] = []
    async with grpc.aio.insecure_channel(url) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        await asyncio.gather(*(stub.Detect(requests[i % len(requests)]) for i in range(clients)))
        begun, begun_cpu = time.perf_counter(), time.process_time()

        async def client(first: int) -> None:
            position = first
            while (sent := time.perf_counter()) < begun + seconds:
                await stub.Detect(requests[position % len(requests)])
                latencies.append((time.perf_counter() - sent) * 1e3)
                position += clients

        await asyncio.gather(*(client(number) for number in range(clients)))
        elapsed, cores = time.perf_counter() - begun, time.process_time() - begun_cpu
    return {
        "images_per_second": len(latencies) / elapsed,
        "latencies_ms": sorted(latencies),
        "cores": cores / elapsed,
    }


def main(arguments: list[str]) -> int:
    """Reads the arguments, measures, prints."""
    url, model, clients, seconds, *paths = arguments
    images = [Path(path).read_bytes() for path in paths]
    print(json.dumps(asyncio.run(measure(url, model, int(clients), float(seconds), images))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
