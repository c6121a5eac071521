"""Brings a PyTorch module into the form that its device computes fastest, as long as its answers stay the same."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pasarela_server.backends.pytorch_network import Network
from pasarela_server.backends.pytorch_precision import Precision
from pasarela_server.backends.reasons import reason
from pasarela_server.backends.torchscript_archive import freeze_torchscript
from pasarela_server.errors import InvalidModel

TOLERANCE = {Precision.F32: 1e-3, Precision.F16: 2e-2, Precision.BF16: 1e-1}
"""Largest difference to the archive's own answer, as a share of that answer's largest value."""


def fit(
    network: Network,
    sample: Sequence[Any],
    own: Sequence[Any],
    asked: Precision | None,
    usual: Precision,
    *,
    script: bool,
    records: bool,
) -> tuple[Network, Precision, str | None]:
    """Chooses precision and layout; each is tried on a sample first.

    Args:
        network: As it was loaded.
        sample: Tensors on its device.
        own: What it answers to them.
        asked: The precision that the configuration asks for, if any.
        usual: The precision to try if it asks for none.
        script: Whether the module is TorchScript.
        records: Whether its work will be recorded: then TorchScript's optimiser is left out where that works.

    Returns:
        The network to serve, the precision that it computes in, and for people why it is not `usual`, if it is not.

    Raises:
        InvalidModel: The network does not bear the precision that was asked for.
    """
    wanted = usual if asked is None else asked
    plain = replace(network, optimised=False)
    freezes = (False, True) if script and records else (script,)
    refused = None
    if wanted is not Precision.F32:
        lowered = [functools.partial(_lowered, network if freeze else plain, wanted, freeze) for freeze in freezes]
        found = _first_like(network.torch, lowered, sample, own, TOLERANCE[wanted])
        if isinstance(found, Network):
            return found, wanted, None
        refused = f"it does not bear the precision {wanted.value}: {found}"
        if asked is not None:
            raise InvalidModel(f"parameter 'precision' is {asked.value!r}, and the network does not bear it: {found}")
    laid_out = [
        functools.partial(_laid_out, network if freeze else plain, channels_last, freeze)
        for channels_last in (True, False)
        for freeze in freezes
    ]
    found = _first_like(network.torch, laid_out, sample, own, TOLERANCE[Precision.F32])
    return (found if isinstance(found, Network) else network), Precision.F32, refused


def _lowered(network: Network, precision: Precision, freeze: bool) -> Network:
    torch = network.torch
    compute = {Precision.F16: torch.float16, Precision.BF16: torch.bfloat16}[precision]
    module = copy.deepcopy(network.module).to(compute).to(memory_format=torch.channels_last)
    return replace(network, module=_frozen(torch, module, freeze), compute=compute, channels_last=True)


def _laid_out(network: Network, channels_last: bool, freeze: bool) -> Network:
    torch = network.torch
    module = network.module.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    return replace(network, module=_frozen(torch, module, freeze), channels_last=channels_last)


def _frozen(torch: Any, module: Any, freeze: bool) -> Any:
    return freeze_torchscript(torch, module) if freeze else module


def _first_like(
    torch: Any, candidates: Sequence[Callable[[], Network]], sample: Sequence[Any], own: Sequence[Any], tolerance: float
) -> Network | str:
    """The first of the candidates that answers a sample as the archive itself does; else why the last one does not."""
    failure = ""
    for candidate in candidates:
        try:
            with torch.no_grad():
                network = candidate()
            with torch.inference_mode():
                answers = network(sample)
        except Exception as error:  # noqa: BLE001 - a network may refuse in any way; it is then served as it is
            failure = reason(error)
            continue
        if all(alike(torch, *pair, tolerance) for pair in zip(answers, own, strict=True)):
            return network
        failure = "its answers differ from the archive's"
    return failure


def alike(torch: Any, answer: Any, own: Any, tolerance: float) -> bool:
    """Whether an output is the archive's own, up to a share of its largest value."""
    if answer.shape != own.shape:
        return False
    if not own.is_floating_point():
        return bool(torch.equal(answer, own))
    bound = tolerance * float(own.float().abs().nan_to_num(0, 0, 0).max()) if own.numel() else 0.0
    return bool(torch.allclose(answer.float(), own.float(), rtol=tolerance, atol=bound, equal_nan=True))
