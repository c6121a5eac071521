"""What is hung into Ultralytics' training: threads, memory format, progress, and safe checkpoints.

With several GPUs Ultralytics starts a process for each and sends it the callbacks by cloudpickle: they are methods of
one object that can be pickled, and that makes its progress bar where it arrives.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pasarela_training.train.state import restore_state, save_state

Callbacks = dict[str, list[Callable[[Any], None]]]


@dataclass(slots=True)
class PhaseCallbacks:
    """The callbacks of one phase. One object in each process that trains; only the first of them reports and keeps."""

    threads: int
    """Cores that PyTorch may use; Ultralytics resets them whenever it selects a device."""
    workers: int
    channels_last: bool
    resume: Path
    """Where the last whole epoch's checkpoint is kept; it is replaced by renaming, so it is never cut short."""
    label: str
    bar: Any = None
    """A tqdm bar, counting batches over all epochs of the phase; None until training starts."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: None if name == "bar" else getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def state(self) -> Path:
        """What goes with the checkpoint."""
        return self.resume.with_name("state.pt")

    def registered(self) -> Callbacks:
        """Ultralytics' own callbacks, and these after them."""
        from ultralytics.utils.callbacks import get_default_callbacks

        callbacks: Callbacks = dict(get_default_callbacks())
        for event, function in (
            ("on_pretrain_routine_start", self.keep_workers),
            ("on_train_start", self.start),
            ("on_train_batch_end", self.batch_end),
            ("on_model_save", self.keep_checkpoint),
            ("on_val_start", self.set_threads),
        ):
            callbacks[event] = [*callbacks[event], function]
        return callbacks

    def set_threads(self, _: Any) -> None:
        """Gives PyTorch its cores back."""
        import torch

        torch.set_num_threads(self.threads)

    def keep_workers(self, trainer: Any) -> None:
        """Ultralytics changes the number on a CPU."""
        trainer.args.workers = self.workers

    def start(self, trainer: Any) -> None:
        """Before the first batch."""
        self.set_threads(trainer)
        if self.channels_last:
            import torch

            trainer.model.to(memory_format=torch.channels_last)
        if trainer.start_epoch and trainer.world_size <= 1:
            # Several processes hold copies of one another's weights: what one restores, the others would not have.
            restore_state(trainer, self.state)
        if is_first_process():
            bar = self._bar()
            batches = len(trainer.train_loader)
            bar.total = batches * trainer.epochs
            bar.initial = bar.n = batches * trainer.start_epoch
            bar.unpause()

    def batch_end(self, trainer: Any) -> None:
        """Moves the bar."""
        if not is_first_process():
            return
        loss = sum(float(value) for value in trainer.tloss.values())
        bar = self._bar()
        bar.set_postfix(epoch=f"{trainer.epoch + 1}/{trainer.epochs}", loss=f"{loss:.3f}", refresh=False)
        bar.update(1)

    def keep_checkpoint(self, trainer: Any) -> None:
        """After every epoch: what an interrupted training goes on from."""
        if not is_first_process():
            return
        if trainer.world_size <= 1:
            save_state(trainer, self.state)
        temporary = self.resume.with_name(f".{self.resume.name}.partial")
        shutil.copyfile(trainer.last, temporary)
        temporary.replace(self.resume)

    def close(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _bar(self) -> Any:
        if self.bar is None:
            from tqdm import tqdm

            # Standard error goes into the log meanwhile; a person looks at the terminal itself.
            terminal = sys.__stderr__ or sys.stderr
            self.bar = tqdm(desc=self.label, unit="batch", file=terminal, mininterval=0.5 if terminal.isatty() else 60)
        return self.bar


def is_first_process() -> bool:
    """Whether this is the only process that trains, or the first of several (PyTorch's convention: `RANK`)."""
    return os.environ.get("RANK", "-1") in {"-1", "0"}
