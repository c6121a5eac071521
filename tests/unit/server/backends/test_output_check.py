"""Answers that do not fit what the artefact says are the model's failure, and reach nobody."""

import numpy as np
import pytest

from pasarela_server.backends.outputs import OutputCheck
from pasarela_server.errors import BackendFailure
from pasarela_server.tensor import DataType, TensorSpec

SPEC = TensorSpec("y", DataType.FP32, (-1, 6, -1))
GOOD = np.zeros((2, 6, 5), np.float32)


@pytest.mark.parametrize(
    ("outputs", "batched"),
    [
        pytest.param({"y": GOOD}, True, id="as it should be"),
        pytest.param({"y": GOOD, "z": 1}, True, id="what nobody offers is not looked at"),
        pytest.param({"y": np.zeros((7, 6, 5), np.float32)}, False, id="no rows where there is no batch"),
    ],
)
def test_what_fits_passes(outputs, batched):
    OutputCheck("m", [SPEC], batched=batched).check(outputs, rows=2)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        pytest.param({}, "did not answer with its output 'y'", id="none"),
        pytest.param({"y": GOOD.astype(np.float64)}, r"FP32 of shape \[-1, 6, -1\], and is float64", id="another type"),
        pytest.param({"y": GOOD[:, :5]}, r"and is float32 of shape \[2, 5, 5\]", id="another size"),
        pytest.param({"y": GOOD[0]}, r"of shape \[6, 5\]", id="a dimension less"),
        pytest.param({"y": GOOD[:1]}, "after a batch of 2 rows", id="a row less"),
        pytest.param({"y": np.repeat(GOOD, 2, 0)}, "after a batch of 2 rows", id="rows more"),
    ],
)
def test_what_does_not_fit_is_the_models_failure(outputs, says):
    with pytest.raises(BackendFailure, match=f"model 'm'.*{says}"):
        OutputCheck("m", [SPEC], batched=True).check(outputs, rows=2)
