"""Metrics in Prometheus' text format, read. Pure.

The format is a line for a sample, so that reading it here costs less than another package that every client would
need; tests compare it with what Prometheus' own library reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pasarela_client.histogram import Histogram

_SAMPLE: Final = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{(.*)\})?\s*([^\s{}]+)(?:\s+-?\d+)?\s*")
_LABEL: Final = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n"}


class NoMetrics(ValueError):
    """The text is not in Prometheus' format; the message names the line."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse_samples(text: str) -> Iterator[Sample]:
    """The samples, in the order of the text.

    Raises:
        NoMetrics: A line is none of the format.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        sample = _parse_sample(line)
        if sample is None:
            raise NoMetrics(f"line {number} is no metric: {line[:80]!r}")
        yield sample


class Metrics:
    """Samples of one reading, found by name and labels."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_name: dict[str, list[Sample]] = {}
        for sample in samples:
            self._by_name.setdefault(sample.name, []).append(sample)

    @classmethod
    def parse(cls, text: str) -> Metrics:
        """Metrics in Prometheus' text format.

        Raises:
            NoMetrics: They are not.
        """
        return cls(parse_samples(text))

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """Samples of that name that have these labels, and maybe others."""
        return [each for each in self._by_name.get(name, []) if labels.items() <= each.labels.items()]

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of those samples; None if there are none."""
        found = self.samples(name, **labels)
        return sum(sample.value for sample in found) if found else None

    def histogram(self, name: str, **labels: str) -> Histogram:
        """The histogram of that name and these labels; empty if there is none."""
        buckets: dict[float, float] = {}
        for sample in self.samples(f"{name}_bucket", **labels):
            if "le" in sample.labels:
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
        return Histogram.of(buckets, self.value(f"{name}_sum", **labels) or 0.0) if buckets else Histogram()

    def label_values(self, name: str, label: str, **labels: str) -> list[str]:
        """The values of a label among the samples of a name, in the order of the text."""
        return list(dict.fromkeys(each.labels[label] for each in self.samples(name, **labels) if label in each.labels))


def _parse_sample(line: str) -> Sample | None:
    match = _SAMPLE.fullmatch(line)
    labels = None if match is None else _parse_labels(match[2] or "")
    if match is None or labels is None:
        return None
    try:
        return Sample(match[1], labels, float(match[3]))
    except ValueError:
        return None


def _parse_labels(text: str) -> dict[str, str] | None:
    labels: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _LABEL.match(text, place)
        if match is None:
            return None
        labels[match[1]] = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), match[2])
        place = match.end()
    return labels
