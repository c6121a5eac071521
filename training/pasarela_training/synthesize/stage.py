"""The `synthesize` stage: a dataset where there is none."""

from __future__ import annotations

from pathlib import Path

from pasarela_training.config import DatasetSection
from pasarela_training.errors import TrainingError
from pasarela_training.fingerprint import folder_fingerprint
from pasarela_training.progress import counting_bar
from pasarela_training.stage import Say, Stage, read_stamp, run_stage


def synthesize_dataset(dataset: DatasetSection, say: Say, *, may_replace: bool = True) -> str:
    """Draws a dataset, if the section says how.

    Args:
        dataset: The section.
        say: Receives one line for the person.
        may_replace: Whether a synthetic dataset made by another recipe may give way.

    Returns:
        The dataset's fingerprint.

    Raises:
        TrainingError: There is neither a dataset nor a way to draw it.
    """
    section, source = dataset.synthesize, dataset.source
    if section is None:
        if not source.is_dir():
            raise TrainingError(
                f"dataset.source: there is no folder {source}; give a folder in DeepFashion2's layout, "
                f"or add a `synthesize:` block to `dataset:` to have it drawn"
            )
        return folder_fingerprint(source)

    def make(output: Path) -> str:
        from pasarela_training.synthesize import synthesize

        try:
            with counting_bar("synthesize") as show:
                synthesize(output, section.settings(), progress=show)
        except (RuntimeError, ValueError) as error:
            raise TrainingError(f"synthesize: {error}") from error
        return f"{section.images} images in {source}"

    stage = Stage("synthesize", source, section.recipe(), {}, make)
    if not may_replace and read_stamp(source) is not None and not stage.up_to_date():
        raise TrainingError(f"synthesize: {source} holds another synthetic dataset; remove it or give another folder")
    return run_stage(stage, say)
