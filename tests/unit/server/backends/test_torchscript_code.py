"""TorchScript whose code reaches out of its archive is refused before any of it runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from pasarela_server.backends.torchscript_archive import load_torchscript
from pasarela_server.backends.torchscript_code import reaches_out
from pasarela_server.errors import InvalidModel


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('_0 = torch.conv2d(x, getattr(self.model, "0").weight)', ""),  # reason: as exporters write it
        ("_0 = ops.torchvision.nms(boxes, scores, 0.5)", ""),  # reason: suppression in the network
        ("_0 = ops.prim.NumToTensor(torch.size(x, 0))", ""),  # reason: sizes of a traced network
        ("packed : __torch__.torch.classes.quantized.Conv2dPackedParamsBase", ""),  # reason: a quantised one
        ("saved : bool", ""),  # reason: another word
        ('torch.save(x, "/etc/cron.d/x")', "save"),  # reason: writes a file
        ("t = torch\n  s = t.save", "save"),  # reason: the same by a detour
        ('torch.from_file("/etc/passwd", False, 9)', "from_file"),  # reason: reads one
        ('ops.image.read_file("/etc/passwd")', "read_file"),  # reason: torchvision's way to read one
        ("ops.c10d.barrier(x)", "ops.c10d.barrier"),  # reason: operators that are not a network's
        ("o = ops", "ops"),  # reason: names behind another name
        ("f = __torch__.torch.classes.c10d.ProcessGroup", "torch.classes.c10d.ProcessGroup"),  # reason: classes
        ('getattr(torch, "sa" "ve")', "getattr"),  # reason: a name in two pieces
        ('getattr(torch, "sav\\x65")', "getattr"),  # reason: an escaped one
    ],
)
def test_what_reaches_out(code: str, found: str) -> None:
    assert reaches_out(code.encode()) == found


WRITES_AN_ARCHIVE = """
import sys, torch
module = torch.jit.ScriptModule()
module.define(f"def forward(self, x: Tensor) -> Tensor:\\n    torch.save(x, {sys.argv[1]!r})\\n    return x\\n")
module.save(sys.argv[2])
"""
"""In a process of its own: Ultralytics puts another `torch.save` in the place of PyTorch's where it is imported."""


def test_an_archive_that_writes_files_is_not_loaded(tmp_path: Path) -> None:
    import torch

    written, artefact = tmp_path / "written", tmp_path / "model.pt"
    subprocess.run([sys.executable, "-W", "ignore", "-c", WRITES_AN_ARCHIVE, written, artefact], check=True)
    with pytest.raises(InvalidModel, match=r"model.pt is not loaded: its code names 'save'"):
        load_torchscript(torch, artefact, "cpu")[0](torch.zeros(1))
    assert not written.exists()
