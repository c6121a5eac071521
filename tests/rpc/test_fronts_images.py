"""Images that front processes prepare: answered, refused, counted, cancelled and drained as by one process."""

import os
import re
import signal
import threading
import urllib.request
from pathlib import Path

import grpc
import pytest

from pasarela_proto import detection_pb2
from pasarela_proto import inference_pb2 as pb
from tests.tiny_models import write_detector, write_onnx

OVER = 'backend: "detection"\nparameters {{ key: "model" value {{ string_value: "{}" }} }}\n'
PATIENT = "max_batch_size: 4\ndynamic_batching { preferred_batch_size: 4 max_queue_delay_microseconds: %d }\n"


def write_models(root, delay_us=0):
    write_detector(root / "raw" / "1", ("shirt", "skirt"))
    (root / "raw" / "config.pbtxt").write_text(PATIENT % delay_us)
    (root / "garments").mkdir()
    (root / "garments" / "config.pbtxt").write_text(OVER.format("raw"))
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A detector, a detection model over it, and models that cannot detect."""
    root = write_models(tmp_path_factory.mktemp("models"))
    write_onnx(root / "adds" / "1", 1)
    write_detector(root / "away" / "1", ("hat",))
    (root / "over_away").mkdir()
    (root / "over_away" / "config.pbtxt").write_text(OVER.format("away"))
    return root


EXPLICIT = ("--model-control-mode", "explicit", "--load-model", "*")


@pytest.fixture(scope="module")
def both(models, start_server):
    """A server of one process, and one with fronts; a model is away in both."""
    with start_server(models, *EXPLICIT) as one, start_server(models, *EXPLICIT, "--frontends", "2") as other:
        for running in (one, other):
            with grpc.insecure_channel(running.address) as channel:
                unload = channel.unary_unary(
                    "/inference.GRPCInferenceService/RepositoryModelUnload",
                    pb.RepositoryModelUnloadRequest.SerializeToString,
                    pb.RepositoryModelUnloadResponse.FromString,
                )
                unload(pb.RepositoryModelUnloadRequest(model_name="away"))
        yield one, other


@pytest.fixture
def start_patient(tmp_path, start_server, stubs_for):
    """Starts a server with fronts whose model waits for four requests, or so many seconds; and stubs that call it."""
    contexts = []

    def start(delay_s, *flags):
        contexts.append(start_server(write_models(tmp_path, delay_s * 1_000_000), "--frontends", "2", *flags))
        running = contexts[-1].__enter__()
        return running, stubs_for(running.address)

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


def request(jpeg, **changes):
    image = {"encoded": jpeg} if jpeg is not None else None
    return detection_pb2.DetectRequest(**({"model_name": "garments", "image": image} | changes))


REQUESTS = [
    pytest.param({}, id="right"),
    pytest.param({"id": "r7"}, id="with an id"),
    pytest.param({"model_name": "raw"}, id="the raw model"),
    pytest.param({"model_version": "1"}, id="a version"),
    pytest.param({"options": {"max_detections": 1}}, id="one detection"),
    pytest.param({"options": {"class_names": ["skirt"]}}, id="one class"),
    pytest.param({"options": {"confidence": 0.895}}, id="only the best"),
    pytest.param({"model_name": ""}, id="no model"),
    pytest.param({"model_name": "trousers"}, id="an unknown model"),
    pytest.param({"model_version": "7"}, id="an unknown version"),
    pytest.param({"model_version": "0"}, id="no version"),
    pytest.param({"model_version": "canary"}, id="an unknown label"),
    pytest.param({"model_name": "away"}, id="a model that was unloaded"),
    pytest.param({"model_name": "away", "model_version": "1"}, id="a version that was unloaded"),
    pytest.param({"model_name": "over_away"}, id="a model over one that was unloaded"),
    pytest.param({"model_name": "adds"}, id="a model that is no detector"),
    pytest.param({"image": None}, id="no image"),
    pytest.param({"image": {"encoded": b"hello, world"}}, id="no picture"),
    pytest.param({"image": {"raw": {"height": 2, "width": 2, "pixels": b"x"}}}, id="too few pixels"),
    pytest.param({"image": {"raw": {"height": 1, "width": 2, "pixels": bytes(6)}}}, id="pixels"),
    pytest.param({"model_name": "away", "image": {"encoded": b"text"}}, id="no picture for a model that was unloaded"),
    pytest.param({"model_name": "over_away", "image": None}, id="no image for a model over one that was unloaded"),
    pytest.param({"options": {"confidence": 2.0}}, id="an impossible threshold"),
    pytest.param({"options": {"class_names": ["unicorn"]}}, id="an unknown class"),
]


def outcome(stubs, asked):
    """What a client sees of one request; all but the times."""
    try:
        response = stubs.detection.Detect(asked)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    response.ClearField("timings")
    return response


def counts(stubs, name):
    """Successes, failures, inferences and executions of a model; None where there are no statistics of it."""
    try:
        (found,) = stubs.inference.ModelStatistics(pb.ModelStatisticsRequest(name=name)).model_stats
    except grpc.RpcError as error:
        return error.code().name
    stats = found.inference_stats
    return stats.success.count, stats.fail.count, found.inference_count, found.execution_count


@pytest.mark.parametrize("changes", REQUESTS)
def test_clients_see_the_same_with_and_without_fronts(both, stubs_for, jpeg, changes):
    asked = request(jpeg, **changes)
    names = ("garments", "raw", "adds", "over_away", "away")
    seen = []
    for running in both:
        stubs = stubs_for(running.address)
        before = {name: counts(stubs, name) for name in names}
        first, again = outcome(stubs, asked), outcome(stubs, asked)
        after = {name: counts(stubs, name) for name in names}
        grown = {
            name: [now - then for now, then in zip(after[name], before[name], strict=True)]
            if isinstance(after[name], tuple)
            else after[name]
            for name in names
        }
        seen.append((first, again, grown))
    assert seen[1] == seen[0]


def test_timings_tell_of_every_stage(both, stubs_for, jpeg):
    timings = stubs_for(both[1].address).detection.Detect(request(jpeg)).timings
    stages = ("receive_ns", "decode_ns", "letterbox_ns", "queue_ns", "infer_ns", "nms_ns", "encode_ns")
    assert all(getattr(timings, stage) > 0 for stage in stages), timings
    assert timings.batch_size == 1
    assert sum(getattr(timings, stage) for stage in stages) <= timings.total_ns


def test_a_stream_keeps_its_order_and_survives_bad_frames(both, stubs_for, jpeg):
    frames = [
        detection_pb2.StreamDetectRequest(frame_index=index, request=request(b"text" if index == 3 else jpeg))
        for index in range(50)
    ]
    responses = list(stubs_for(both[1].address).detection.StreamDetect(iter(frames)))
    assert [response.frame_index for response in responses] == list(range(50))
    assert [response.frame_index for response in responses if response.WhichOneof("result") == "error"] == [3]


def test_a_model_that_is_replaced_answers_as_the_new_one_at_once(models, both, stubs_for, jpeg):
    """Other classes, and another size of the network's input: what fronts know of a model is out of date."""
    stubs = stubs_for(both[1].address)
    failed, ended = [], threading.Event()

    def keep_asking():
        while not ended.is_set():
            try:
                stubs.detection.Detect(request(jpeg))
            except grpc.RpcError as error:
                failed.append(error)

    asking = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in asking:
        thread.start()
    write_detector(models / "raw" / "2", ("coat", "scarf", "glove"), side=96)
    stubs.inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="raw"))
    answers = [stubs.detection.Detect(request(jpeg)).detections for _ in range(20)]
    ended.set()
    for thread in asking:
        thread.join()

    assert not failed
    assert {tuple(answer.class_names) for answer in answers} == {("coat", "scarf", "glove")}
    assert answers[0].boxes[:4] == pytest.approx([48, 32, 80, 64])


def test_a_client_that_goes_away_leaves_no_trace_in_a_batch(start_patient, jpeg):
    running, stubs = start_patient(600)
    call = stubs.detection.Detect.future(request(jpeg))
    wait_until(lambda: pending(running) == 1)

    call.cancel()

    wait_until(lambda: counts(stubs, "garments")[1] == 1)
    assert metric(running, r'nv_inference_request_failure\{model="garments",reason="CANCELED",version="1"\}') == 1
    answers = [stubs.detection.Detect.future(request(jpeg)) for _ in range(4)]
    assert [answer.result().timings.batch_size for answer in answers] == [4] * 4
    assert counts(stubs, "garments") == (4, 1, 4, 1)


def test_a_deadline_that_passes_in_the_queue(start_patient, jpeg):
    _, stubs = start_patient(600)
    with pytest.raises(grpc.RpcError) as late:
        stubs.detection.Detect(request(jpeg), timeout=0.5)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: counts(stubs, "garments")[1] == 1)


def test_what_a_dead_front_had_open_is_dropped(start_patient, stubs_for, jpeg):
    running, stubs = start_patient(600)
    fronts = [
        int(pid) for pid in Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    ]
    waiting = [stubs.detection.Detect.future(request(jpeg)) for _ in range(3)]
    wait_until(lambda: pending(running) == 3)

    for pid in fronts:
        os.kill(pid, signal.SIGKILL)

    assert {call.exception().code().name for call in waiting} == {"UNAVAILABLE"}
    wait_until(lambda: pending(running) == 0)
    new = stubs_for(running.address)
    answers = [new.detection.Detect.future(request(jpeg), wait_for_ready=True) for _ in range(4)]
    assert [answer.result().timings.batch_size for answer in answers] == [4] * 4
    assert counts(new, "garments") == (4, 3, 4, 1)


def test_when_the_main_process_dies_those_who_wait_are_told(start_patient, jpeg):
    running, stubs = start_patient(600)
    waiting = [stubs.detection.Detect.future(request(jpeg)) for _ in range(3)]
    wait_until(lambda: pending(running) == 3)
    running.process.kill()
    assert {call.exception().code().name for call in waiting} == {"UNAVAILABLE"}


def test_a_stop_lets_images_finish_and_ends_streams(start_patient, jpeg):
    running, stubs = start_patient(2)
    frames = threading.Event()

    def send():
        yield detection_pb2.StreamDetectRequest(frame_index=1, request=request(b"text"))
        frames.wait()

    stream = stubs.detection.StreamDetect(send())
    assert next(stream).WhichOneof("result") == "error"
    waiting = [stubs.detection.Detect.future(request(jpeg)) for _ in range(3)]
    wait_until(lambda: pending(running) == 3)

    assert running.stop() == 0

    assert [call.result().timings.batch_size for call in waiting] == [3] * 3
    with pytest.raises(grpc.RpcError) as ended:
        next(stream)
    frames.set()
    assert (ended.value.code().name, "stopping" in ended.value.details()) == ("UNAVAILABLE", True)
    assert "Traceback" not in running.log.read_text()


def test_requests_that_outlive_the_time_to_exit_are_cancelled(start_patient, jpeg):
    running, stubs = start_patient(600, "--exit-timeout-secs", "0")
    waiting = stubs.detection.Detect.future(request(jpeg))
    wait_until(lambda: pending(running) == 1)
    assert running.stop() == 0
    assert waiting.exception().code().name in {"CANCELLED", "UNAVAILABLE"}


def metric(running, pattern):
    with urllib.request.urlopen(f"http://{running.metrics_address}/metrics") as response:
        found = re.search(rf"^{pattern} (\S+)$", response.read().decode(), flags=re.MULTILINE)
    return float(found[1]) if found else None


def pending(running):
    return metric(running, r'nv_inference_pending_request_count\{model="raw",version="1"\}')


def wait_until(condition):
    """Asks a server again and again, since nothing tells of it; the test's time limit ends it."""
    while not condition():
        pass
