"""One variant, loaded twice: for one request at a time, and for as many as there are cores."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pasarela_server.backends.base import Backend, Session
from pasarela_server.detection.image import decode_image
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_training.compare.figures import Round
from pasarela_training.errors import TrainingError
from pasarela_training.variants import VariantSpec


@dataclass(frozen=True, slots=True)
class Contestant:
    """A variant that is ready to be measured. Its owner closes the backends."""

    variant: VariantSpec
    alone: Backend
    """One instance with all cores."""
    together: Backend
    """One instance per core, a thread each."""
    detector: YoloDetector
    cores: int

    @classmethod
    def of(cls, variant: VariantSpec, alone: Backend, together: Backend, cores: int) -> Contestant:
        """Recognises the detector.

        Raises:
            TrainingError: It is none.
        """
        detector = YoloDetector.from_spec(alone.spec)
        if detector is None:
            raise TrainingError(f"compare: {variant.name} is no detector that the server recognises")
        return cls(variant, alone, together, detector, cores)

    def round(self, images: Sequence[bytes], requests: int, seconds: float) -> Round:
        """One turn: latency first, then throughput; each after a call that does not count.

        Args:
            images: Encoded images, taken in turn.
            requests: How many requests the latency is taken of.
            seconds: How long throughput is measured.
        """
        session = self.alone.session()
        self._detect(session, images[0])
        taken = [self._detect(session, images[number % len(images)]) for number in range(requests)]
        whole, network = zip(*taken, strict=True)
        return Round(tuple(whole), median(network), self._throughput(images, seconds))

    def _detect(self, session: Session, image: bytes) -> tuple[float, float]:
        """Milliseconds of the whole way, and of the network alone."""
        begun = time.perf_counter()
        pixels, letterbox = self.detector.preprocess(decode_image(image))
        before = time.perf_counter()
        output = session.infer({self.detector.input_name: pixels})[self.detector.output_name][0]
        after = time.perf_counter()
        self.detector.postprocess(output, letterbox, DetectOptions())
        return 1000 * (time.perf_counter() - begun), 1000 * (after - before)

    def _throughput(self, images: Sequence[bytes], seconds: float) -> float:
        counts = [0] * self.cores
        failures: list[BaseException] = []
        start, stop = threading.Barrier(self.cores + 1), threading.Event()

        def stream(index: int) -> None:
            try:
                session, position = self.together.session(), index
                self._detect(session, images[position % len(images)])
                start.wait()
                while not stop.is_set():
                    position += 1
                    self._detect(session, images[position % len(images)])
                    counts[index] += 1
            except threading.BrokenBarrierError:
                return
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
                failures.append(error)
                start.abort()

        threads = [threading.Thread(target=stream, args=(index,), daemon=True) for index in range(self.cores)]
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
        if failures:
            raise failures[0]
        return sum(counts) / (time.perf_counter() - begun)
