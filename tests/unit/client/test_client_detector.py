import io
import threading
from typing import Any

import grpc
import numpy as np
import pytest

from pasarela_client import (
    DeadlineExpired,
    Detector,
    InvalidRequest,
    ModelNotFound,
    RequestCancelled,
    ServerFailure,
    ServerUnreachable,
)


def test_one_line_for_one_image(server: Any, service: Any) -> None:
    with Detector(server.url, "garments", version="3") as detector:
        found = detector.detect(b"jpeg", confidence=0.5, classes=["skirt"], max_detections=2)
    assert [one.name for one in found] == ["skirt"]
    (request,) = service.requests
    assert (request.model_name, request.model_version, request.image.encoded) == ("garments", "3", b"jpeg")
    assert (request.options.confidence, list(request.options.class_names)) == (0.5, ["skirt"])


def test_an_image_of_many_megabytes_passes(server: Any, service: Any) -> None:
    service.detect = lambda request, context: context.abort(
        grpc.StatusCode.INVALID_ARGUMENT, f"{len(request.image.raw.pixels)} bytes"
    )
    with Detector(server.url) as detector, pytest.raises(InvalidRequest) as raised:
        detector.detect(np.zeros((1000, 1000, 3), np.uint8))
    assert str(raised.value) == "3000000 bytes"


def test_the_servers_error_arrives_with_model_and_status_and_without_grpc(server: Any, service: Any) -> None:
    service.detect = lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'x'")
    with Detector(server.url, "x") as detector, pytest.raises(ModelNotFound, match="there is no model 'x'") as raised:
        detector.detect(b"jpeg")
    assert not isinstance(raised.value, grpc.RpcError)
    assert (raised.value.model, raised.value.status) == ("x", grpc.StatusCode.NOT_FOUND)


def test_a_bug_of_the_server_is_its_failure(server: Any, service: Any, capfd: Any) -> None:
    service.detect = lambda request, context: 1 / 0
    with Detector(server.url) as detector, pytest.raises(ServerFailure):
        detector.detect(b"jpeg")


def test_nobody_there(unused_url: str) -> None:
    with Detector(unused_url) as detector, pytest.raises(ServerUnreachable, match=unused_url):
        detector.detect(b"jpeg")


def test_a_call_takes_the_time_it_is_allowed(server: Any, service: Any) -> None:
    over = threading.Event()
    service.detect = lambda request, context: (context.add_callback(over.set), over.wait())[1]
    with Detector(server.url) as detector, pytest.raises(DeadlineExpired, match="timeout_s"):
        detector.detect(b"jpeg", timeout_s=0.1)
    assert over.wait(10)


def test_a_closed_detector_says_so(server: Any) -> None:
    detector = Detector(server.url)
    detector.close()
    with pytest.raises(RequestCancelled, match="is closed"):
        detector.detect(b"jpeg")


@pytest.mark.parametrize("url", ["localhost", "http://localhost:8001", "localhost:http", ":8001", "localhost:0", ""])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidRequest, match="looks like"):
        Detector(url)


@pytest.mark.parametrize("prefix", ["", "grpc://"])
def test_addresses_with_and_without_scheme(server: Any, prefix: str) -> None:
    with Detector(prefix + server.url) as detector:
        assert len(detector.detect(io.BytesIO(b"jpeg").getvalue())) == 1


def test_threads_may_share_a_detector(server: Any, service: Any) -> None:
    with Detector(server.url) as detector:
        threads = [threading.Thread(target=detector.detect, args=(b"jpeg",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(service.requests) == 8
