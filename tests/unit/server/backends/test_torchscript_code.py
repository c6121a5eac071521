"""TorchScript whose code reaches out of its archive is refused before any of it runs."""

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


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_an_archive_that_writes_files_is_not_loaded(tmp_path: Path) -> None:
    import torch

    written = tmp_path / "written"
    source = f"def forward(self, x: Tensor) -> Tensor:\n    torch.save(x, {str(written)!r})\n    return x\n"
    module = torch.jit.ScriptModule()
    module.define(source)
    artefact = tmp_path / "model.pt"
    module.save(str(artefact))
    with pytest.raises(InvalidModel, match=r"model.pt is not loaded: its code names 'save'"):
        load_torchscript(torch, artefact, "cpu")[0](torch.zeros(1))
    assert not written.exists()
