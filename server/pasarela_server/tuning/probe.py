"""The process in which one candidate is measured: loads the model as the server does, and puts load on it.

A process of its own, so that one that crashes, or takes all the memory, ends nothing else.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection

import cv2

from pasarela_server.backends.loaders import loaders
from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.config.server import default_cache
from pasarela_server.errors import BackendMissing, InvalidModel, ServingError
from pasarela_server.repository.desired import desire
from pasarela_server.repository.edit import find_model
from pasarela_server.repository.load import load_raw
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.raw import RawServable
from pasarela_server.scheduling.cores import CoreBudget
from pasarela_server.tuning.closed_loop import Send, drive
from pasarela_server.tuning.measurement import Slice
from pasarela_server.tuning.orders import Failed, Job, Load, Loaded, Measure
from pasarela_server.tuning.requests import generate_images, read_images, send_images, send_tensors
from pasarela_server.tuning.subject import Subject, describe_subject


def main() -> None:
    """Carries out orders that come over the connection whose descriptor is the only argument, until it ends."""
    cv2.setNumThreads(1)
    with Connection(int(sys.argv[1])) as orders, asyncio.Runner() as loop:
        try:
            _obey(orders, loop)
        except (EOFError, BrokenPipeError):  # whoever gave orders is gone
            return


def _obey(orders: Connection, loop: asyncio.Runner) -> None:
    first: Load = orders.recv()
    began = time.perf_counter()
    try:
        with _serving(first) as (send, subject):
            orders.send(Loaded(subject, time.perf_counter() - began))
            while (order := orders.recv()) is not None:
                orders.send(_measure(loop, send, order))
    except BackendMissing as error:
        orders.send(Failed(str(error), backend_missing=True))
    except (ServingError, MemoryError) as error:
        orders.send(Failed(str(error) or "it takes more memory than there is"))
    except OSError as error:
        orders.send(Failed(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")))


def _measure(loop: asyncio.Runner, send: Send, order: Measure) -> Slice | Failed:
    try:
        return loop.run(drive(send, order.clients, order.seconds))
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        if not isinstance(first, ServingError):
            raise
        return Failed(str(first))


@contextmanager
def _serving(load: Load) -> Iterator[tuple[Send, Subject]]:
    """The model, loaded, until the block ends.

    Raises:
        ServingError: It cannot be loaded, or there is nothing to send to it.
        OSError: An image cannot be read.
    """
    job = load.job
    found = desire(find_model(job.repository, job.model))
    desired = replace(found, written=load.candidate.apply(parse_model_config(job.config_text, found.source)))
    folder = desired.versions.get(job.version)
    if folder is None:
        raise InvalidModel(f"model {job.model!r} has no version {job.version} any more")
    with ThreadPoolExecutor(job.cpu_threads, thread_name_prefix="images") as pool:
        loaded = load_raw(
            desired,
            job.version,
            folder,
            loaders(),
            job.cpu_threads,
            pool,
            ImageLimits(),
            budget=CoreBudget(job.cpu_threads),
            cache_folder=default_cache(),
        )
        with closing(loaded.servable) as servable:
            if not isinstance(servable, RawServable):
                raise InvalidModel(f"model {job.model!r} runs another model; tune that one")
            detects = servable.detector is not None and not job.tensors
            subject = describe_subject(
                desired.written,
                servable.config,
                servable.description,
                detects=detects,
                row_by_row=servable.row_by_row,
                cores=job.cpu_threads,
            )
            yield (_images(servable, job) if detects else send_tensors(servable, desired)), subject


def _images(servable: RawServable, job: Job) -> Send:
    return send_images(servable, generate_images() if job.images is None else read_images(job.images))


if __name__ == "__main__":
    main()
