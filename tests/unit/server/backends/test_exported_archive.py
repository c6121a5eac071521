"""A torch.export archive is a network and its tensors, or it is refused: nothing in it is unpickled, imported or called."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pasarela_server.backends import BackendOptions, load_backend
from pasarela_server.backends.exported_archive import UnsafeArchive, check_program
from pasarela_server.errors import InvalidModel

Make = Callable[..., Path]
Change = Callable[[dict[str, Any]], None]
OPTIONS = BackendOptions(instances=1, threads=1)
PROGRAM, WEIGHTS, CONSTANTS = (
    "models/model.json",
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[Path, str]]:
        return Path.write_text, (self.marker, "unpickled")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive as torch.export writes it."""
    import torch

    class Adder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.one

    path = tmp_path_factory.mktemp("program") / "model.pt2"
    dynamic = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(Adder(), (torch.zeros(2, 4),), dynamic_shapes=dynamic), path)
    return path


def rewritten(source: Path, target: Path, changes: dict[str, Callable[[bytes], bytes]], **added: bytes) -> Path:
    """A copy with some members changed, and others added under names whose slashes are written `__`."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            change = changes.get(name.partition("/")[2], lambda content: content)
            new.writestr(name, change(old.read(name)))
        for name, content in added.items():
            new.writestr(f"{root}/{name.replace('__', '/')}", content)
    return target


def in_json(change: Change) -> Callable[[bytes], bytes]:
    """Changes a member that is JSON."""

    def changed(content: bytes) -> bytes:
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()

    return changed


def load(path: Path) -> None:
    load_backend("pytorch", path, OPTIONS)


def test_a_plain_archive_is_loaded(archive: Path, tmp_path: Path) -> None:
    load(rewritten(archive, tmp_path / "model.pt2", {}))


def test_sample_inputs_are_not_unpickled(archive: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    bomb = pickle.dumps(Bomb(marker))
    path = rewritten(archive, tmp_path / "model.pt2", {"data/sample_inputs/model.pt": lambda _: bomb})
    with pytest.raises(InvalidModel, match="sample inputs are not just tensors"):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize("config", [WEIGHTS, CONSTANTS])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"use_pickle": True}, id="pickled, it says"),
        pytest.param({"path_name": "opaque_obj_0"}, id="an object of Python"),
        pytest.param({"path_name": "custom_obj_0"}, id="an object of TorchScript"),
    ],
)
def test_weights_are_not_unpickled(archive: Path, tmp_path: Path, config: str, change: dict[str, object]) -> None:
    marker = tmp_path / "marker"

    def add(value: dict[str, Any]) -> None:
        value["config"]["x"] = {
            "path_name": "weight_0",
            "is_param": True,
            "use_pickle": False,
            "tensor_meta": None,
        } | change

    path = rewritten(
        archive,
        tmp_path / "model.pt2",
        {config: in_json(add), "data/weights/weight_0": lambda _: pickle.dumps(Bomb(marker))},
    )
    with pytest.raises(InvalidModel, match="'x' is pickled"):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["data__aotinductor__model__x.so", "data__weights__model.pt", "data__constants__opaque_obj_0", "setup.py"]
)
def test_members_that_are_no_part_of_a_network_are_refused(archive: Path, tmp_path: Path, name: str) -> None:
    path = rewritten(archive, tmp_path / "model.pt2", {}, **{name: b"x"})
    with pytest.raises(InvalidModel, match="which is no part of an exported network"):
        load(path)


def _node(program: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = program["graph_module"]["graph"]["nodes"][-1]
    return node


def _set(path: str, value: object) -> Change:
    def change(program: dict[str, Any]) -> None:
        *steps, last = path.split("/")
        place: Any = program
        for step in steps:
            place = place[int(step) if isinstance(place, list) else step]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        *(
            pytest.param(lambda program, call=call: _node(program).update(target=call), f"it calls '{call}'", id=call)
            for call in (
                "torch.os.system", "torch.load", "torch.ops.aten.from_file.default", "torch.ops.load_library",
                "_operator.attrgetter", "_operator.methodcaller", "math.__class__", "torch.ops.aten.add.Tensor.__init__",
                "torch.ops.higher_order.wrap_with_set_grad_enabled", "builtins.eval",
            )
        ),
        pytest.param(
            _set("range_constraints", {"__import__('os').system('x')": {"min_val": 0, "max_val": 1}}),
            "is no arithmetic", id="a range that is code",
        ),
        pytest.param(
            _set("graph_module/graph/sym_int_values", {"s": {"as_expr": {"expr_str": "(lambda: 0)()", "hint": None}}}),
            "is no arithmetic", id="a size that is code",
        ),
        pytest.param(
            _set("graph_module/graph/sym_int_values", {"s": {"as_expr": {"expr_str": "Symbol('a b').x", "hint": None}}}),
            "is no arithmetic", id="an attribute of a size",
        ),
        pytest.param(
            _set("graph_module/graph/inputs/0/as_tensor/name", "x=print()"), "'x=print()' is no name", id="code as a name"
        ),
        pytest.param(
            _set("graph_module/module_call_graph/0/signature/out_spec",
                 json.dumps([1, {"type": "builtins.object", "context": "null", "children_spec": []}])),
            "lie in a builtins.object", id="an answer of any type",
        ),
    ],
)  # fmt: skip
def test_programs_that_do_more_than_compute_are_refused(
    archive: Path, tmp_path: Path, change: Change, says: str
) -> None:
    with zipfile.ZipFile(archive) as opened:
        program = json.loads(opened.read(next(name for name in opened.namelist() if name.endswith(PROGRAM))))
    check_program(program)
    change(program)
    with pytest.raises(UnsafeArchive) as refusal:
        check_program(program)
    assert says in str(refusal.value)
    with pytest.raises(InvalidModel):
        load(rewritten(archive, tmp_path / "model.pt2", {PROGRAM: lambda _: json.dumps(program).encode()}))


def test_archives_of_an_older_pytorch_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("version", "1")
    with pytest.raises(InvalidModel, match=r"model\.pt2 cannot be loaded"):
        load(path)
