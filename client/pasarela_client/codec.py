"""Requests and answers between the client's types and the messages of `detection.proto`. Nothing is sent here."""

from __future__ import annotations

import time

import grpc
import numpy as np

from pasarela_client.detections import Detections, FrameError
from pasarela_client.errors import PasarelaError, ServerFailure, from_status
from pasarela_client.frame import Frame
from pasarela_client.options import DetectOptions
from pasarela_client.streaming.results import failed
from pasarela_client.timings import STAGES, Timings
from pasarela_proto import detection_pb2 as pb

_STATUS = {status.value[0]: status for status in grpc.StatusCode}


def encode_options(options: DetectOptions) -> pb.DetectOptions:
    """The options as a message; what is None stays unset."""
    return pb.DetectOptions(
        confidence=options.confidence,
        iou=options.iou,
        max_detections=options.max_detections,
        class_names=options.class_names,
        class_ids=options.class_ids,
    )


def encode_request(
    image: pb.Image,
    options: DetectOptions,
    *,
    model: str,
    version: str = "",
    request_id: str = "",
    timeout_s: float | None = None,
) -> pb.DetectRequest:
    """The request for one image.

    Args:
        image: The image's message.
        options: What is asked for.
        model: The model.
        version: Empty means the highest that is ready.
        request_id: How the request is called in the server's logs and traces.
        timeout_s: After so many seconds the answer is worth nothing: for frames of a stream, which have no deadline of
            their own.
    """
    return pb.DetectRequest(
        model_name=model,
        model_version=version,
        id=request_id,
        image=image,
        options=encode_options(options),
        priority=options.priority,
        timeout_us=0 if timeout_s is None else max(1, round(timeout_s * 1e6)),
    )


def encode_frame(frame_index: int, request: pb.DetectRequest) -> pb.StreamDetectRequest:
    """The request for one frame, complete in itself: a frame left out before it changes nothing."""
    return pb.StreamDetectRequest(frame_index=frame_index, request=request)


def decode_response(
    response: pb.DetectResponse,
    *,
    frame_index: int | None = None,
    begun_ns: int | None = None,
    frame: Frame | None = None,
) -> Detections:
    """The detections in an answer.

    Args:
        response: The answer.
        frame_index: Position in its stream.
        begun_ns: When the image was taken up, on the clock of `time.monotonic_ns`; None if nobody noted it.
        frame: What was detected on; the result remembers it.

    Raises:
        ServerFailure: The lists of the answer have different lengths.
    """
    found = response.detections
    try:
        return Detections(
            boxes=np.array(found.boxes, np.float32).reshape(-1, 4),
            scores=np.array(found.scores, np.float32),
            class_ids=np.array(found.class_ids, np.int32),
            names=np.array(found.class_names, np.str_),
            image_size=(response.image_width, response.image_height),
            model=response.model_name,
            version=response.model_version,
            timings=_decode_timings(response.timings, begun_ns),
            frame_index=frame_index,
            origin=frame.origin if frame else "",
            timestamp_s=frame.timestamp_s if frame else None,
            image=frame.image if frame else None,
            request_id=response.id,
            channels=frame.channels if frame else "RGB",
        )
    except ValueError as error:
        raise ServerFailure(
            f"the answer makes no sense: {error}", model=response.model_name, request_id=response.id
        ) from error


def decode_frame(
    response: pb.StreamDetectResponse,
    frame: Frame,
    *,
    url: str,
    model: str,
    request_id: str = "",
    begun_ns: int | None = None,
) -> Detections | FrameError:
    """The answer to one frame: its detections, or the error that stands in their place.

    An answer that makes no sense is the error of its frame.

    Args:
        response: The answer.
        frame: What was detected on.
        url: Who answered, for errors.
        model: The model that was asked, for errors.
        request_id: How the frame's request is called, for errors.
        begun_ns: As in `decode_response`.
    """
    index = response.frame_index
    error: PasarelaError
    match response.WhichOneof("result"):
        case "response":
            try:
                return decode_response(response.response, frame_index=index, begun_ns=begun_ns, frame=frame)
            except ServerFailure as failure:
                error = failure
        case "error":
            status = _STATUS.get(response.error.code, grpc.StatusCode.UNKNOWN)
            told = response.error
            error = from_status(status, told.message, url=url, model=model, request_id=request_id, kind=told.kind)
        case _:
            error = ServerFailure(f"frame {index} was answered with nothing", model=model, request_id=request_id)
    return failed(error, index, frame)


def _decode_timings(timings: pb.Timings, begun_ns: int | None) -> Timings:
    return Timings(
        preprocess_ns=timings.preprocess_ns,
        postprocess_ns=timings.postprocess_ns,
        **{f"{stage}_ns": getattr(timings, f"{stage}_ns") for stage in STAGES},
        total_ns=timings.total_ns,
        batch_size=timings.batch_size,
        close_reason=timings.close_reason,
        instance=timings.instance if timings.close_reason else -1,
        round_trip_ns=0 if begun_ns is None else time.monotonic_ns() - begun_ns,
    )
