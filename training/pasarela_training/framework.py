"""Preparing the process for Ultralytics, before it is imported; the only module that knows its environment."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_environment(settings_folder: Path, threads: int) -> None:
    """Sets what Ultralytics and PyTorch read when they are imported.

    Without it Ultralytics trains on one core, installs packages at run time, and looks things up on the network.

    Args:
        settings_folder: Where Ultralytics may keep its settings.
        threads: Cores that PyTorch may use.
    """
    settings_folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "OMP_NUM_THREADS": str(threads),
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
        "YOLO_CONFIG_DIR": str(settings_folder.resolve()),
        "WANDB_MODE": "disabled",
    }


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Sends everything that Ultralytics says to a file, for as long as the context lasts."""
    with (
        log.open("a", encoding="utf-8", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        from ultralytics.utils import LOGGER

        previous = LOGGER.handlers[:]
        LOGGER.handlers[:] = [logging.StreamHandler(file)]
        try:
            yield
        finally:
            LOGGER.handlers[:] = previous
