"""Encoded images to detections in this process, through the server's own parts but gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

from pasarela_server.backends.loaders import loaders
from pasarela_server.repository.manager import ModelManager


@contextlib.contextmanager
def opened(repository: Path) -> Iterator[ModelManager]:
    """All models of a repository, loaded here."""
    cv2.setNumThreads(1)
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        models = ModelManager(repository, loaders(), pool, cores)
        models.load_all()
        try:
            yield models
        finally:
            models.close()


def pipeline_rate(models: ModelManager, model: str, images: list[bytes], clients: int, seconds: float) -> float:
    """Images per second with so many asked for at a time."""
    return asyncio.run(_measure(models, model, images, clients, seconds))


async def _measure(models: ModelManager, model: str, images: list[bytes], clients: int, seconds: float) -> float:
    count, until = 0, 0.0

    async def client(position: int) -> None:
        nonlocal count
        while time.perf_counter() < until:
            with models.acquire(model) as handle:
                await handle.servable.detect(images[position % len(images)])
            count += 1
            position += clients

    for part in (0.5, seconds):
        count, begun = 0, time.perf_counter()
        until = begun + part
        await asyncio.gather(*(client(number) for number in range(clients)))
    return count / (time.perf_counter() - begun)
