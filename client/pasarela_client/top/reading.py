"""One look at a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pasarela_client.errors import PasarelaError
from pasarela_client.models import ModelState
from pasarela_client.prometheus import Metrics
from pasarela_client.statistics import Statistics

LATENCIES = "pasarela_request_stage_seconds"
"""The histogram that percentiles come from; `stage="request"` is the whole of a request."""
SUMMARY_US = "nv_inference_request_summary_us"
"""What Triton tells instead, if it is asked to (`--metrics-config summary_latencies=true`)."""
SUCCESSES = "nv_inference_request_success"
"""A counter that the statistics tell, too."""
PENDING = "nv_inference_pending_request_count"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server said at one moment."""

    at_s: float
    """When, on the client's monotonic clock."""
    clock_s: float
    """When, in seconds since the epoch."""
    server: str = ""
    """Its name and version."""
    states: tuple[ModelState, ...] = ()
    statistics: Statistics | None = None
    """None if the server keeps none."""
    metrics: Metrics | None = None
    """None if they could not be read."""
    without_metrics: str = ""
    """Why they could not."""
    instances: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By model and version, how many instances it has; 0 if it computes nothing itself."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A look that failed: nobody answered."""

    at_s: float
    clock_s: float
    error: PasarelaError

    @property
    def why(self) -> str:
        """What happened, for people."""
        return self.error.message
