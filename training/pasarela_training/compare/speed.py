"""One variant loaded twice: for the latency of one image at a time, and for as many images as go through."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from pasarela_server.backends.base import Backend, Session
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_training.compare.figures import Round, percentile
from pasarela_training.config import CompareSection
from pasarela_training.errors import TrainingError
from pasarela_training.variants import VariantSpec, opened

Work = Callable[[bytes], object]
WARMING = 10


@dataclass(frozen=True, slots=True)
class Loaded:
    """A variant that is ready to be measured."""

    alone: Backend
    """One instance on all cores."""
    together: Backend
    """As many instances as there are cores, of one thread each."""
    detector: YoloDetector
    cores: int

    def warm(self, images: Sequence[bytes]) -> None:
        """Calls every session `WARMING` times: the first calls of TorchScript optimise, for seconds."""
        for session in (self.alone.session(), *(self.together.session() for _ in range(self.cores))):
            work = self._whole(session)
            for image in islice(cycle(images), WARMING):
                work(image)

    def round(self, images: Sequence[bytes], section: CompareSection) -> Round:
        """Takes every figure once; a fifth of the requests beforehand, unmeasured."""
        session = self.alone.session()
        whole = self._latencies(self._whole(session), images, section.requests)
        network = self._latencies(self._network(session, images[0]), images, section.requests)
        sessions = [self.together.session() for _ in range(self.cores)]
        return Round(
            percentile(whole, 0.5),
            percentile(whole, 0.9),
            percentile(whole, 0.99),
            percentile(network, 0.5),
            rate([self._whole(one) for one in sessions], images, section.seconds),
            rate([self._network(one, images[0]) for one in sessions], images, section.seconds),
        )

    def _latencies(self, work: Work, images: Sequence[bytes], requests: int) -> list[float]:
        for image in islice(cycle(images), max(2, requests // 5)):
            work(image)
        taken = []
        for image in islice(cycle(images), requests):
            begun = time.perf_counter()
            work(image)
            taken.append(1000 * (time.perf_counter() - begun))
        return taken

    def _whole(self, session: Session) -> Work:
        def work(image: bytes) -> object:
            decoded = self.detector.decode(image)
            pixels, letterbox = self.detector.preprocess(decoded.pixels, decoded.size)
            output = session.infer({self.detector.input_name: pixels})[self.detector.output_name]
            return self.detector.postprocess(output[0], letterbox, DetectOptions())

        return work

    def _network(self, session: Session, image: bytes) -> Work:
        decoded = self.detector.decode(image)
        pixels, _ = self.detector.preprocess(decoded.pixels, decoded.size)
        return lambda _: session.infer({self.detector.input_name: pixels})


@contextmanager
def loaded(variant: VariantSpec, folder: Path, cores: int) -> Iterator[Loaded]:
    """Loads a variant with the server's own backend.

    Raises:
        ServingError: It cannot be loaded.
        TrainingError: It is no detector.
    """
    with (
        opened(variant, folder, threads=cores) as alone,
        opened(variant, folder, threads=1, instances=cores) as together,
    ):
        detector = YoloDetector.from_spec(alone.spec)
        if detector is None:
            raise TrainingError(f"compare: {folder / variant.artefact} is no detector; export it again")
        yield Loaded(alone, together, detector, cores)


def rate(work: Sequence[Work], images: Sequence[bytes], seconds: float) -> float:
    """Images per second of all callables together, each on a thread of its own, after one unmeasured call of each.

    Raises:
        Exception: The first that a callable raised.
    """
    counts = [0] * len(work)
    errors: list[BaseException] = []
    start = threading.Barrier(len(work) + 1)
    stop = threading.Event()

    def loop(index: int) -> None:
        turn = cycle([*images[index % len(images) :], *images[: index % len(images)]])
        try:
            work[index](next(turn))
            start.wait()
            while not stop.is_set():
                work[index](next(turn))
                counts[index] += 1
        except threading.BrokenBarrierError:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)
            start.abort()
            stop.set()

    threads = [threading.Thread(target=loop, args=(index,), daemon=True) for index in range(len(work))]
    for thread in threads:
        thread.start()
    begun = time.perf_counter()
    try:
        start.wait()
        begun = time.perf_counter()
        stop.wait(seconds)
    except threading.BrokenBarrierError:
        pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return sum(counts) / (time.perf_counter() - begun)
