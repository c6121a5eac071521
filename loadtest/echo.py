"""A server of both services that answers at once: what users can send at most, against a server that costs nothing.

`python -m loadtest.echo ADDRESS [--like SERVER]` serves until it is ended. Every image has the same few detections,
every tensor the same zeros. With `--like` it says of models what that server says, so that tensors have its shapes.

It parses what it is sent, as a server has to, and shares the machine with the users. So what they reach against it is
what this machine can send and take, and no server in Python would let them reach more.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pasarela_proto import detection_pb2, detection_pb2_grpc, inference_pb2, inference_pb2_grpc

_UNLIMITED: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_ELEMENT_BYTES: Final = {"BOOL": 1, "UINT8": 1, "INT8": 1, "FP16": 2, "UINT16": 2, "INT16": 2, "FP64": 8, "INT64": 8}
_USUAL_BYTES: Final = 4
_TOLD_NS: Final = 1000
"""Every stage claims to have taken so long: users read timings, and that takes them time, too."""


def detections() -> detection_pb2.Detections:
    """What is found in every image."""
    return detection_pb2.Detections(
        boxes=[10.0, 20.0, 110.0, 220.0, 50.0, 60.0, 150.0, 260.0],
        scores=[0.9, 0.8],
        class_ids=[0, 7],
        class_names=["short sleeve top", "trousers"],
    )


def detected(request: detection_pb2.DetectRequest) -> detection_pb2.DetectResponse:
    """The answer to one image."""
    timings = detection_pb2.Timings(batch_size=1, close_reason="alone", instance=0)
    for entry in detection_pb2.Timings.DESCRIPTOR.fields:
        if entry.name.endswith("_ns"):
            setattr(timings, entry.name, _TOLD_NS)
    return detection_pb2.DetectResponse(
        model_name=request.model_name,
        model_version=request.model_version or "1",
        id=request.id,
        detections=detections(),
        image_width=640,
        image_height=480,
        timings=timings,
    )


def usual(model: str) -> inference_pb2.ModelMetadataResponse:
    """What is said of a model that nothing else is known of: an image in, a detector's output out."""
    told = inference_pb2.ModelMetadataResponse(name=model, versions=["1"], platform="echo")
    told.inputs.add(name="images", datatype="FP32", shape=[-1, 3, 320, 320])
    told.outputs.add(name="output0", datatype="FP32", shape=[-1, 17, 2100])
    return told


def inferred(
    request: inference_pb2.ModelInferRequest, described: inference_pb2.ModelMetadataResponse
) -> inference_pb2.ModelInferResponse:
    """Zeros in the shape of the model's outputs, with as many rows as came in."""
    response = inference_pb2.ModelInferResponse(model_name=request.model_name, model_version="1", id=request.id)
    rows = request.inputs[0].shape[0] if request.inputs and request.inputs[0].shape else 1
    for tensor in described.outputs:
        shape = [rows if position == 0 and size < 0 else abs(size) for position, size in enumerate(tensor.shape)]
        elements = 1
        for size in shape:
            elements *= size
        response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        if tensor.datatype == "BYTES":
            response.raw_output_contents.append(b"\0\0\0\0" * elements)
        else:
            response.raw_output_contents.append(bytes(elements * _ELEMENT_BYTES.get(tensor.datatype, _USUAL_BYTES)))
    return response


class EchoDetection(detection_pb2_grpc.DetectionServiceServicer):
    """The typed service."""

    async def Detect(self, request: detection_pb2.DetectRequest, context: Any) -> detection_pb2.DetectResponse:  # noqa: ARG002, N802
        """One image."""
        return detected(request)

    async def StreamDetect(  # noqa: N802
        self,
        request_iterator: AsyncIterator[detection_pb2.StreamDetectRequest],
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[detection_pb2.StreamDetectResponse]:
        """Frames, each answered as it comes."""
        async for frame in request_iterator:
            yield detection_pb2.StreamDetectResponse(frame_index=frame.frame_index, response=detected(frame.request))


class EchoInference(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """What users of tensors ask."""

    def __init__(self, like: str | None = None) -> None:
        """Asks nobody yet.

        Args:
            like: host:port of a server that is asked about models, once for each; None knows one shape for all.
        """
        self._like = like
        self._asking = asyncio.Lock()
        self._described: dict[str, inference_pb2.ModelMetadataResponse] = {}
        self._answers: dict[tuple[str, tuple[int, ...]], inference_pb2.ModelInferResponse] = {}

    async def ServerReady(self, request: Any, context: Any) -> inference_pb2.ServerReadyResponse:  # noqa: ARG002, N802
        """It is."""
        return inference_pb2.ServerReadyResponse(ready=True)

    async def ModelReady(self, request: Any, context: Any) -> inference_pb2.ModelReadyResponse:  # noqa: ARG002, N802
        """All are."""
        return inference_pb2.ModelReadyResponse(ready=True)

    async def ModelMetadata(  # noqa: N802
        self,
        request: inference_pb2.ModelMetadataRequest,
        context: Any,  # noqa: ARG002
    ) -> inference_pb2.ModelMetadataResponse:
        """What the server says that this one is like, or the usual."""
        return await self._describe(request.name)

    async def ModelInfer(  # noqa: N802
        self,
        request: inference_pb2.ModelInferRequest,
        context: Any,  # noqa: ARG002
    ) -> inference_pb2.ModelInferResponse:
        """Zeros."""
        shape = tuple(request.inputs[0].shape) if request.inputs else ()
        key = (request.model_name, shape)
        if key not in self._answers:
            self._answers[key] = inferred(request, await self._describe(request.model_name))
        return self._answers[key]

    async def _describe(self, model: str) -> inference_pb2.ModelMetadataResponse:
        async with self._asking:  # who asks meanwhile waits, and is told the same
            if model not in self._described:
                self._described[model] = await describe(model, self._like)
        return self._described[model]


async def describe(model: str, like: str | None) -> inference_pb2.ModelMetadataResponse:
    """What the echo server says of a model: what another server says of it, or the usual.

    Args:
        model: Its name.
        like: host:port of the other server. One that wants TLS or a token does not tell: the usual has to do.
    """
    if like is None:
        return usual(model)
    try:
        async with grpc.aio.insecure_channel(like) as channel:
            stub: Any = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            told: inference_pb2.ModelMetadataResponse = await stub.ModelMetadata(
                inference_pb2.ModelMetadataRequest(name=model), timeout=10
            )
            return told
    except grpc.aio.AioRpcError:
        return usual(model)


class EchoHealth(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Serving, from the first moment."""

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: ARG002, N802
        """It does."""
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[health_pb2.HealthCheckResponse]:  # noqa: ARG002, N802
        """It does."""
        yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


async def serve(address: str, like: str | None = None) -> None:
    """Serves until it is cancelled."""
    server = grpc.aio.server(options=_UNLIMITED)
    detection_pb2_grpc.add_DetectionServiceServicer_to_server(EchoDetection(), server)
    inference = EchoInference(like)  # type: ignore[abstract]  # what it leaves out is UNIMPLEMENTED
    inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(inference, server)
    health_pb2_grpc.add_HealthServicer_to_server(EchoHealth(), server)
    server.add_insecure_port(address)
    await server.start()
    try:
        await server.wait_for_termination()
    finally:
        await server.stop(0)


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.echo", description="Answers every request at once.")
    parser.add_argument("address", metavar="HOST:PORT", help="where to listen")
    parser.add_argument("--like", metavar="HOST:PORT", help="a server that says which tensors its models take")
    arguments = parser.parse_args(argv)
    try:
        asyncio.run(serve(arguments.address, arguments.like))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
