"""The stages of a run, wired: what each reads, what decides its output, and in which order they go."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from pathlib import Path

from pasarela_training.config import Config
from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.content import read_contents
from pasarela_training.dataset.sample import make_sample, read_sums
from pasarela_training.dataset.sources.base import Source
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.dataset.yolo import make_yolo
from pasarela_training.errors import PublicationRefused
from pasarela_training.evaluate.stage import make_evaluate, read_measured
from pasarela_training.export.stage import make_export
from pasarela_training.fingerprint import fingerprint
from pasarela_training.framework import available_cores
from pasarela_training.publish.stage import publish
from pasarela_training.stage import Say, Stage, run_stage
from pasarela_training.synthesize.stage import synthesize_dataset
from pasarela_training.train.stage import WEIGHTS, make_train, model_fingerprint, train_recipe
from pasarela_training.variants import VariantSpec, variant_specs

REPORT = "report.html"
VERSIONS = {"sample": 2, "coco": 2, "yolo": 2, "export": 2, "evaluate": 2}
"""Raised when a stage begins to write something else for the same recipe and inputs; 1 for all others."""


def once(method: Callable[[Pipeline], str]) -> Callable[[Pipeline], str]:
    """Brings a stage up to date at most once in the life of a pipeline, and tells of it once."""
    name = method.__name__

    @wraps(method)
    def first_time(self: Pipeline) -> str:
        if name not in self.done:
            self.done[name] = method(self)
        return self.done[name]

    return first_time


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All stages of one configuration. Each method brings one output up to date, and what it needs before it."""

    config: Config
    say: Say
    allow_worse: bool = False
    """Publish variants in spite of their figures."""
    done: dict[str, str] = field(default_factory=dict)
    """Fingerprints of the outputs that are known to be up to date, by stage."""

    @once
    def synthesize(self) -> str:
        """Draws the dataset, if the configuration says how. Returns the dataset's fingerprint."""
        return synthesize_dataset(self.config.dataset, self.say)

    @once
    def sample(self) -> str:
        """Chooses and splits the images."""
        section, dataset = self.config.sample, self.config.dataset
        inputs = {"dataset": self.synthesize()}
        recipe = section.recipe() | dataset.recipe(exclude=frozenset({"source", "synthesize", "processes"}))
        return self._run(
            "sample",
            recipe,
            inputs,
            lambda output: make_sample(
                self._source(), section, processes=self._processes, max_broken=dataset.max_broken, output=output
            ),
        )

    @once
    def coco(self) -> str:
        """Converts to COCO JSON."""
        dataset, sample = self.config.dataset, self._folder("sample")
        return self._run(
            "coco",
            {"max_broken": dataset.max_broken},
            {"sample": self.sample()},
            lambda output: make_coco(
                self._source(), sample, processes=self._processes, max_broken=dataset.max_broken, output=output
            ),
        )

    @once
    def yolo(self) -> str:
        """Converts to YOLO labels."""
        section, coco, sample = self.config.convert, self._folder("coco"), self._folder("sample")
        return self._run(
            "yolo",
            section.recipe(),
            {"coco": self.coco()},
            lambda output: make_yolo(
                self._image_root(), coco, read_sums(sample), section, processes=self._processes, output=output
            ),
        )

    @once
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

    @once
    def export(self) -> str:
        """Exports the variants, and compares each with what was trained."""
        section, evaluate, train = self.config.export, self.config.evaluate, self.config.train
        inputs = {"train": self.train(), "coco": self.coco()}
        weights, settings = self._folder("train") / WEIGHTS, self._folder("ultralytics")
        recipe = section.recipe() | {"variants": list(section.variants), "imgsz": train.imgsz_final}
        recipe["openvino_precision"] = self.config.publish.openvino_precision
        return self._run(
            "export",
            recipe,
            inputs,
            lambda output: make_export(
                weights,
                train.imgsz_final,
                section,
                image_root=self._image_root(),
                coco=self._folder("coco"),
                evaluate=evaluate,
                settings_folder=settings,
                seed=train.seed,
                output=output,
                specs=variant_specs(self.config.publish),
            ),
        )

    @once
    def evaluate(self) -> str:
        """Measures the variants."""
        section, variants = self.config.evaluate, self._variants()
        coco, exported = self._folder("coco"), self._folder("export")
        inputs = {"export": self.export()}
        parameters = {variant.name: dict(variant.parameters) for variant in variants}
        recipe = section.recipe(exclude=frozenset({"threads"})) | {"parameters": parameters}
        return self._run(
            "evaluate",
            recipe,
            inputs,
            lambda output: make_evaluate(self._image_root(), coco, exported, variants, section, output),
        )

    @once
    def verify(self) -> str:
        """Measures the variants once more, through a running server."""
        from pasarela_training.verify.stage import make_verify

        publishing = self.config.publish.recipe(exclude=frozenset({"repository"}))
        return self._run(
            "verify",
            self.config.verify.recipe() | {"publish": publishing, "evaluate": self.config.evaluate.recipe()},
            {"evaluate": self.evaluate()},
            lambda output: make_verify(
                self.config,
                image_root=self._image_root(),
                coco=self._folder("coco"),
                sample=self._folder("sample"),
                exported=self._folder("export"),
                evaluated=self._folder("evaluate"),
                output=output,
            ),
        )

    def evaluate_artefact(self, artefact: Path) -> None:
        """Measures a file that this run did not make, on the same images."""
        from pasarela_training.evaluate.artefact import evaluate_artefact
        from pasarela_training.evaluate.tables import score_table

        self.coco()
        measured = evaluate_artefact(artefact, self._image_root(), self._folder("coco"), self.config.evaluate)
        self.say("\n".join(score_table([measured])))

    def verify_running(self, url: str, model: str) -> None:
        """Measures a model of a server that is running."""
        from pasarela_training.evaluate.served import measure_served

        self.coco()
        split = self.config.verify.split
        run = measure_served(
            url,
            model,
            self._image_root(),
            self._folder("coco") / f"{split}.json",
            self.config.evaluate,
            window=self.config.verify.window,
            label=f"verify {model}",
        )
        scores = run.scores
        self.say(
            f"{model} version {run.version} at {url}, {split}: mAP50 {scores.map50:.4f}, mAP50-95 {scores.map50_95:.4f}"
        )

    def publish(self) -> None:
        """Publishes what was measured. Always looks: the repository may have changed by other hands."""
        verified = self.config.verify.enabled
        if verified:
            self.verify()
        else:
            self.evaluate()
        summary = publish(
            self.config,
            sample=self._folder("sample"),
            exported=self._folder("export"),
            evaluated=self._folder("evaluate"),
            verified=self._folder("verify") if verified else None,
            allow_worse=self.allow_worse,
            say=self.say,
        )
        self.say(f"publish: {summary}")

    @once
    def look(self) -> str:
        """Draws predictions beside the truth, the worst first."""
        from pasarela_training.look.stage import make_look

        section, variant = self.config.evaluate, self.config.publish.serve
        return self._run(
            "look",
            {"variant": variant, "confidence": section.shown_confidence},
            {"evaluate": self.evaluate()},
            lambda output: make_look(
                self._image_root(), self._folder("coco"), self._folder("evaluate"), variant, section, output
            ),
        )

    def compare(self, *, anew: bool = True) -> str:
        """Compares the speed of the variants, on this machine as it is now."""
        from pasarela_training.compare.stage import make_compare

        evaluated, variants = self.evaluate(), self._variants()
        measured = read_measured(self._folder("evaluate"))
        return self._run(
            "compare",
            self.config.compare.recipe(),
            {"evaluate": evaluated},
            lambda output: make_compare(
                self._image_root(),
                self._folder("coco"),
                self._folder("export"),
                variants,
                measured,
                self.config.compare,
                output,
            ),
            anew=anew,
        )

    def report(self) -> None:
        """Writes one HTML file about all that the workspace holds by now."""
        from pasarela_training.report.stage import make_report

        self.look()
        self.say(f"report: {make_report(self.config.workspace, self.config, self.config.workspace / REPORT)}")

    def run(self) -> None:
        """Does everything. What the gate refuses is reported all the same."""
        refused: PublicationRefused | None = None
        try:
            self.publish()
        except PublicationRefused as error:
            refused = error
        self.compare(anew=False)
        self.report()
        if refused is not None:
            raise refused

    @property
    def _processes(self) -> int:
        return self.config.dataset.processes or available_cores()

    def _source(self) -> Source:
        return _opened(self.config.dataset.source, self.config.dataset.layout)

    def _image_root(self) -> Path:
        if self.config.sample.store != "list":
            return self._folder("sample") / "images"
        return self._source().image_root

    def _variants(self) -> list[VariantSpec]:
        specs = variant_specs(self.config.publish)
        return [specs[variant] for variant in self.config.export.variants]

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
        anew: bool = False,
    ) -> str:
        stage = Stage(
            name,
            self._folder(name),
            json.loads(json.dumps(recipe)),
            inputs,
            make,
            version=VERSIONS.get(name, 1),
            resumable=resumable,
        )
        return run_stage(stage, self.say, anew=anew)


@lru_cache(maxsize=1)
def _opened(root: Path, layout: str) -> Source:
    """Opening a large COCO document takes a while: once is enough."""
    return open_source(root, layout)
