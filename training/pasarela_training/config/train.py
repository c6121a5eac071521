"""The `train` section: which network, on what schedule, and where it runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

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
    batch: int = Field(default=16, ge=1)
    """Images per optimizer step (the nominal batch size is set to the same)."""
    optimizer: Optimizer = "AdamW"
    lr0: float = Field(default=0.003, gt=0)
    """Peak learning rate."""
    lrf: float = Field(default=0.02, gt=0, le=1)
    """The last learning rate, as a share of `lr0`; a cosine leads there."""
    momentum: Share = 0.9
    weight_decay: float = Field(default=0.0005, ge=0)
    warmup_epochs: float = Field(default=1.0, ge=0)
    mosaic: Share = 0.6
    close_mosaic: int = Field(default=3, ge=0)
    """Epochs at the end without mosaic."""
    mixup: Share = 0.0
    fliplr: Share = 0.5
    hsv_h: Share = 0.015
    hsv_s: Share = 0.5
    hsv_v: Share = 0.4
    degrees: float = Field(default=0.0, ge=0, le=180)
    translate: Share = 0.1
    scale: Share = 0.4


class Phase(Section):
    """One phase: what it gives here replaces the value of the `train` section."""

    imgsz: ImageSize | None = None
    epochs: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=1)
    optimizer: Optimizer | None = None
    lr0: float | None = Field(default=None, gt=0)
    lrf: float | None = Field(default=None, gt=0, le=1)
    momentum: Share | None = None
    weight_decay: float | None = Field(default=None, ge=0)
    warmup_epochs: float | None = Field(default=None, ge=0)
    mosaic: Share | None = None
    close_mosaic: int | None = Field(default=None, ge=0)
    mixup: Share | None = None
    fliplr: Share | None = None
    hsv_h: Share | None = None
    hsv_s: Share | None = None
    hsv_v: Share | None = None
    degrees: float | None = Field(default=None, ge=0, le=180)
    translate: Share | None = None
    scale: Share | None = None


class TrainSection(Hyperparameters):
    """The whole of training. Without `phases` there is one, with the values given here."""

    model: str = "yolov9t.yaml"
    """A network (`yolov9t.yaml` starts from random weights) or a checkpoint (`*.pt`) to start from."""
    phases: tuple[Phase, ...] = ()
    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    """`cpu`, or the index of a GPU."""
    threads: int | None = Field(default=None, ge=1)
    """Cores to train on; all of them if left out."""
    workers: int = Field(default=0, ge=0, le=64)
    """Processes that prepare batches beside the one that trains."""
    precision: Precision = "fp32"
    channels_last: bool = True
    cache: bool = True
    """Keep the decoded images in memory."""
    validate_each_epoch: bool = False
    """Measure after every epoch and keep the best epoch's weights, instead of the last one's."""

    @model_validator(mode="after")
    def _fits_together(self) -> TrainSection:
        if self.device == "cpu" and self.precision != "fp32":
            raise ValueError(f"precision {self.precision} needs a GPU; on the CPU it is fp32")
        for number, phase in enumerate(self.schedule(), start=1):
            if phase.warmup_epochs > phase.epochs:
                raise ValueError(
                    f"phase {number}: warmup_epochs ({phase.warmup_epochs}) exceeds its epochs ({phase.epochs})"
                )
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
