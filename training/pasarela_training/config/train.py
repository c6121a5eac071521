"""The `train` section: which network, on what schedule, and where it runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pasarela_training.config.section import Section

Share = Annotated[float, Field(ge=0, le=1)]
ImageSize = Annotated[int, Field(ge=32, le=4096, multiple_of=32)]
Optimizer = Literal["AdamW", "Adam", "NAdam", "RAdam", "RMSProp", "SGD", "MuSGD", "auto"]
Precision = Literal["fp32", "bf16", "fp16"]


class Hyperparameters(Section):
    """What one phase of training does; names and meanings are those of Ultralytics."""

    imgsz: ImageSize = 320
    """Side of the square input, in pixels."""
    epochs: int = Field(default=30, ge=1)
    """How often all images are seen."""
    batch: int = Field(default=16, ge=1)
    """Images per optimizer step (the nominal batch size is set to the same); divided among the GPUs."""
    optimizer: Optimizer = "AdamW"
    """`auto` lets Ultralytics choose, learning rate and momentum included."""
    lr0: float = Field(default=0.003, gt=0, le=1)
    """Peak learning rate."""
    lrf: float = Field(default=0.02, gt=0, le=1)
    """The last learning rate, as a share of `lr0`; a cosine leads there."""
    momentum: Share = 0.9
    """Of SGD; the first beta of the Adam family."""
    weight_decay: float = Field(default=0.0005, ge=0, le=1)
    """L2 regularisation."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Epochs in which the learning rate rises."""
    mosaic: Share = 0.6
    """Probability that four images are put together into one."""
    close_mosaic: int = Field(default=3, ge=0)
    """Epochs at the end without mosaic."""
    mixup: Share = 0.0
    """Probability that two images are laid over one another."""
    cutmix: Share = 0.0
    """Probability that a part of an image is replaced by a part of another."""
    fliplr: Share = 0.5
    """Probability of mirroring left to right."""
    flipud: Share = 0.0
    """Probability of turning upside down."""
    hsv_h: Share = 0.015
    """How much hues vary, as a share of the circle."""
    hsv_s: Share = 0.5
    """How much saturation varies."""
    hsv_v: Share = 0.4
    """How much brightness varies."""
    degrees: float = Field(default=0.0, ge=0, le=180)
    """Rotation, at most so many degrees either way."""
    translate: Share = 0.1
    """Shift, at most this share of the image."""
    scale: Share = 0.4
    """Zoom, at most this share in or out."""
    shear: float = Field(default=0.0, ge=0, le=180)
    """Shear, at most so many degrees either way."""
    perspective: float = Field(default=0.0, ge=0, le=0.001)
    """Strength of perspective."""
    multi_scale: Share = 0.0
    """How much the input's size varies from batch to batch, as a share of `imgsz`."""
    freeze: int = Field(default=0, ge=0)
    """So many layers, from the input on, keep their weights."""


class Phase(Section):
    """One phase: what it gives here replaces the value of the `train` section."""

    imgsz: ImageSize | None = None
    epochs: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=1)
    optimizer: Optimizer | None = None
    lr0: float | None = Field(default=None, gt=0, le=1)
    lrf: float | None = Field(default=None, gt=0, le=1)
    momentum: Share | None = None
    weight_decay: float | None = Field(default=None, ge=0, le=1)
    warmup_epochs: float | None = Field(default=None, ge=0)
    mosaic: Share | None = None
    close_mosaic: int | None = Field(default=None, ge=0)
    mixup: Share | None = None
    cutmix: Share | None = None
    fliplr: Share | None = None
    flipud: Share | None = None
    hsv_h: Share | None = None
    hsv_s: Share | None = None
    hsv_v: Share | None = None
    degrees: float | None = Field(default=None, ge=0, le=180)
    translate: Share | None = None
    scale: Share | None = None
    shear: float | None = Field(default=None, ge=0, le=180)
    perspective: float | None = Field(default=None, ge=0, le=0.001)
    multi_scale: Share | None = None
    freeze: int | None = Field(default=None, ge=0)


class TrainSection(Hyperparameters):
    """The whole of training. Without `phases` there is one, with the values given here."""

    model: str = "yolov9t.yaml"
    """`yolov9t`, `s`, `m`, `c` or `e` (random weights), another network of Ultralytics (`*.yaml`), or the path of a
    checkpoint (`*.pt`)."""
    phases: tuple[Phase, ...] = ()
    """Phases of training, each from the weights of the one before; any of the keys above from `imgsz` to `freeze`."""
    seed: int = Field(default=0, ge=0)
    """The same seed gives the same order of images and the same first weights."""
    device: str = Field(default="cpu", pattern=r"^(cpu|auto|\d+(,\d+)*)$")
    """`cpu`; `auto` (a GPU if there is one); `0`; or `0,1,…` for several GPUs."""
    threads: int | None = Field(default=None, ge=1)
    """Cores to train on; all of them if left out."""
    workers: int = Field(default=0, ge=0, le=64)
    """Processes that prepare batches beside the one that trains."""
    precision: Precision = "fp32"
    """In what the network computes; less than `fp32` needs a GPU."""
    channels_last: bool = True
    """Keep colours innermost in memory, which is faster on most processors."""
    cache: bool = True
    """Keep the decoded images in memory."""
    validate_each_epoch: bool = False
    """Measure after every epoch and keep the best epoch's weights, instead of the last one's."""
    patience: int = Field(default=0, ge=0)
    """Stop a phase when validation got no better for so many epochs; 0 never does. Needs `validate_each_epoch`."""

    @field_validator("model")
    @classmethod
    def _known_network(cls, model: str) -> str:
        if re.fullmatch(r"yolov9[tsmce]", model):
            return f"{model}.yaml"
        if re.fullmatch(r"yolov9[^.]*\.yaml", model) and not re.fullmatch(r"yolov9[tsmce]\.yaml", model):
            raise ValueError(f"there is no network {model}; the sizes of YOLOv9 are yolov9t, s, m, c and e")
        if not model.endswith((".yaml", ".pt")):
            raise ValueError(
                f"is {model!r}; expected yolov9t, s, m, c or e, another network (*.yaml), or the path of a "
                "checkpoint (*.pt)"
            )
        if model.endswith(".yaml") and not _is_network(model):
            raise ValueError(f"is {model!r}, which is neither a network of Ultralytics nor a file here")
        return model

    @model_validator(mode="after")
    def _fits_together(self) -> TrainSection:
        if self.device == "cpu" and self.precision != "fp32":
            raise ValueError(f"precision {self.precision} needs a GPU; on the CPU it is fp32")
        if self.patience and not self.validate_each_epoch:
            raise ValueError("patience needs validate_each_epoch: true; without it nothing says when to stop")
        gpus = self.device.split(",")
        if len(set(gpus)) != len(gpus):
            raise ValueError(f"device {self.device} names a GPU twice")
        for number, phase in enumerate(self.schedule(), start=1):
            if phase.warmup_epochs > phase.epochs:
                raise ValueError(
                    f"phase {number}: warmup_epochs ({phase.warmup_epochs}) exceeds its epochs ({phase.epochs})"
                )
            if phase.batch % len(gpus):
                raise ValueError(f"phase {number}: batch ({phase.batch}) cannot be divided among {len(gpus)} GPUs")
        return self

    def schedule(self) -> tuple[Hyperparameters, ...]:
        """The phases with every value filled in."""
        base = {name: getattr(self, name) for name in Hyperparameters.model_fields}
        phases = self.phases or (Phase(),)
        return tuple(Hyperparameters(**{**base, **phase.model_dump(exclude_none=True)}) for phase in phases)

    @property
    def imgsz_final(self) -> int:
        """The input size of the last phase, in pixels: the size at which the model is exported."""
        return self.schedule()[-1].imgsz


def _is_network(name: str) -> bool:
    """Whether Ultralytics finds a network of this name, as it looks itself: the letter of the size is left out.

    Ultralytics is found, not imported: that takes seconds, and a configuration is read by every command.
    """
    if Path(name).is_file():
        return True
    found = importlib.util.find_spec("ultralytics")
    if found is None or found.origin is None:
        return False
    sizeless = re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", Path(name).stem)
    models = Path(found.origin).parent / "cfg" / "models"
    return any(path.stem in {sizeless, Path(name).stem} for path in models.glob("*/*.yaml"))
