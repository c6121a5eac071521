"""Looks into a torch.export archive (.pt2) before PyTorch reads it, and refuses what could run code of its author.

PyTorch's own reader unpickles what the archive asks it to unpickle, evaluates its expressions of sizes, and calls any
function below `torch` that its graph names. What `torch.export.save` writes for a plain network needs none of that:
tensors as bytes, operators of ATen, and arithmetic of sizes. Only that is let through.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pasarela_server.errors import InvalidModel

MODEL = "models/model.json"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_PAYLOADS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_MEMBERS = re.compile(
    r"\.data/\w+|\.?\w+|byteorder|extra/.+|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
)
_PAYLOAD_FILE = re.compile(r"(weight|tensor)_\d+")
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file\b)\w+\.\w+|torch\.sym_(int|float|max|min|not|ite|sqrt)|math\.(ceil|floor|trunc|sqrt)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|getitem|eq|ne|lt|le|gt|ge|and_|or_)"
)
_NAME = re.compile(r"[\w.]*")
_SPEC_TYPES = (None, "builtins.tuple", "builtins.list", "builtins.dict")
_ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.keyword, ast.Name, ast.Constant,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip
_FUNCTIONS = frozenset(
    {
        "Symbol", "Integer", "Rational", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv",
        "CeilToInt", "FloorToInt", "TruncToInt", "ToFloat", "IntTrueDiv", "FloatTrueDiv", "PowByNatural", "Where",
        "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Add", "Mul", "Pow", "Not", "And", "Or", "ceiling", "floor",
    }
)  # fmt: skip
_FREE_TEXT = frozenset({"as_string", "metadata", "stack_trace", "guards_code", "torch_version", "as_strings"})
"""Keys whose strings are quoted or thrown away, and never looked up or evaluated."""


class UnsafeArchive(InvalidModel):
    """An archive holds something that only its author could vouch for."""


def check_archive(torch: Any, content: bytes) -> None:
    """Refuses an archive that is not just a network's graph and its tensors.

    Args:
        torch: The framework: its own reader of archives is used, so that what is checked is what is loaded.
        content: The archive.

    Raises:
        UnsafeArchive: It holds something else; the message says what.
        Exception: Whatever the framework raises on an archive that it cannot read.
    """
    reader = torch._C.PyTorchFileReader(io.BytesIO(content))  # noqa: SLF001  # the reader of `torch.export.load`
    members: list[str] = reader.get_all_records()
    for member in members:
        if not _MEMBERS.fullmatch(member) or members.count(member) > 1:
            raise UnsafeArchive(f"it holds {member!r}, which is no part of an exported network")
    for needed in (MODEL, SAMPLE_INPUTS, *_PAYLOADS):
        if needed not in members:
            raise UnsafeArchive(f"it has no {needed!r}; write it again with torch.export.save of this PyTorch")
    for payload in _PAYLOADS:
        _check_payload(json.loads(reader.get_record(payload)))
    check_program(json.loads(reader.get_record(MODEL)))
    try:
        torch.load(io.BytesIO(reader.get_record(SAMPLE_INPUTS)), weights_only=True)
    except Exception as error:
        raise UnsafeArchive("its sample inputs are not just tensors, and are not unpickled") from error


def check_program(program: Mapping[str, Any]) -> None:
    """Refuses a serialised program whose strings could be evaluated, imported or called.

    Raises:
        UnsafeArchive: The message says what is refused.
    """
    for size in program["range_constraints"]:
        _check_expression(size)
    rest = {name: part for name, part in program.items() if name != "range_constraints"}
    for key, value in _strings(rest, ""):
        if key in ("in_spec", "out_spec"):
            _check_tree(json.loads(value)[1])
        elif key == "expr_str":
            _check_expression(value)
        elif key == "target":
            if not _OPERATOR.fullmatch(value):
                raise UnsafeArchive(f"it calls {value!r}; only operators of ATen are served")
        elif not _NAME.fullmatch(value):
            raise UnsafeArchive(f"{value!r} is no name")


def _strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every string below `value` with the key that it stands under; keys count as strings without one."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield "", name
            if name not in _FREE_TEXT:
                yield from _strings(part, name)


def _check_payload(config: Mapping[str, Any]) -> None:
    for name, payload in config["config"].items():
        if payload["use_pickle"] is not False or not _PAYLOAD_FILE.fullmatch(payload["path_name"]):
            raise UnsafeArchive(f"its tensor {name!r} is pickled, and reading a pickle runs whatever code it holds")
        if not _NAME.fullmatch(name):
            raise UnsafeArchive(f"{name!r} is no name")


def _check_tree(spec: Mapping[str, Any]) -> None:
    if spec["type"] not in _SPEC_TYPES:
        raise UnsafeArchive(f"its inputs or outputs lie in a {spec['type']}; use tuples, lists or dicts")
    for child in spec["children_spec"]:
        _check_tree(child)


def _check_expression(text: str) -> None:
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UnsafeArchive(f"its size {text[:80]!r} is no arithmetic") from error
    # The only strings of PyTorch's expressions are the names of symbols.
    for node in nodes:
        known = isinstance(node, _ARITHMETIC)
        if isinstance(node, ast.Call):
            known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            known = node.value.isidentifier()
        if not known:
            raise UnsafeArchive(f"its size {text[:80]!r} is no arithmetic")
