"""What a frame leaves out is what the frame before said."""

import pytest

from pasarela_proto import detection_pb2 as pb
from pasarela_server.rpc.frames import completed, inherit

BEFORE = {"model_name": "m", "model_version": "3", "options": {"confidence": 0.5}}


@pytest.mark.parametrize(
    ("request_fields", "expected"),
    [
        pytest.param({}, BEFORE, id="all is inherited"),
        pytest.param({"model_name": "m"}, BEFORE, id="the same name changes nothing"),
        pytest.param({"model_version": "4"}, BEFORE | {"model_version": "4"}, id="another version"),
        pytest.param({"options": {}}, BEFORE | {"options": {}}, id="empty options are options: the defaults"),
        pytest.param({"model_name": "n"}, {"model_name": "n"}, id="another model inherits nothing"),
        pytest.param(
            {"id": "r", "image": {"encoded": b"x"}}, BEFORE | {"id": "r", "image": {"encoded": b"x"}}, id="own"
        ),
    ],
)
def test_inherit(request_fields, expected):
    request = pb.DetectRequest(**request_fields)
    inherit(request, pb.DetectRequest(**BEFORE))
    assert request == pb.DetectRequest(**expected)


async def test_images_and_ids_are_never_inherited():
    async def frames():
        yield pb.StreamDetectRequest(frame_index=1, request=BEFORE | {"id": "r", "image": {"encoded": b"x"}})
        yield pb.StreamDetectRequest(frame_index=2)

    first, second = [frame async for frame in completed(frames())]
    assert first.request.image.encoded == b"x"
    assert second == pb.StreamDetectRequest(frame_index=2, request=BEFORE)
