"""Which layers are quantised, told from a tiny OpenVINO model."""

from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from pasarela_training.export.layers import decoding_operations, disturbance, layers, unquantised

RNG = np.random.default_rng(0)
WEIGHTS = [RNG.normal(0, 0.3, (4, 4, 1, 1)).astype(np.float32) for _ in range(3)]


def network(levels: dict[str, int]) -> Any:
    """Three convolutions, and a sigmoid that is scaled; those in `levels` have inputs of so many steps."""
    x = ops.parameter([1, 4, 8, 8], np.float32, name="images")
    y = x
    for name, weights in zip(("first", "second", "third"), WEIGHTS, strict=True):
        if name in levels:
            low, high = np.float32(-3), np.float32(3)
            y = ops.fake_quantize(y, low, high, low, high, levels[name])
        y = ops.convolution(y, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1], name=name)
        y = ops.add(y, ops.constant(np.ones((1, 4, 1, 1), np.float32)), name=f"{name}/bias")
    y = ops.multiply(ops.sigmoid(y, name="score"), ops.constant(np.float32(2)), name="scale")
    return ov.Model([y], [x], "tiny")


def test_layers_without_quantised_inputs_are_named() -> None:
    model = network({"first": 256, "third": 256})
    assert [node.get_friendly_name() for node in layers(model)] == ["first", "second", "third"]
    assert unquantised(model) == ["second"]


def test_what_makes_boxes_of_answers_is_left_out_but_no_layer_and_no_bias() -> None:
    assert decoding_operations(network({})) == ["scale", "score"]


def test_the_layer_that_adds_most_error_comes_first() -> None:
    seen: list[tuple[int, int]] = []
    arrays = [RNG.normal(0, 1, (1, 4, 8, 8)).astype(np.float32) for _ in range(2)]
    quantised = network({"first": 256, "second": 4, "third": 256})
    ranking = disturbance(network({}), quantised, arrays, lambda done, total: seen.append((done, total)))
    assert ranking[0] == "second"
    assert sorted(ranking) == ["first", "second", "third"]
    assert seen == [(1, 2), (2, 2)]
