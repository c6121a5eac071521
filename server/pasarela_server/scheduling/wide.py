"""One request at a time gets all cores of its model, not only those of one instance."""

from __future__ import annotations

from contextlib import ExitStack

from pasarela_server.backends.base import WideSession
from pasarela_server.scheduling.batch import Batch
from pasarela_server.scheduling.cores import CoreBudget

LONELY = 8
"""So many requests in a row found nothing else to do: the next will, too."""


def goes_wide(batch: Batch) -> bool:
    """Whether a batch is one image of a client that waits for each answer before it asks again. Pure.

    Two clients already keep two instances busy, and get more from them than from taking turns on all cores.
    """
    return batch.lonely >= LONELY and batch.rows == 1


class WideExecutions:
    """Decides for one instance, and takes the cores from those that all models share."""

    def __init__(self, session: WideSession, budget: CoreBudget) -> None:
        """Decides for a session.

        Args:
            session: The instance's.
            budget: The cores of all models.
        """
        self.session = session
        """What runs the batches that go wide."""
        self._budget = budget

    def enter(self, batch: Batch, held: ExitStack) -> bool:
        """Whether a batch goes wide; its cores are then given back when `held` is closed.

        Never waits: if other models use the cores, the batch does with those of its instance.
        """
        threads = self._budget.at_most(self.session.wide_threads)
        if threads < 2 or not goes_wide(batch) or not self._budget.try_acquire(threads):
            return False
        held.callback(self._budget.release, threads)
        return True
