"""In which form and precision a network is served: whichever is fastest of those that answer as the archive does."""

import logging
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from pasarela_server.backends import BackendOptions, load_backend
from pasarela_server.backends.pytorch_fitting import fit
from pasarela_server.backends.pytorch_network import Network
from pasarela_server.backends.pytorch_precision import Precision, asked_precision, usual_precision
from pasarela_server.errors import InvalidModel

ULTRALYTICS = {"task": "detect", "names": {0: "vest"}, "stride": 32, "imgsz": [64, 64]}


def scripted(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated; archives of it are not
        return torch.jit.script(module.eval())


class Convolution(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return self.conv(images)


class Fussy(Convolution):
    """Views only what lies in memory channel by channel."""

    def forward(self, images):
        return self.conv(images).view(images.size(0), -1)


class Large(torch.nn.Module):
    """Passes through numbers that half precision does not have."""

    def forward(self, images):
        return images * 1e6 * 1e-6


def fitted(module, asked=None, usual=Precision.F32, *, records=False):
    network = Network(torch, scripted(module), "cpu", answers=(torch.float32,))
    sample = [torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))]
    with torch.inference_mode():
        own = network(sample)
        chosen, precision, refused = fit(network, sample, own, asked, usual, script=True, records=records)
        answers = chosen(sample)
    assert torch.allclose(answers[0], own[0], rtol=2e-2, atol=2e-2)
    return chosen, precision, refused


@pytest.mark.parametrize(
    ("module", "asked", "usual", "expected"),
    [
        # reason: convolutions are faster on pixels that lie together
        (Convolution(), None, Precision.F32, (True, Precision.F32, None)),
        # reason: a network that cannot bear it is served as it was written
        (Fussy(), None, Precision.F32, (False, Precision.F32, None)),
        # reason: the usual precision, where it is right
        (Convolution(), None, Precision.F16, (True, Precision.F16, torch.float16)),
        # reason: what is asked for wins over what is usual
        (Convolution(), Precision.BF16, Precision.F16, (True, Precision.BF16, torch.bfloat16)),
        (Convolution(), Precision.F32, Precision.F16, (True, Precision.F32, None)),
        # reason: infinities instead of numbers
        (Large(), None, Precision.F16, (True, Precision.F32, None)),
    ],
)
def test_the_form(module, asked, usual, expected):
    chosen, precision, refused = fitted(module, asked, usual)
    assert (chosen.channels_last, precision, chosen.compute) == expected
    assert (refused is not None) == (asked is None and precision is not usual)


@pytest.mark.parametrize("usual", [Precision.F32, Precision.F16])
def test_what_will_be_recorded_does_without_the_optimiser(usual):
    chosen, precision, _ = fitted(Convolution(), usual=usual, records=True)
    assert (chosen.optimised, precision, chosen.channels_last) == (False, usual, True)


def test_a_precision_that_was_asked_for_and_is_wrong_is_refused():
    with pytest.raises(
        InvalidModel, match="'precision' is 'f16', and the network does not bear it: its answers differ"
    ):
        fitted(Large(), asked=Precision.F16)


@pytest.mark.parametrize(
    ("written", "precision"),
    [({}, None), ({"precision": "default"}, None), ({"precision": "F16"}, Precision.F16)],
)
def test_the_precision_that_is_asked_for(written, precision):
    assert asked_precision(written) is precision


def test_a_precision_that_does_not_exist_is_refused():
    with pytest.raises(InvalidModel, match="'precision' is 'int4'; expected one of f32, f16, bf16, default"):
        asked_precision({"precision": "int4"})


@pytest.mark.parametrize(
    ("metadata", "gpu", "precision"),
    [
        # reason: measured (decision 23)
        (ULTRALYTICS, True, Precision.F16),
        # reason: CPUs gain nothing
        (ULTRALYTICS, False, Precision.F32),
        # reason: nobody knows what an unknown network bears
        ({}, True, Precision.F32),
    ],
)
def test_the_usual_precision(metadata, gpu, precision):
    assert usual_precision(metadata, gpu=gpu) is precision


def test_a_served_model_takes_pixels_and_says_its_precision(make, tmp_path, expected, caplog):
    backend = load_backend("pytorch", make("torchscript_detector", tmp_path), BackendOptions(1, 1))
    assert backend.spec.pixel_inputs == {"images"}
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    pixels.flags.writeable = False
    with caplog.at_level(logging.WARNING):
        answer = backend.session().infer({"images": pixels})["output0"]
    values = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    assert np.allclose(answer, expected(values), atol=1e-4)
    assert "CPU, FP32" in backend.description
    assert caplog.text == ""


def test_half_precision_on_a_cpu_is_there_for_those_who_ask(make, tmp_path, expected):
    options = replace(BackendOptions(1, 1), parameters={"precision": "bf16"})
    backend = load_backend("pytorch", make("torchscript_detector", tmp_path), options)
    values = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    answer = backend.session().infer({"images": values})["output0"]
    assert answer.dtype == np.float32
    assert np.allclose(answer, expected(values), atol=0.1)
    assert not np.allclose(answer, expected(values), atol=1e-5), "it is less precise"
    assert "CPU, bf16" in backend.description
