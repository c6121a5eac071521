"""Which layers of an OpenVINO model compute in INT8, and which ones quantisation disturbs most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pasarela_server.tensor import Array

_WEIGHTED = frozenset({"Convolution", "GroupConvolution", "MatMul"})
_PASSING = frozenset(
    {"Concat", "Reshape", "Transpose", "MaxPool", "Split", "VariadicSplit", "StridedSlice", "Slice", "Squeeze"}
    | {"Unsqueeze", "Interpolate", "Convert"}
)
"""Operations that leave numbers as they are, so that a quantiser before them serves what follows."""
_DECODING = frozenset({"Sigmoid", "Multiply", "Subtract", "Divide", "Softmax", "Add", "Convolution", "MatMul"})
_DECODING_LAYER = ".dfl"


def decoding_operations(model: Any) -> list[str]:
    """The arithmetic after the last layers: what turns their answers into boxes and scores, by name.

    It is left out of quantisation by design: 8 bits cannot tell the pixels of an image apart.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    pending = [result.input_value(0).get_node() for result in model.get_results()]
    while pending:
        node = pending.pop()
        name, kind = node.get_friendly_name(), node.get_type_name()
        layer = kind in _WEIGHTED and _DECODING_LAYER not in name
        if name in seen or kind in ("ShapeOf", "Constant", "Parameter") or layer:
            continue
        seen.add(name)
        sources = [value.get_node() for value in node.input_values()]
        is_bias = kind == "Add" and any(source.get_type_name() in _WEIGHTED for source in sources)
        if kind in _DECODING and not is_bias:
            found[name] = None
        pending += sources
    return sorted(found)


def layers(model: Any) -> list[Any]:
    """The convolutions and matrix products that have weights, in order of computation."""
    return [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() in _WEIGHTED and _is_constant(node.input_value(1).get_node())
    ]


def unquantised(model: Any) -> list[str]:
    """Names of the layers whose inputs are not quantised: they compute in floating point."""
    return [node.get_friendly_name() for node in layers(model) if not _quantised(node.input_value(0).get_node())]


def disturbance(original: Any, quantised: Any, arrays: Sequence[Array], show: Callable[[int, int], None]) -> list[str]:
    """Ranks layers by how much relative error each adds to what it gets, worst first.

    Args:
        original: The model before, of static shape.
        quantised: The same after, of static shape.
        arrays: Inputs to compare on.
        show: Is told (done, total).
    """
    fixed = set(unquantised(quantised))
    names = [node.get_friendly_name() for node in layers(quantised)]
    common = [name for name in names if name in {node.get_friendly_name() for node in layers(original)}]
    common = [name for name in common if name not in fixed]
    requests = [_observed(model, common) for model in (original, quantised)]
    errors = np.zeros((len(common), 2))
    for done, array in enumerate(arrays, start=1):
        exact, rough = (request.infer([array]) for request in requests)
        for index in range(len(common)):
            for side in range(2):
                place = 2 * index + side
                reference = np.asarray(exact[place], np.float64)
                power = float(np.square(reference).mean()) or 1.0
                errors[index, side] += float(np.square(rough[place] - reference).mean()) / power
        show(done, len(arrays))
    added = errors[:, 1] - errors[:, 0]
    return [common[index] for index in np.argsort(-added, kind="stable")]


def _observed(model: Any, names: Sequence[str]) -> Any:
    """A request of a copy of the model whose outputs are the input and the output of each layer named."""
    import openvino

    copy = model.clone()
    nodes = {node.get_friendly_name(): node for node in layers(copy)}
    outputs = []
    for name in names:
        source = nodes[name].input_value(0)
        if source.get_node().get_type_name() == "FakeQuantize":
            source = source.get_node().input_value(0)
        outputs += [source, nodes[name].output(0)]
    results = [openvino.opset13.result(output) for output in outputs]
    observed = openvino.Model(results, copy.get_parameters(), "observed")
    return openvino.compile_model(observed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()


def _quantised(node: Any) -> bool:
    if node.get_type_name() == "FakeQuantize":
        return True
    if node.get_type_name() not in _PASSING:
        return False
    sources = [value.get_node() for value in node.input_values()]
    data = sources if node.get_type_name() == "Concat" else sources[:1]
    return all(_quantised(source) for source in data)


def _is_constant(node: Any) -> bool:
    if node.get_type_name() == "Constant":
        return True
    sources = [value.get_node() for value in node.input_values()]
    return bool(sources) and all(_is_constant(source) for source in sources)
