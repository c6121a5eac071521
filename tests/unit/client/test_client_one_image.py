"""`detect` of either client, against a service behind a socket."""

from __future__ import annotations

import contextlib
import copy
import math
import pickle
import threading
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from pasarela_client import (
    DeadlineExpired,
    Frame,
    ImageUnreadable,
    InvalidRequest,
    ModelNotFound,
    RequestCancelled,
    ServerFailure,
    ServerUnreachable,
)


def test_one_image_with_all_options(either_client: Any, server: Any, service: Any) -> None:
    with either_client(server.url, "garments", version="3") as detector:
        found = detector.detect(
            b"jpeg", confidence=0.5, iou=0.25, classes=["skirt", 3], max_detections=2, priority=2, request_id="mine"
        )
    assert [one.name for one in found] == ["skirt"]
    (request,) = service.requests
    assert (request.model_name, request.model_version, request.image.encoded) == ("garments", "3", b"jpeg")
    assert (request.priority, request.id, request.options.max_detections) == (2, "mine", 2)
    assert (request.options.confidence, request.options.iou) == (0.5, 0.25)
    assert (list(request.options.class_names), list(request.options.class_ids)) == (["skirt"], [3])


def test_each_request_gets_a_name_of_its_own_and_its_result_tells_it(
    either_client: Any, server: Any, service: Any, make_answer: Any
) -> None:
    def answer(request: Any, context: Any) -> Any:
        made = make_answer()
        made.id = request.id
        return made

    service.detect = answer
    with either_client(server.url) as detector:
        results = [detector.detect(b"jpeg") for _ in range(3)]
    names = [request.id for request in service.requests]
    assert len(set(names)) == 3
    assert all(0 < len(name) <= 16 for name in names)
    assert [found.request_id for found in results] == names


def test_a_result_knows_what_it_was_found_on(either_client: Any, server: Any, tmp_path: Path) -> None:
    picture = tmp_path / "street.jpg"
    picture.write_bytes(b"jpeg")
    frame = Frame(b"jpeg", "clip.mp4", 1.5)
    with either_client(server.url) as detector:
        by_path, by_bytes, by_frame = (detector.detect(image) for image in (picture, b"jpeg", frame))
    assert (by_path.image, by_path.origin) == (picture, str(picture))
    assert (by_bytes.image, by_bytes.origin) == (b"jpeg", "")
    assert (by_frame.image, by_frame.origin, by_frame.timestamp_s) == (b"jpeg", "clip.mp4", 1.5)


def test_an_image_of_many_megabytes_passes(either_client: Any, server: Any, service: Any) -> None:
    service.detect = lambda request, context: context.abort(
        grpc.StatusCode.INVALID_ARGUMENT, f"{len(request.image.raw.pixels)} bytes"
    )
    with either_client(server.url) as detector, pytest.raises(InvalidRequest) as raised:
        detector.detect(np.zeros((1000, 1000, 3), np.uint8))
    assert str(raised.value) == "3000000 bytes"


def test_the_servers_error_arrives_with_model_status_and_request(either_client: Any, server: Any, service: Any) -> None:
    service.detect = lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'x'")
    with either_client(server.url, "x") as detector, pytest.raises(ModelNotFound, match="no model 'x'") as raised:
        detector.detect(b"jpeg", request_id="mine")
    error = raised.value
    assert not isinstance(error, grpc.RpcError)
    assert isinstance(error.__cause__, grpc.RpcError)
    for one in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(one) is ModelNotFound
        assert (one.model, one.status, one.request_id) == ("x", grpc.StatusCode.NOT_FOUND, "mine")
        assert one.message == str(error)


def test_an_image_that_cannot_be_read_names_its_request(either_client: Any, server: Any, service: Any) -> None:
    with either_client(server.url, "x") as detector, pytest.raises(ImageUnreadable, match=r"no\.jpg") as raised:
        detector.detect("no.jpg", request_id="mine")
    assert (raised.value.model, raised.value.request_id) == ("x", "mine")
    assert not service.requests


def test_a_bug_of_the_server_is_its_failure(either_client: Any, server: Any, service: Any, capfd: Any) -> None:
    service.detect = lambda request, context: 1 / 0
    with either_client(server.url) as detector, pytest.raises(ServerFailure):
        detector.detect(b"jpeg")
    assert len(service.requests) == 1


def test_nobody_there(either_client: Any, unused_url: str) -> None:
    with either_client(unused_url) as detector, pytest.raises(ServerUnreachable, match=unused_url):
        detector.detect(b"jpeg")


def test_a_call_takes_the_time_it_is_allowed(either_client: Any, server: Any, service: Any) -> None:
    over = threading.Event()
    service.detect = lambda request, context: (context.add_callback(over.set), over.wait())[1]
    with either_client(server.url) as detector, pytest.raises(DeadlineExpired, match="timeout_s"):
        detector.detect(b"jpeg", timeout_s=0.1)
    assert over.wait(10)


def test_a_closed_detector_says_so(either_client: Any, server: Any) -> None:
    with either_client(server.url) as detector:
        detector.close()
        with pytest.raises(RequestCancelled, match="is closed"):
            detector.detect(b"jpeg")


def test_closing_ends_what_is_under_way(either_client: Any, server: Any, service: Any) -> None:
    arrived, over = threading.Event(), threading.Event()
    service.detect = lambda request, context: (context.add_callback(over.set), arrived.set(), over.wait())[2]
    failures: list[BaseException] = []

    def detect() -> None:
        try:
            detector.detect(b"jpeg", timeout_s=None)
        except RequestCancelled as error:
            failures.append(error)

    with either_client(server.url, timeout_s=None) as detector:
        asking = threading.Thread(target=detect)
        asking.start()
        assert arrived.wait(10)
        detector.close()
        asking.join(10)
    assert len(failures) == 1


def test_threads_and_tasks_may_share_a_detector(either_client: Any, server: Any, service: Any) -> None:
    with either_client(server.url) as detector, contextlib.ExitStack() as started:
        threads = [threading.Thread(target=detector.detect, args=(b"jpeg",)) for _ in range(8)]
        for thread in threads:
            thread.start()
            started.callback(thread.join)
    assert len(service.requests) == 8


@pytest.mark.parametrize("url", ["localhost", "http://localhost:8001", "localhost:0", "", "127.0.0.1:8001,", []])
def test_an_address_that_is_none_is_refused_at_once(either_client: Any, url: str | list[str]) -> None:
    with pytest.raises(InvalidRequest, match="looks like"):
        either_client(url)


@pytest.mark.parametrize("timeout_s", [math.inf, 1e12])
def test_a_time_without_an_end(either_client: Any, server: Any, timeout_s: float) -> None:
    with either_client(server.url) as detector:
        assert len(detector.detect(b"jpeg", timeout_s=timeout_s)) == 1
