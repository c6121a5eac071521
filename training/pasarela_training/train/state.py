"""What Ultralytics' checkpoint leaves out, so that a training that was interrupted ends as one that was not.

Its checkpoint holds the averaged weights only, in 16 bits: resumed from it alone, training goes on from the average in
place of the weights, and takes the images in the first epoch's order again. The demo, interrupted twice, ended 0.015
mAP50-95 (val) below the demo that was not; one run each.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np


def save_state(trainer: Any, place: Path) -> None:
    """Keeps weights, their average, and the state of every source of randomness, as they are after an epoch.

    Args:
        trainer: Ultralytics'.
        place: File to write; it is replaced by renaming.
    """
    import torch
    from ultralytics.utils.torch_utils import unwrap_model

    state = {
        "epoch": trainer.epoch,
        "model": unwrap_model(trainer.model).state_dict(),
        "average": trainer.ema.ema.state_dict(),
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 - Ultralytics draws from NumPy's global generator
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "order": trainer.train_loader.generator.get_state(),
    }
    temporary = place.with_name(f".{place.name}.partial")
    torch.save(state, temporary)
    temporary.replace(place)


def restore_state(trainer: Any, place: Path) -> bool:
    """Puts back what `save_state` kept; call it before the first batch of a resumed training.

    Returns:
        False if nothing was kept for the very epoch that the training resumes after: it goes on as Ultralytics does.
        With `workers` above 0 the order of images may differ, since they are asked for ahead.
    """
    import torch
    from ultralytics.utils.torch_utils import unwrap_model

    if not place.is_file():
        return False
    # Written by `keep_state` of the same run: it may be a pickle.
    state = torch.load(place, map_location="cpu", weights_only=False)  # nosec B614
    if state["epoch"] != trainer.start_epoch - 1:
        return False
    unwrap_model(trainer.model).load_state_dict(state["model"])
    trainer.ema.ema.load_state_dict(state["average"])
    loader = trainer.train_loader
    if loader.iterator is None:
        # Making the iterator draws from the generator whose state comes next.
        loader.iterator = loader._get_iterator()  # noqa: SLF001
    loader.generator.set_state(state["order"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    return True
