"""Compiling, with PyTorch's compiler that changes nothing: what it makes faster shows where there is a GPU."""

import logging
import warnings
from typing import Any

import pytest
import torch

from pasarela_server.backends.pytorch_compiled import Compiler, asks_to_compile
from pasarela_server.backends.pytorch_network import Network
from pasarela_server.backends.pytorch_precision import Precision
from pasarela_server.errors import InvalidModel


def scripted(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated; archives of it are not
        return torch.jit.script(module.eval())


class Scaled(torch.nn.Module):
    def forward(self, images):
        return images * 2


@pytest.fixture
def network():
    module = scripted(Scaled())
    return Network(torch, module, "cpu", answers=(torch.float32,), pixels=(True,))


def inputs_of(kind):
    return [torch.zeros((2, 4, 4, 3), dtype=torch.uint8) if kind == "pixels" else torch.zeros((2, 3, 4, 4))]


@pytest.mark.parametrize("kind", ["pixels", "values"])
def test_what_is_compiled_reads_the_tensors_as_they_are_when_it_is_called(network, kind):
    compiler = Compiler(network, Precision.F32, "model", backend="eager")
    with torch.inference_mode():
        inputs = inputs_of(kind)
        run = compiler(inputs)
        for level in (3, 5):
            inputs[0].fill_(level)
            (answer,) = run()
            assert torch.allclose(answer, torch.full((2, 3, 4, 4), 2 * level / (255 if kind == "pixels" else 1)))
    assert compiler.compiled == 1


def test_sessions_share_what_was_compiled(network):
    compiler = Compiler(network, Precision.F32, "model", backend="eager")
    with torch.inference_mode():
        first: Any = compiler(inputs_of("values"))
        second: Any = compiler(inputs_of("values"))
    assert first.func is second.func
    assert first.args[0] is not second.args[0], "each with tensors of its own"
    assert compiler.compiled == 1


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        # reason: a compiler that is not there, or fails
        ("nobody", "not compiled"),
        # reason: what it makes is checked before it is used
        ("wrong", "answers otherwise than the network"),
    ],
)
def test_what_cannot_be_compiled_is_run_as_it_is(network, backend, says, caplog, monkeypatch):
    if backend == "wrong":
        monkeypatch.setattr(torch, "compile", lambda traced, **_: lambda *tensors: [-one for one in traced(*tensors)])
    compiler = Compiler(network, Precision.F32, "garments/1/model.pt", backend=backend)
    with torch.inference_mode(), caplog.at_level(logging.WARNING, "pasarela_server.backends"):
        inputs = inputs_of("values")
        run = compiler(inputs)
        inputs[0].fill_(1)
        (answer,) = run()
    assert torch.equal(answer, torch.full((2, 3, 4, 4), 2.0))
    assert compiler.compiled == 0
    assert "garments/1/model.pt: not compiled" in caplog.text
    assert says in caplog.text


@pytest.mark.parametrize(("written", "asks"), [({}, False), ({"compile": "TRUE"}, True), ({"compile": "false"}, False)])
def test_compiling_must_be_asked_for(written, asks):
    assert asks_to_compile(written) is asks


def test_what_is_neither_true_nor_false_is_refused():
    with pytest.raises(InvalidModel, match="'compile' is 'perhaps'; expected true or false"):
        asks_to_compile({"compile": "perhaps"})
