"""`python -m loadtest.gpu.check`: is what a GPU answers right? The checks that a machine without a GPU cannot run."""

from __future__ import annotations

import argparse
import ctypes
import logging
import multiprocessing
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from pasarela_server.backends import Backend, BackendOptions, load_backend
from pasarela_server.backends.cuda import find_cuda_memory
from pasarela_server.backends.jpeg_batches import Placement, open_jpeg_batches
from pasarela_server.detection.exif import upright
from pasarela_server.detection.image import decode_image
from pasarela_server.detection.letterbox import PADDING_VALUE, Letterbox
from pasarela_server.errors import BackendFailure, InvalidModel

ROOT = Path(__file__).parents[2]
_BOX_PIXELS, _SCORE = 2.0, 0.02
"""How far half precision may be from single precision, at anchors that score above `_COUNTS`."""
_COUNTS = 0.05


@dataclass(frozen=True, slots=True)
class Given:
    """What a check works with."""

    artefact: Path
    """A detector at 640 px, TorchScript."""
    folder: Path
    """An empty one."""


def _load(artefact: Path, parameters: Mapping[str, str] = MappingProxyType({}), max_rows: int = 8) -> Backend:
    return load_backend("pytorch", artefact, BackendOptions(2, 1, {"device": "gpu", **parameters}, max_rows=max_rows))


def _pictures() -> np.ndarray:
    paths = sorted((ROOT / "docs/images/samples").glob("*.jpg"))
    images = [decode_image(path.read_bytes()) for path in paths]
    return np.stack([Letterbox.fit(image.shape[:2], (640, 640)).apply(image) for image in images])


def _values(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / 255


def _far(answer: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    counts = reference[:, 4:].max(axis=1) > _COUNTS
    difference = np.abs(answer - reference).transpose(0, 2, 1)[counts]
    return float(difference[:, :4].max()), float(difference[:, 4:].max())


def check_precisions(given: Given) -> str:
    """Each precision against the CPU, pixels against values, and the parts of a batch against the batch."""
    pixels = _pictures()
    reference = (
        load_backend("pytorch", given.artefact, BackendOptions(1, 8)).session().infer({"images": _values(pixels)})
    )
    said = []
    half = (_BOX_PIXELS, _SCORE)
    for precision, (boxes, scores) in {"default": half, "f32": (0.15, 2e-3), "f16": half}.items():
        backend = _load(given.artefact, {"precision": precision})
        session: Any = backend.session()
        whole = session.infer({"images": pixels})["output0"]
        parts = session.infer_parts([{"images": pixels[:1]}, {"images": pixels[1:4]}, {"images": pixels[4:]}])
        values = session.infer({"images": _values(pixels)})["output0"]
        assert np.array_equal(whole, parts["output0"]), "the parts of a batch are answered as the batch"
        far = [_far(answer, reference["output0"]) for answer in (whole, values)]
        assert all(one[0] <= boxes and one[1] <= scores for one in far), f"{precision}: {far}"
        said.append(f"{precision}: {far[0][0]:.2f} px, {far[0][1]:.4f} ({backend.description})")
        backend.close()
    return "; ".join(said)


def check_sizes(given: Given) -> str:
    """Every number of rows up to the largest batch and beyond it, and that answers stay what they were."""
    backend = _load(given.artefact, max_rows=20)
    session = backend.session()
    pixels = np.concatenate([_pictures()] * 4)[:22]
    kept = [session.infer({"images": pixels[:rows]})["output0"] for rows in range(1, 23)]
    copies = [answer.copy() for answer in kept]
    for _ in range(3):
        session.infer({"images": 255 - pixels[:20]})
    assert all(np.array_equal(*pair) for pair in zip(kept, copies, strict=True)), "answers belong to the caller"
    for rows, answer in enumerate(kept, 1):
        boxes, scores = _far(answer, kept[-1][:rows])
        assert answer.shape[0] == rows
        assert boxes < 1.0, (rows, boxes)
        assert scores < 0.01, (rows, scores)
    description = backend.description
    backend.close()
    return description


def check_side_by_side(given: Given) -> str:
    """Two sessions at the same time, while a third backend is loaded and recorded beside them."""
    backend = _load(given.artefact)
    pixels = _pictures()
    expected = backend.session().infer({"images": pixels[:4]})["output0"]
    wrong: list[float] = []
    stop = threading.Event()

    def stream() -> None:
        session = backend.session()
        while not stop.is_set():
            wrong.append(_far(session.infer({"images": pixels[:4]})["output0"], expected)[0])

    threads = [threading.Thread(target=stream) for _ in range(2)]
    for thread in threads:
        thread.start()
    other = _load(given.artefact)
    other.session()
    other.close()
    stop.set()
    for thread in threads:
        thread.join()
    backend.close()
    assert wrong
    assert max(wrong) < 1.0, max(wrong)
    return f"{len(wrong)} batches while another model was loaded"


def check_unusual(given: Given) -> str:
    """Sizes that were not recorded, work that cannot be recorded, and torch.export."""
    import torch

    class Plain(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 7, 32, stride=32)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.conv(images).flatten(2)

    class Asks(torch.nn.Module):  # type: ignore[misc]
        """Its path depends on values, which the host must wait for: no recording can do that."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if bool(x.sum() > 0):
                return x + 1
            return x - 1

    module = Plain().eval()
    scripted, asking, program = given.folder / "model.pt", given.folder / "asks.pt", given.folder / "model.pt2"
    torch.jit.save(torch.jit.script(module), scripted)
    torch.jit.save(torch.jit.script(Asks()), asking)
    rows = torch.export.Dim("rows")
    torch.export.save(torch.export.export(module, (torch.zeros(2, 3, 64, 64),), dynamic_shapes=({0: rows},)), program)
    noise = np.random.default_rng(0).random((3, 3, 64, 64), np.float32)
    wider = np.random.default_rng(0).random((2, 3, 96, 64), np.float32)
    with torch.inference_mode():
        own, own_wider = (module(torch.from_numpy(array)).numpy() for array in (noise, wider))
    free = _load(scripted, {"INPUT__0.shape": "-1,3,-1,-1"}).session()
    assert np.allclose(free.infer({"INPUT__0": noise})["OUTPUT__0"], own, atol=1e-3)
    assert np.allclose(free.infer({"INPUT__0": wider})["OUTPUT__0"], own_wider, atol=1e-3)
    exported = _load(program, {"precision": "f16"})
    (name,) = (tensor.name for tensor in exported.spec.inputs)
    (answer,) = exported.session().infer({name: noise}).values()
    assert np.allclose(answer, own, atol=1e-2)
    asks = _load(asking, {"INPUT__0.shape": "-1,4"})
    answer = asks.session().infer({"INPUT__0": np.ones((2, 4), np.float32)})["OUTPUT__0"]
    assert np.array_equal(answer, np.full((2, 4), 2, np.float32))
    assert "no CUDA graphs" in asks.description
    free_again = _load(scripted, {"INPUT__0.shape": "-1,3,64,64", "cuda_graphs": "off"})
    free_again.session()
    assert "no CUDA graphs" in free_again.description
    return f"{exported.description}; {asks.description}"


def check_compiled(given: Given) -> str:
    """What the compiler makes answers as the network does."""
    begun = time.perf_counter()
    backend = _load(given.artefact, {"compile": "true", "cuda_graphs": "4"})
    session = backend.session()
    assert "compiled CUDA graphs of 4 rows" in backend.description, backend.description
    took_s = time.perf_counter() - begun
    pixels = _pictures()[:4]
    plain = _load(given.artefact).session().infer({"images": pixels})["output0"]
    far = [_far(session.infer({"images": images})["output0"], plain) for images in (pixels, _values(pixels))]
    backend.close()
    assert all(boxes <= 1.0 and scores <= _SCORE for boxes, scores in far), far
    return f"{far}, compiled two forms in {took_s:.0f} s"


def check_memory(given: Given) -> str:
    """A batch that does not fit is refused and nothing else; what is unloaded is given back."""
    import torch

    class Huge(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.repeat(1, 2147483648).sum(1, keepdim=True) if x.size(0) > 4 else x * 2

    path = given.folder / "huge.pt"
    torch.jit.save(torch.jit.script(Huge()), path)
    backend = _load(path, {"INPUT__0.shape": "-1,16"}, max_rows=4)
    session = backend.session()
    try:
        session.infer({"INPUT__0": np.ones((64, 16), np.float32)})
    except BackendFailure as failure:
        said = str(failure)
        assert "not enough memory for a batch of 64 rows" in said, said
    else:
        raise AssertionError("a batch of terabytes was answered")
    assert np.array_equal(session.infer({"INPUT__0": np.ones((2, 16), np.float32)})["OUTPUT__0"], np.full((2, 16), 2))
    backend.close()
    left = []
    for _ in range(4):
        backend = _load(given.artefact)
        backend.session().infer({"images": _pictures()[:3]})
        backend.close()
        del backend
        left.append((torch.cuda.memory_allocated() >> 20, torch.cuda.memory_reserved() >> 20))
    assert left[-1] == left[1], f"what is unloaded is given back to the system: {left}"
    try:
        _load(given.artefact, {"device": "cuda:99"})
    except InvalidModel as refusal:
        said += f"; {refusal}"
    return f"{said}; MiB after each unloading: {left}"


def check_onnxruntime(_: Given) -> str:
    """Tensors that are bound to the GPU, with and without recorded graphs, against ONNX Runtime's plain call."""
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "nothing was checked: this build of onnxruntime has no CUDA (pip install onnxruntime-gpu)"
    graphs = {"cuda": {"enable_cuda_graph": "1"}}
    backends = {
        "plain": _load_onnx({"io_binding": "false"}),
        "bound": _load_onnx({}),
        "recorded": _load_onnx({}, graphs),
    }
    images = np.random.default_rng(0).random((9, 3, 320, 320), np.float32)
    images[:6] = _values(_pictures())[:6, :, ::2, ::2]
    plain = backends["plain"].session()
    expected = [plain.infer({"images": images[:rows]})["output0"] for rows in range(1, 10)]
    said = [f"plain {_milliseconds(plain, images[:8]):.2f} ms for 8 rows"]
    for name in ("bound", "recorded"):
        session: Any = backends[name].session()
        kept = [session.infer({"images": images[:rows]})["output0"] for _ in range(4) for rows in range(1, 10)]
        far = [_far(answer, expected[number % 9]) for number, answer in enumerate(kept)]
        assert all(boxes < 1.0 and scores < 0.01 for boxes, scores in far), (name, far)
        assert session.places_outputs, f"{name}: something failed bound, see the log"
        parts = session.infer_parts([{"images": images[:3]}, {"images": images[3:8]}])["output0"]
        boxes, scores = _far(parts, expected[7])
        assert boxes < 1.0, (name, boxes)
        assert scores < 0.01, (name, scores)
        said.append(f"{name} {_milliseconds(session, images[:8]):.2f} ms, at most {max(far)[0]:.3f} px away")
    _record_side_by_side(backends["recorded"], images, expected)
    said.append(backends["recorded"].description)
    for backend in backends.values():
        backend.close()
    return "; ".join(said)


def _load_onnx(parameters: Mapping[str, str], accelerators: Mapping[str, Mapping[str, str]] | None = None) -> Backend:
    artefact = ROOT / "model_repository/garments_onnx/1/model.onnx"
    options = BackendOptions(2, 1, {"device": "gpu", **parameters}, max_rows=8, accelerators=accelerators or {})
    return load_backend("onnxruntime", artefact, options)


def _milliseconds(session: Any, images: np.ndarray) -> float:
    took = []
    for _ in range(20):
        begun = time.perf_counter()
        session.infer({"images": images})
        took.append(time.perf_counter() - begun)
    return 1000 * min(took)


def _record_side_by_side(backend: Backend, images: np.ndarray, expected: list[np.ndarray]) -> None:
    """Two threads record while the other one answers, and both answer rightly."""
    wrong: list[Any] = []

    def stream() -> None:
        try:
            session = backend.session()
            for _ in range(4):
                for rows in range(1, 10):
                    answer = session.infer({"images": images[:rows]})["output0"]
                    if _far(answer, expected[rows - 1])[0] >= 1.0:
                        wrong.append(rows)
        except Exception as error:  # noqa: BLE001 - told by whoever waits for the thread
            wrong.append(error)

    threads = [threading.Thread(target=stream) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


def check_shared_memory(_: Given) -> str:
    """CUDA memory of another process: opened by its handle, read, written and bounded."""
    runtime = find_cuda_memory()
    assert not isinstance(runtime, str), runtime
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    owner = context.Process(target=_own_memory, args=(theirs,), daemon=True)
    owner.start()
    handle, offered = ours.recv()
    address, available = runtime.open(handle, 0)
    assert available >= 4096, available
    assert bytes(runtime.read(address + 16, 0, 64)) == bytes(range(16, 80))
    runtime.write(address + 100, 0, b"pasarela")
    ours.send(b"look")
    found = ours.recv()
    assert found == b"pasarela", found
    runtime.close(address, 0)
    ours.send(b"done")
    owner.join(20)
    assert owner.exitcode == 0
    return f"{available} bytes of {offered} asked for"


def _own_memory(pipe: Any) -> None:
    """Another process: has memory on the GPU and shares it, as tritonclient does."""
    from pasarela_server.backends import cuda

    runtime = cuda._runtime()  # noqa: SLF001 - the same library that the server finds
    assert runtime is not None
    pointer = ctypes.c_void_p()
    assert runtime.cudaSetDevice(0) == 0
    assert runtime.cudaMalloc(ctypes.byref(pointer), ctypes.c_size_t(4096)) == 0
    content = (ctypes.c_ubyte * 4096)(*(index % 256 for index in range(4096)))
    assert runtime.cudaMemcpy(pointer, content, ctypes.c_size_t(4096), 1) == 0
    handle = (ctypes.c_ubyte * 64)()
    assert runtime.cudaIpcGetMemHandle(ctypes.byref(handle), pointer) == 0
    pipe.send((bytes(handle), 4096))
    pipe.recv()
    assert runtime.cudaMemcpy(content, pointer, ctypes.c_size_t(4096), 2) == 0
    pipe.send(bytes(content[100:108]))
    pipe.recv()


def check_jpegs(_: Given) -> str:
    """JPEGs decoded in batches on the GPU against the processor: photographs, every orientation, and broken ones."""
    batches = open_jpeg_batches(0)
    files = [path.read_bytes() for path in sorted((ROOT / "docs/images/samples").glob("*.jpg"))]
    far = []
    for turn in range(1, 9):
        seen = [np.ascontiguousarray(upright(decode_image(file), turn)) for file in files]
        boxes = [Letterbox.fit(image.shape[:2], (640, 640)) for image in seen]
        placements = [Placement(turn, *box.resized, box.top, box.left) for box in boxes]
        laid = batches.lay([*files, files[0][:4000]], [*placements, placements[0]], (640, 640), PADDING_VALUE)
        assert [canvas is None for canvas in laid] == [False] * len(files) + [laid[-1] is None]
        for canvas, box, image in zip(laid, boxes, seen, strict=False):
            assert canvas is not None
            far.append(np.abs(canvas.astype(np.int16) - box.apply(image)))
    mean, most = float(np.mean(far)), int(np.max(far))
    assert mean < 2.0, f"{mean:.2f} levels on average"
    broken = "refused" if laid[-1] is None else "decoded as far as it goes"
    return f"{mean:.3f} levels of 255 off on average, {most} at most; a file that is cut off is {broken}"


CHECKS: tuple[Callable[[Given], str], ...] = (
    check_precisions,
    check_sizes,
    check_side_by_side,
    check_unusual,
    check_compiled,
    check_memory,
    check_onnxruntime,
    check_shared_memory,
    check_jpegs,
)


def main() -> int:
    """Runs all checks; 1 if one failed."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m loadtest.gpu.check", description=__doc__)
    parser.add_argument(
        "--artefact",
        type=Path,
        default=ROOT / "runs/benchmark/repository-640/yolov9t_pytorch/1/model.pt",
        help="TorchScript archive at 640 px",
    )
    parser.add_argument("--only", nargs="*", metavar="CHECK", help="only these, as sizes or memory")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no NVIDIA GPU here that PyTorch can use", file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.INFO, format="    %(message)s")
    failed = 0
    wanted = [check for check in CHECKS if not options.only or check.__name__.removeprefix("check_") in options.only]
    for check in wanted:
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                said = check(Given(options.artefact, Path(folder)))
                print(f"ok    {check.__name__} ({time.perf_counter() - begun:.1f} s): {said}", flush=True)
            except Exception:  # noqa: BLE001 - the next check shall run too
                failed += 1
                print(f"FAIL  {check.__name__}\n{traceback.format_exc(limit=-4)[-1500:]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
