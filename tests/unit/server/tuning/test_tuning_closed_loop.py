"""A steady load of clients that wait for their answers."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pasarela_server.backends.loaders import loaders
from pasarela_server.detection.image import decode_image
from pasarela_server.errors import BackendFailure, InvalidModel, InvalidRequest, QueueFull, ServingError
from pasarela_server.repository.desired import desire
from pasarela_server.repository.edit import find_model
from pasarela_server.repository.load import load_raw
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.raw import RawServable
from pasarela_server.tuning.closed_loop import drive
from pasarela_server.tuning.requests import generate_images, read_images, send_tensors
from tests.tiny_models import write_onnx


async def test_as_many_requests_are_on_their_way_as_there_are_clients() -> None:
    now, most, numbers = 0, 0, []

    async def send(number: int) -> None:
        nonlocal now, most
        numbers.append(number)
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    measured = await drive(send, 5, 0.02)

    assert most == 5
    assert numbers == list(range(len(numbers)))
    assert measured.clients == 5
    assert measured.seconds >= 0.02
    assert 5 <= measured.completed <= len(numbers) - 5, "first answers are left out"
    assert list(measured.latencies_ms) == sorted(measured.latencies_ms)
    assert measured.cpu_seconds > 0
    assert measured.peak_mib > 1


async def test_what_is_on_its_way_at_the_end_is_given_up() -> None:
    given_up = asyncio.Event()
    forever = asyncio.Event()

    async def send(number: int) -> None:
        if number != 0:
            await asyncio.sleep(0)
            return
        try:
            await forever.wait()
        except asyncio.CancelledError:
            given_up.set()
            raise

    measured = await drive(send, 3, 0.01)

    assert given_up.is_set()
    assert measured.completed > 0


async def test_refused_requests_are_counted_and_end_nothing() -> None:
    numbers = itertools.count()

    async def send(_: int) -> None:
        await asyncio.sleep(0)
        if next(numbers) % 2:
            raise QueueFull("full")

    measured = await drive(send, 2, 0.05)

    assert measured.refused > 0
    assert measured.completed > 0


async def test_a_model_that_refuses_everything_ends_the_slice_too() -> None:
    async def send(_: int) -> None:
        raise QueueFull("full")

    measured = await drive(send, 2, 0.02)

    assert measured.completed == 0
    assert measured.refused > 0


async def test_a_request_that_fails_ends_the_slice() -> None:
    async def send(number: int) -> None:
        await asyncio.sleep(0)
        if number == 7:
            raise BackendFailure("out of memory")

    with pytest.raises(ExceptionGroup) as raised:
        await drive(send, 2, 5.0)
    assert raised.value.subgroup(ServingError) is not None


def test_generated_images_are_such_as_cameras_make() -> None:
    images = generate_images()

    assert len({bytes(image) for image in images}) == len(images) == 4
    assert all(decode_image(image).shape == (810, 1080, 3) for image in images)
    assert all(50_000 < len(image) < 400_000 for image in images)


def test_images_of_a_folder(tmp_path: Path, sample_image: Path) -> None:
    content = sample_image.read_bytes()
    for name in ("b.JPG", "a.jpeg"):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.txt").write_text("no image")
    assert read_images(tmp_path) == [content, content]

    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InvalidRequest, match=r"c\.png: "):
        read_images(tmp_path)


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"no image in .* expected files ending in \.jpg"):
        read_images(tmp_path)


WARMUP = 'model_warmup { name: "usual" batch_size: 3 inputs { key: "x" value { data_type: TYPE_FP32 dims: 2 zero_data: true } } }'


@pytest.mark.parametrize(("config", "reason"), [("", "noise in the model's shape"), (WARMUP, "samples, as written")])
async def test_tensors_that_a_model_takes(tmp_path: Path, config: str, reason: str) -> None:
    write_onnx(tmp_path / "m" / "1", 3)
    (tmp_path / "m" / "config.pbtxt").write_text(config)
    desired = desire(find_model(tmp_path, "m"))
    with ThreadPoolExecutor(1) as pool:
        servable = load_raw(desired, 1, desired.versions[1], loaders(), 1, pool, ImageLimits()).servable
        assert isinstance(servable, RawServable)
        try:
            measured = await drive(send_tensors(servable, desired), 2, 0.02)
        finally:
            servable.close()
    assert measured.completed > 0, reason


def test_a_model_of_which_no_size_is_known(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "any",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "any"]) for name in "x"],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "any"]) for name in "y"],
    )
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    desired = desire(find_model(tmp_path, "m"))
    with ThreadPoolExecutor(1) as pool:
        servable = load_raw(desired, 1, folder, loaders(), 1, pool, ImageLimits()).servable
        assert isinstance(servable, RawServable)
        try:
            with pytest.raises(InvalidModel, match=r"write a model_warmup into m/config\.pbtxt"):
                send_tensors(servable, desired)
        finally:
            servable.close()
