"""The least that a gRPC server in Python can do with the messages of an inference: it sends the tensor back.

`python -m loadtest.benchmark.echo threads|asyncio PORT` serves one model, `identity`, with what perf_analyzer asks
before it begins. It is a measure of grpcio in Python on this machine: no server written with it can be faster.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from loadtest.benchmark.tiny import ELEMENTS, NAME
from pasarela_proto import inference_pb2 as pb
from pasarela_proto import model_config_pb2

_SERVICE = "inference.GRPCInferenceService"
_THREADS = 16


def infer(request: pb.ModelInferRequest, _context: object) -> pb.ModelInferResponse:
    """Its input, sent back."""
    response = pb.ModelInferResponse(
        model_name=NAME, model_version="1", id=request.id, raw_output_contents=request.raw_input_contents
    )
    tensor = request.inputs[0]
    response.outputs.add(name="y", datatype=tensor.datatype, shape=tensor.shape)
    return response


def _metadata(_request: object, _context: object) -> pb.ModelMetadataResponse:
    response = pb.ModelMetadataResponse(name=NAME, versions=["1"], platform="echo")
    response.inputs.add(name="x", datatype="FP32", shape=[-1, ELEMENTS])
    response.outputs.add(name="y", datatype="FP32", shape=[-1, ELEMENTS])
    return response


def _config(_request: object, _context: object) -> pb.ModelConfigResponse:
    config = model_config_pb2.ModelConfig(name=NAME, backend="echo", max_batch_size=8)
    config.input.add(name="x", data_type=model_config_pb2.TYPE_FP32, dims=[ELEMENTS])
    config.output.add(name="y", data_type=model_config_pb2.TYPE_FP32, dims=[ELEMENTS])
    return pb.ModelConfigResponse(config=config)


_METHODS: dict[str, tuple[type[Any], Callable[[Any, Any], Any]]] = {
    "ServerLive": (pb.ServerLiveRequest, lambda _request, _context: pb.ServerLiveResponse(live=True)),
    "ServerReady": (pb.ServerReadyRequest, lambda _request, _context: pb.ServerReadyResponse(ready=True)),
    "ModelReady": (pb.ModelReadyRequest, lambda _request, _context: pb.ModelReadyResponse(ready=True)),
    "ServerMetadata": (
        pb.ServerMetadataRequest,
        lambda _request, _context: pb.ServerMetadataResponse(name="echo", version="1"),
    ),
    "ModelMetadata": (pb.ModelMetadataRequest, _metadata),
    "ModelConfig": (pb.ModelConfigRequest, _config),
    "ModelInfer": (pb.ModelInferRequest, infer),
}


def _handlers(*, of_asyncio: bool) -> tuple[grpc.GenericRpcHandler, ...]:
    def handler(message: type[Any], answer: Callable[[Any, Any], Any]) -> Any:
        async def answer_later(request: Any, context: Any) -> Any:
            return answer(request, context)

        return grpc.unary_unary_rpc_method_handler(
            answer_later if of_asyncio else answer,
            request_deserializer=message.FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )

    serving = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    def watch(_request: object, _context: object) -> Any:
        yield serving

    async def watch_later(_request: object, _context: object) -> Any:
        yield serving

    health = grpc.unary_stream_rpc_method_handler(
        watch_later if of_asyncio else watch,
        request_deserializer=health_pb2.HealthCheckRequest.FromString,
        response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
    )
    return (
        grpc.method_handlers_generic_handler(_SERVICE, {name: handler(*parts) for name, parts in _METHODS.items()}),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Watch": health}),
    )


def _serve_with_threads(address: str) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS))
    server.add_generic_rpc_handlers(_handlers(of_asyncio=False))
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


async def _serve_with_asyncio(address: str) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(_handlers(of_asyncio=True))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def main(arguments: list[str]) -> int:
    """Serves until it is ended."""
    kind, port = arguments
    if kind == "threads":
        _serve_with_threads(f"127.0.0.1:{port}")
    else:
        asyncio.run(_serve_with_asyncio(f"127.0.0.1:{port}"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
