"""Images that cannot be detected on, and some that can, through both services of a real server."""

import shutil
import struct
import zlib
from pathlib import Path

import cv2
import grpc
import numpy as np
import pytest

from pasarela_proto import detection_pb2, inference_pb2
from tests.jpeg_twin import TWIN

SAMPLES = Path(__file__).parents[2] / "docs/images/samples"


@pytest.fixture(scope="module")
def fronted(repository, start_server):
    """A server with front processes."""
    with start_server(repository, "--frontends", "2") as running:
        yield running


@pytest.fixture(scope="module")
def staged(repository, start_server, tmp_path_factory):
    """A server whose JPEGs are decoded in batches, with the CPU in the GPU's place."""
    models = tmp_path_factory.mktemp("staged") / "models"
    shutil.copytree(repository, models)
    with (models / "garments" / "config.pbtxt").open("a") as config:
        config.write('parameters { key: "jpeg_device" value { string_value: "gpu" } }\n')
    with start_server(models, under=TWIN) as running:
        yield running


@pytest.fixture(params=["server", "fronted", "staged"], ids=["one process", "two fronts", "JPEGs in batches"])
def stubs(request, stubs_for):
    """Stubs that call the shared server, then one with front processes, then one that decodes in batches."""
    return stubs_for(request.getfixturevalue(request.param).address)


def enlarged_jpeg(jpeg):
    """The same file, its header saying 30,000 x 30,000."""
    start = jpeg.index(b"\xff\xc0")
    return jpeg[: start + 5] + struct.pack(">HH", 30_000, 30_000) + jpeg[start + 9 :]


def enlarged_png(png):
    """The same file, its header saying 30,000 x 30,000, with the right checksum."""
    header = b"IHDR" + struct.pack(">II", 30_000, 30_000) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


BAD_IMAGES = [
    pytest.param(lambda jpeg, png: jpeg[: len(jpeg) // 2], "JPEG image ends early", id="JPEG cut in half"),
    pytest.param(lambda jpeg, png: jpeg[:20], "JPEG image", id="JPEG of 20 bytes"),
    pytest.param(lambda jpeg, png: png[: len(png) // 2], "PNG image", id="PNG cut in half"),
    pytest.param(lambda jpeg, png: b"", "expected a JPEG, PNG, WebP or BMP image", id="zero bytes"),
    pytest.param(lambda jpeg, png: b"hello, world\n" * 9, "expected a JPEG, PNG, WebP or BMP image", id="text"),
    pytest.param(lambda jpeg, png: enlarged_jpeg(jpeg), "30000x30000", id="JPEG of 30,000 x 30,000"),
    pytest.param(lambda jpeg, png: enlarged_png(png), "30000x30000", id="PNG of 30,000 x 30,000"),
]


def as_tensor(image):
    return inference_pb2.ModelInferRequest(
        model_name="garments",
        inputs=[{"name": "image", "datatype": "BYTES", "shape": [1]}],
        raw_input_contents=[struct.pack("<I", len(image)) + image],
    )


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value


@pytest.mark.parametrize(("spoil", "text"), BAD_IMAGES)
def test_bad_images_are_refused_by_both_services(stubs, jpeg, png, spoil, text):
    image = spoil(jpeg, png)
    request = detection_pb2.DetectRequest(model_name="garments", image={"encoded": image})
    for failure in (refusal(stubs.detection.Detect, request), refusal(stubs.inference.ModelInfer, as_tensor(image))):
        assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "garments" in failure.details()
        assert text in failure.details()


def test_batches_decode_what_the_processor_decodes(server, staged, stubs_for):
    """Photographs, all at once by one server, and by the other: the same garments in the same places."""
    files = [path.read_bytes() for path in sorted(SAMPLES.glob("*.jpg"))]
    calls = {
        name: [
            stubs_for(running.address).detection.Detect.future(
                detection_pb2.DetectRequest(model_name="garments", image={"encoded": file})
            )
            for file in files * 4
        ]
        for name, running in (("alone", server), ("staged", staged))
    }
    for one, other in zip(*([call.result() for call in each] for each in calls.values()), strict=True):
        assert list(other.detections.class_names) == list(one.detections.class_names)
        np.testing.assert_allclose(other.detections.boxes, one.detections.boxes, atol=2)
        np.testing.assert_allclose(other.detections.scores, one.detections.scores, atol=0.02)
        assert one.timings.letterbox_ns > 0
        assert other.timings.letterbox_ns == 0
        assert other.timings.decode_ns > 0
    assert "JPEGs are decoded in batches on CUDA device 0" in staged.log.read_text()


def test_an_image_of_one_pixel_is_an_image(stubs):
    one = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()

    response = stubs.detection.Detect(detection_pb2.DetectRequest(model_name="garments", image={"encoded": one}))
    tensors = stubs.inference.ModelInfer(as_tensor(one))

    assert (response.image_width, response.image_height) == (1, 1)
    assert len(response.detections.boxes) == 4 * len(response.detections.scores)
    assert {output.name for output in tensors.outputs} == {"boxes", "scores", "class_ids", "class_names"}


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp"])
def test_each_format(stubs, picture, extension):
    encoded = cv2.imencode(extension, picture)[1].tobytes()
    request = detection_pb2.DetectRequest(model_name="garments", image={"encoded": encoded})
    response = stubs.detection.Detect(request)
    assert (response.image_width, response.image_height) == (128, 96)


def test_raw_pixels_are_the_same_picture(stubs, picture, png):
    """BGR pixels, RGB pixels and a lossless file give the same detections."""
    sources = [
        {"encoded": png},
        {"raw": {"height": 96, "width": 128, "channels": "BGR", "pixels": picture.tobytes()}},
        {"raw": {"height": 96, "width": 128, "channels": "RGB", "pixels": picture[:, :, ::-1].tobytes()}},
    ]
    options = {"confidence": 0.0, "max_detections": 20}
    first, *others = (
        stubs.detection.Detect(
            detection_pb2.DetectRequest(model_name="garments_onnx", image=source, options=options)
        ).detections
        for source in sources
    )
    assert len(first.scores) == 20
    assert list(first.scores) == sorted(first.scores, reverse=True)
    for other in others:
        np.testing.assert_allclose(other.boxes, first.boxes, atol=1e-3)
        assert list(other.class_ids) == list(first.class_ids)


def test_both_services_say_the_same(stubs, jpeg):
    request = as_tensor(jpeg)
    request.parameters["confidence"].double_param = 0.0
    request.parameters["max_detections"].int64_param = 10
    tensors = stubs.inference.ModelInfer(request)
    by_name = dict(zip((output.name for output in tensors.outputs), tensors.raw_output_contents, strict=True))
    typed = stubs.detection.Detect(
        detection_pb2.DetectRequest(
            model_name="garments", image={"encoded": jpeg}, options={"confidence": 0.0, "max_detections": 10}
        )
    )

    np.testing.assert_allclose(np.frombuffer(by_name["boxes"], np.float32), typed.detections.boxes, atol=1e-3)
    assert np.frombuffer(by_name["class_ids"], np.int32).tolist() == list(typed.detections.class_ids)
    assert typed.detections.class_names[0].encode() in by_name["class_names"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        pytest.param({"confidence": 1.5}, "between 0 and 1", id="confidence above 1"),
        pytest.param({"iou": -0.1}, "between 0 and 1", id="negative IoU"),
        pytest.param({"confidence": float("nan")}, "between 0 and 1", id="no number"),
        pytest.param({"max_detections": 0}, "max_detections", id="no detections at all"),
        pytest.param({"class_names": ["unicorn"]}, "no class 'unicorn'; it knows", id="unknown class name"),
        pytest.param({"class_ids": [4000]}, "no class id 4000; it knows", id="unknown class id"),
    ],
)
def test_impossible_options(stubs, jpeg, options, text):
    request = detection_pb2.DetectRequest(model_name="garments", image={"encoded": jpeg}, options=options)
    failure = refusal(stubs.detection.Detect, request)
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert text in failure.details()


def test_only_the_classes_asked_for(stubs, jpeg):
    def detect(**options):
        options |= {"confidence": 0.0, "max_detections": 50}
        request = detection_pb2.DetectRequest(model_name="garments", image={"encoded": jpeg}, options=options)
        return stubs.detection.Detect(request).detections

    everything = detect()
    wanted = everything.class_ids[0]
    by_id, by_name = detect(class_ids=[wanted]), detect(class_names=[everything.class_names[0]])
    assert set(by_id.class_ids) == {wanted}
    assert list(by_name.class_ids) == list(by_id.class_ids)


def test_a_stream_keeps_the_order_and_survives_bad_frames(stubs, jpeg):
    frames = [
        detection_pb2.StreamDetectRequest(
            frame_index=0,
            request={"model_name": "garments", "image": {"encoded": jpeg}, "options": {"confidence": 0.5}},
        ),
        *(
            detection_pb2.StreamDetectRequest(frame_index=index, request={"image": {"encoded": image}})
            for index, image in enumerate([b"text", jpeg, jpeg[:100], *[jpeg] * 20], start=1)
        ),
    ]
    responses = list(stubs.detection.StreamDetect(iter(frames)))

    assert [response.frame_index for response in responses] == list(range(len(frames)))
    failed = {response.frame_index for response in responses if response.WhichOneof("result") == "error"}
    assert failed == {1, 3}
    assert responses[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
