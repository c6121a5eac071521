"""What was measured of each variant, round by round, and what is said of it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from loadtest.benchmark.spread import Spread

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Round:
    """One start of a server that holds one variant, and what it delivered."""

    ready_s: float
    """From the start of the process until it was ready."""
    memory_ready_mb: float
    """Resident, of all its processes, when it was ready."""
    memory_loaded_mb: float
    """The same after all load of the round."""
    alone_p50_ms: float
    """One client."""
    alone_p99_ms: float
    saturated_per_second: float
    """As many clients as keep it busy."""
    saturated_p50_ms: float
    saturated_p99_ms: float
    client_cores: float
    """Cores that the load generator kept busy at saturation."""


@dataclass(slots=True)
class VariantResult:
    """One variant: either it was measured, or there is a reason why it was not."""

    name: str
    """Of the model."""
    backend: str
    """What runs it: openvino, onnxruntime, pytorch."""
    serves: tuple[str, ...] = ()
    """Detection models of the repository that run it: what clients ask for."""
    description: str = ""
    """Framework, precision really used, threads."""
    problem: str = ""
    """Why it cannot run here."""
    first_ready_s: float | None = None
    """The first start, before anything was kept for the next one."""
    rounds: list[Round] = field(default_factory=list)
    map50_95: float | None = None
    """Through the server, over gRPC; None if it was not measured."""
    map50: float | None = None

    def spread(self, quantity: str) -> Spread | None:
        """Over the rounds; None without any."""
        return Spread.of([getattr(one, quantity) for one in self.rounds])

    def median(self, quantity: str) -> float | None:
        """Over the rounds; None without any."""
        spread = self.spread(quantity)
        return None if spread is None else spread.median


@dataclass(slots=True)
class Comparison:
    """All variants of a repository."""

    repository: str
    variants: list[VariantResult]
    clients: int
    """At saturation."""
    seconds: float
    """Of each figure."""
    wanted_rounds: int
    judged_images: int
    """That the mAP was measured on; 0 if it was not."""
    judged_on: str
    """What these images are, in a sentence."""
    started_at: str
    conditions: Mapping[str, Any]
    complete: bool = False
    """False while it goes on, and if it was cut short."""

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            ValueError: It did not give this.
        """
        if content.get("schema") != SCHEMA:
            raise ValueError(f"these variants have schema {content.get('schema')}, this version reads {SCHEMA}")
        told = {name: value for name, value in content.items() if name != "schema"}
        variants = [
            VariantResult(
                **{**one, "serves": tuple(one["serves"]), "rounds": [Round(**taken) for taken in one["rounds"]]}
            )
            for one in content["variants"]
        ]
        return cls(**{**told, "variants": variants})


def measured(variants: Sequence[VariantResult]) -> list[VariantResult]:
    """Those with a round at least, and that never failed."""
    return [variant for variant in variants if variant.rounds and not variant.problem]
