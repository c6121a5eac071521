"""What is hung into Ultralytics' training: threads, memory format, progress, and safe checkpoints."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pasarela_training.config import TrainSection

Callbacks = dict[str, list[Callable[[Any], None]]]


def callbacks_for(section: TrainSection, threads: int, bar: Any, resume: Path) -> Callbacks:
    """The callbacks of one phase.

    Args:
        section: The `train` section.
        threads: Cores that PyTorch may use; Ultralytics resets them whenever it selects a device.
        bar: A tqdm bar, counting batches over all epochs of the phase.
        resume: Where the last whole epoch's checkpoint is kept; it is replaced by renaming, so it is never cut short.
    """
    from ultralytics.utils.callbacks import get_default_callbacks

    def set_threads(_: Any) -> None:
        import torch

        torch.set_num_threads(threads)

    def keep_workers(trainer: Any) -> None:
        trainer.args.workers = section.workers

    def start(trainer: Any) -> None:
        set_threads(trainer)
        if section.channels_last:
            import torch

            trainer.model.to(memory_format=torch.channels_last)
        batches = len(trainer.train_loader)
        bar.total = batches * trainer.epochs
        bar.initial = bar.n = batches * trainer.start_epoch
        bar.unpause()

    def batch_end(trainer: Any) -> None:
        loss = sum(float(value) for value in trainer.tloss.values())
        bar.set_postfix(epoch=f"{trainer.epoch + 1}/{trainer.epochs}", loss=f"{loss:.3f}", refresh=False)
        bar.update(1)

    def keep_checkpoint(trainer: Any) -> None:
        temporary = resume.with_name(f".{resume.name}.partial")
        shutil.copyfile(trainer.last, temporary)
        os.replace(temporary, resume)  # noqa: PTH105

    callbacks: Callbacks = dict(get_default_callbacks())
    for event, function in (
        ("on_pretrain_routine_start", keep_workers),
        ("on_train_start", start),
        ("on_train_batch_end", batch_end),
        ("on_model_save", keep_checkpoint),
        ("on_val_start", set_threads),
    ):
        callbacks[event] = [*callbacks[event], function]
    return callbacks
