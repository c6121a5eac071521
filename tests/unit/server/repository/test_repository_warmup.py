"""What a model is warmed up with before it is READY."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pasarela_server.config.model import BatchingConfig, ModelConfig
from pasarela_server.config.warmup import WarmupData, WarmupInput, WarmupSample
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.warmup import batch_sizes, default_inputs, sample_inputs
from pasarela_server.tensor import DataType, TensorSpec

IMAGES = TensorSpec("images", DataType.FP16, (-1, 3, -1, -1))


def config(rows: int, merged: BatchingConfig | None = None) -> ModelConfig:
    return ModelConfig(name="m", backend="b", inputs=(), outputs=(), max_batch_size=rows, dynamic_batching=merged)


@pytest.mark.parametrize(
    ("rows", "merged", "expected"),
    [
        (0, None, (1,)),  # reason: no batch dimension
        (1, None, (1,)),  # reason: one row at most
        (6, None, (1, 6)),  # reason: only clients make batches: the largest stands for all
        (5, BatchingConfig(), (1, 2, 3, 4, 5)),  # reason: merging brings about each of them
        (32, BatchingConfig((12, 24)), (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32)),  # reason: and the preferred ones
    ],
)
def test_batch_sizes(rows: int, merged: BatchingConfig | None, expected: tuple[int, ...]) -> None:
    assert batch_sizes(config(rows, merged)) == expected


@pytest.mark.parametrize(
    ("specs", "image_size", "rows", "expected"),
    [
        ([IMAGES], (32, 64), 2, {"images": (2, 3, 32, 64)}),  # reason: an image of the size that it is made for
        ([IMAGES], None, 1, None),  # reason: nothing says which size is usual
        ([TensorSpec("x", DataType.FP32, (-1, 2))], None, 3, {"x": (3, 2)}),  # reason: the rows vary
        ([TensorSpec("x", DataType.FP32, (5, 2))], None, 1, {"x": (5, 2)}),  # reason: nothing varies
        ([TensorSpec("x", DataType.FP32, (-1, -1))], None, 1, None),  # reason: a size that nobody knows
        ([TensorSpec("x", DataType.FP32, ())], None, 1, {"x": ()}),  # reason: a scalar has no rows
    ],
)
def test_default_inputs(specs: Any, image_size: Any, rows: int, expected: Any) -> None:
    arrays = default_inputs(specs, image_size, rows)

    assert expected == (None if arrays is None else {name: array.shape for name, array in arrays.items()})


def test_elements_of_bytes_are_empty() -> None:
    arrays = default_inputs([TensorSpec("x", DataType.BYTES, (-1, 2))], None, 1)

    assert arrays is not None
    assert arrays["x"].tolist() == [[b"", b""]]


class TestSamples:
    """What a configuration asks for."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "m" / "warmup").mkdir(parents=True)
        return tmp_path / "m"

    def arrays(self, folder: Path, datatype: DataType, data: WarmupData, file: str = "") -> Any:
        given = WarmupInput("x", datatype, (2, 2), data, file)
        return sample_inputs(WarmupSample("s", 1, (given,)), folder)["x"]

    @pytest.mark.parametrize("datatype", list(DataType))
    @pytest.mark.parametrize("data", [WarmupData.ZERO, WarmupData.RANDOM])
    def test_each_type_can_be_made(self, folder: Path, datatype: DataType, data: WarmupData) -> None:
        array = self.arrays(folder, datatype, data)

        assert (array.shape, array.dtype) == ((2, 2), datatype.numpy)

    def test_content_of_a_file(self, folder: Path) -> None:
        (folder / "warmup" / "x.raw").write_bytes(np.float32([1, 2, 3, 4]).tobytes())
        (folder / "warmup" / "b.raw").write_bytes(
            b"".join(struct.pack("<I", 1) + one for one in (b"a", b"b", b"c", b"d"))
        )

        assert self.arrays(folder, DataType.FP32, WarmupData.FILE, "x.raw").tolist() == [[1, 2], [3, 4]]
        assert self.arrays(folder, DataType.BYTES, WarmupData.FILE, "b.raw").tolist() == [[b"a", b"b"], [b"c", b"d"]]

    @pytest.mark.parametrize(
        ("datatype", "content", "expected"),
        [
            (DataType.FP32, None, "m/warmup/x.raw cannot be read: No such file"),  # reason: it is not there
            (DataType.FP32, b"12345", r"has 5 bytes; expected 16: FP32 of shape \[2, 2\]"),  # reason: cut short
            (DataType.BYTES, b"\x01\0\0\0a", "holds no 4 elements"),  # reason: too few
            (DataType.BYTES, b"\xff\xff\xff\xffa", "holds no 4 elements"),  # reason: a length beyond the end
        ],
    )
    def test_files_that_do_not_fit(
        self, folder: Path, datatype: DataType, content: bytes | None, expected: str
    ) -> None:
        if content is not None:
            (folder / "warmup" / "x.raw").write_bytes(content)
        with pytest.raises(InvalidModel, match=expected):
            self.arrays(folder, datatype, WarmupData.FILE, "x.raw")

    def test_they_are_run_instead_of_zeros(self, repository: Any) -> None:
        sample = """
        model_warmup { name: "two" batch_size: 2 count: 3
                       inputs { key: "x" value { data_type: TYPE_FP32 dims: 2 random_data: true } } }
        instance_group { count: 1 }
        """
        repository.add("m", "plain", config=sample).manager()

        (backend,) = repository.loader.backends
        assert backend.shapes == [{"x": (2, 2)}] * 3
