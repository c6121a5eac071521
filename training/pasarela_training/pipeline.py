"""The stages of a run, wired: what each reads, what decides its output, and in which order they go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pasarela_training.config import Config, DatasetSection
from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.content import read_contents
from pasarela_training.dataset.sample import make_sample
from pasarela_training.dataset.yolo import make_yolo
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.stage import make_evaluate
from pasarela_training.export.stage import make_export
from pasarela_training.fingerprint import fingerprint, folder_fingerprint
from pasarela_training.progress import counting_bar
from pasarela_training.publish.stage import publish
from pasarela_training.stage import Stage, read_stamp, run_stage
from pasarela_training.train.stage import WEIGHTS, make_train, model_fingerprint, train_recipe
from pasarela_training.variants import variant_specs

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All stages of one configuration. Each method brings one output up to date, and what it needs before it."""

    config: Config
    say: Say

    def synthesize(self) -> str:
        """Draws the dataset, if the configuration says how. Returns the dataset's fingerprint."""
        return synthesize_dataset(self.config.dataset, self.say)

    def sample(self) -> str:
        """Chooses and splits the images."""
        section, source = self.config.sample, self.config.dataset.source
        inputs = {"dataset": self.synthesize()}
        return self._run("sample", section.recipe(), inputs, lambda output: make_sample(source, section, output))

    def coco(self) -> str:
        """Converts to COCO JSON."""
        source, sample = self.config.dataset.source, self._folder("sample")
        return self._run("coco", {}, {"sample": self.sample()}, lambda output: make_coco(source, sample, output))

    def yolo(self) -> str:
        """Converts to YOLO labels."""
        source, coco = self.config.dataset.source, self._folder("coco")
        return self._run("yolo", {}, {"coco": self.coco()}, lambda output: make_yolo(source, coco, output))

    def train(self) -> str:
        """Trains."""
        section, dataset = self.config.train, self._folder("yolo")
        self.yolo()
        contents = read_contents(dataset)
        # Without validation the weights depend on the training split alone.
        data = fingerprint([contents["train"], contents["val"] if section.validate_each_epoch else None])
        inputs = {"data": data, "model": model_fingerprint(section.model)}
        previous = self._folder("train")
        return self._run(
            "train",
            train_recipe(section),
            inputs,
            lambda output: make_train(section, dataset, data, previous, output),
            resumable=True,
        )

    def export(self) -> str:
        """Exports the variants."""
        section, imgsz = self.config.export, self.config.train.imgsz_final
        inputs = {"train": self.train()}
        weights, settings = self._folder("train") / WEIGHTS, self._folder("ultralytics")
        recipe = {"variants": list(section.variants), "imgsz": imgsz}
        return self._run(
            "export",
            recipe,
            inputs,
            lambda output: make_export(weights, imgsz, section.variants, settings, output),
        )

    def evaluate(self) -> str:
        """Measures the variants."""
        section, specs = self.config.evaluate, variant_specs(self.config.publish)
        variants = [specs[variant] for variant in self.config.export.variants]
        source, coco, exported = self.config.dataset.source, self._folder("coco"), self._folder("export")
        inputs = {"export": self.export()}
        parameters = {variant.name: dict(variant.parameters) for variant in variants}
        recipe = section.recipe(exclude=frozenset({"threads"})) | {"parameters": parameters}
        return self._run(
            "evaluate",
            recipe,
            inputs,
            lambda output: make_evaluate(source, coco, exported, variants, section, output),
        )

    def publish(self) -> None:
        """Publishes what was measured. Always looks: the repository may have changed by other hands."""
        self.evaluate()
        folders = (self._folder("sample"), self._folder("export"), self._folder("evaluate"))
        self.say(f"publish: {publish(self.config, *folders)}")

    def run(self) -> None:
        """Does everything."""
        self.publish()

    def _folder(self, stage: str) -> Path:
        return self.config.workspace / stage

    def _run(
        self,
        name: str,
        recipe: dict[str, object],
        inputs: dict[str, str],
        make: Callable[[Path], str],
        *,
        resumable: bool = False,
    ) -> str:
        return run_stage(Stage(name, self._folder(name), recipe, inputs, make, resumable=resumable), self.say)


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
