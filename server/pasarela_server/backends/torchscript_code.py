"""Looks into the code of a TorchScript archive before PyTorch runs any of it, and refuses what reaches out of it.

TorchScript is a language: it can write a file of any name (`torch.save`), map one (`torch.from_file`), and call
whatever operators the process knows. What exporters write needs none of that. Some of it would run while the archive is
opened.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pasarela_server.errors import InvalidModel

_FILES = re.compile(rb"\b(?:save|from_file|read_file|write_file)\b")
_OPERATORS = re.compile(rb"\bops\b(?!\.(?:aten|prim|quantized|torchvision)\.)[\w.]*")
_CLASSES = re.compile(rb"\btorch\.classes\b(?!\.quantized\.)[\w.]*")
_GETATTR = re.compile(rb"\bgetattr\b")
_PLAIN_GETATTR = re.compile(rb'\bgetattr\([\w.]+, "\w+"\)')
"""As PyTorch writes it; any other could spell a name in pieces."""


def check_code(torch: Any, artefact: Path) -> None:
    """Refuses an archive whose code is not just a network's.

    Args:
        torch: The framework: its own reader of archives is used, so that what is checked is what is loaded.
        artefact: The archive.

    Raises:
        InvalidModel: It reaches out of itself; the message says by what.
        Exception: Whatever the framework raises on an archive that it cannot read.
    """
    reader = torch._C.PyTorchFileReader(str(artefact))  # noqa: SLF001  # the reader of `torch.jit.load`
    for member in reader.get_all_records():
        if member.startswith("code/") and member.endswith(".py"):
            found = reaches_out(reader.get_record(member))
            if found:
                raise InvalidModel(
                    f"{artefact.name} is not loaded: its code names {found!r}, which is not computing; "
                    "a network that was traced, as exporters do, has nothing like it"
                )


def reaches_out(code: bytes) -> str:
    """The first name in code that reads or writes files, or could be anything; empty if there is none. Pure."""
    for pattern in (_FILES, _OPERATORS, _CLASSES):
        found = pattern.search(code)
        if found is not None:
            return found[0][:80].decode(errors="replace")
    plain = len(_PLAIN_GETATTR.findall(code))
    return "" if plain == len(_GETATTR.findall(code)) else "getattr"
