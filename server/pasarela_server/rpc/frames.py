"""Frames of a detection stream: what one leaves out is what the frame before said."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pasarela_proto import detection_pb2 as pb


def inherit(request: pb.DetectRequest, before: pb.DetectRequest) -> None:
    """Fills what a frame's request leaves out with what the frame before said; the image stays as it is.

    A frame that names another model takes over nothing: version and options belong to the model they were said for.
    """
    if request.model_name and request.model_name != before.model_name:
        return
    request.model_name = before.model_name
    request.model_version = request.model_version or before.model_version
    if not request.HasField("options"):
        request.options.CopyFrom(before.options)


async def completed(frames: AsyncIterator[pb.StreamDetectRequest]) -> AsyncIterator[pb.StreamDetectRequest]:
    """The frames of a stream as they come, each request completed in place."""
    before = pb.DetectRequest()
    async for frame in frames:
        request = frame.request
        inherit(request, before)
        before = pb.DetectRequest(
            model_name=request.model_name, model_version=request.model_version, options=request.options
        )
        yield frame
