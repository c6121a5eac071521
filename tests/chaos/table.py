"""All faults, in the order of the table."""

from __future__ import annotations

from tests.chaos.faults import models, repository, resources, stopping, visitors
from tests.chaos.row import Fault

FAULTS: tuple[Fault, ...] = (
    *stopping.FAULTS,
    *models.FAULTS,
    *resources.FAULTS,
    *repository.FAULTS,
    *visitors.FAULTS,
)
