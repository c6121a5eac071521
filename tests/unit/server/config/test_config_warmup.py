"""`model_warmup` of a configuration: what it may say, and what is said when it does not fit the model."""

from __future__ import annotations

import pytest

from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.config.warmup import WarmupData, WarmupInput, WarmupSample, read_warmup
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

X = TensorSpec("x", DataType.FP32, (-1, 2, -1))


def read(text: str, spec: TensorSpec = X, max_batch_size: int = 4) -> tuple[WarmupSample, ...]:
    return read_warmup(parse_model_config(text, "m/config.pbtxt"), (spec,), max_batch_size, "m/config.pbtxt")


def sample(content: str, *, key: str = "x", beside: str = "") -> str:
    return f'model_warmup {{ name: "s" {beside} inputs {{ key: "{key}" value {{ {content} }} }} }}'


FITS = "data_type: TYPE_FP32 dims: [2, 9] zero_data: true"


def test_what_is_left_out_is_one() -> None:
    (found,) = read(sample(FITS))

    assert found == WarmupSample("s", 1, (WarmupInput("x", DataType.FP32, (1, 2, 9), WarmupData.ZERO),))


def test_everything_said() -> None:
    (found,) = read(
        sample('data_type: TYPE_FP32 dims: [2, 9] input_data_file: "x.raw"', beside="batch_size: 3 count: 5")
    )

    assert (found.repeats, found.inputs[0].shape) == (5, (3, 2, 9))
    assert (found.inputs[0].data, found.inputs[0].file) == (WarmupData.FILE, "x.raw")


def test_a_model_without_batch_dimension_says_whole_shapes() -> None:
    (found,) = read(
        sample("data_type: TYPE_FP32 dims: [7, 2] random_data: true", beside="batch_size: 9"),
        TensorSpec("x", DataType.FP32, (-1, 2)),
        max_batch_size=0,
    )

    assert found.inputs[0].shape == (7, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (sample(FITS, key="y"), "has inputs 'y'; the model has 'x'"),  # reason: another input
        ('model_warmup { name: "s" }', "has inputs none; the model has 'x'"),  # reason: no input
        (sample(FITS, beside="batch_size: 5"), "batch_size is 5; expected at most 4"),  # reason: more than a batch
        (sample(FITS, beside="count: 2000"), "count is 2000; expected at most 1000"),  # reason: it would never end
        (sample("data_type: TYPE_INT8 dims: [2, 9] zero_data: true"), "is TYPE_INT8, but the model has TYPE_FP32"),  # reason: its type
        (sample("data_type: TYPE_FP32 dims: [3, 9] zero_data: true"), r"\[3, 9\]; expected .* \[2, -1\], the batch"),  # reason: size
        (sample("data_type: TYPE_FP32 dims: [2] zero_data: true"), r"dims are \[2\]"),  # reason: too few dims
        (sample("data_type: TYPE_FP32 dims: [2, -1] zero_data: true"), r"dims are \[2, -1\]"),  # reason: no size at all
        (sample("data_type: TYPE_FP32 dims: [2, 999999999] zero_data: true"), "elements; expected at most"),  # reason: a typo
        (sample("data_type: TYPE_FP32 dims: [2, 9]"), "say where its data come from"),  # reason: no data
        (sample("data_type: TYPE_FP32 dims: [2, 9] zero_data: false"), "say where its data come from"),  # reason: denied
        (sample('data_type: TYPE_FP32 dims: [2, 9] input_data_file: "../x"'), "must be a file name"),  # reason: a path
    ],
)  # fmt: skip
def test_what_does_not_fit(text: str, expected: str) -> None:
    with pytest.raises(InvalidModel, match=f"^m/config.pbtxt: model_warmup 's'.*{expected}"):
        read(text)
