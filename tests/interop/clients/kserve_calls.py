"""Calls a server with KServe's client and prints what came back as one line of JSON: ADDRESS IMAGE."""

import asyncio
import json
import sys
from pathlib import Path

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput

RAW = "garments_onnx"


def pixels(*, binary: bool = True, side: int = 320, rows: int = 1, **options: object) -> InferRequest:
    """A request with grey images for a raw model, as bytes or as typed contents."""
    tensor = InferInput("images", [rows, 3, side, side], "FP32")
    tensor.set_data_from_numpy(np.full((rows, 3, side, side), 0.5, np.float32), binary_data=binary)
    return InferRequest(options.pop("model", RAW), [tensor], **options)


def encoded(image: bytes, **options: object) -> InferRequest:
    """A request with an image file."""
    tensor = InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([image], dtype=object))
    return InferRequest("garments", [tensor], **options)


async def ask(client: InferenceGRPCClient, request: InferRequest, **options: object) -> dict[str, object]:
    """What can be told of an answer, or of a refusal, in JSON."""
    try:
        response = await client.infer(request, **options)
    except grpc.RpcError as error:
        return {"status": error.code().name, "message": error.details()}
    outputs = {output.name: output.as_numpy() for output in response.outputs}
    return {
        "id": response.id,
        "model": response.model_name,
        "version": response.model_version,
        "shapes": {name: list(output.shape) for name, output in outputs.items()},
        "sum": float(sum(output.sum() for output in outputs.values() if output.dtype == np.float32)),
    }


async def calls(address: str, image: bytes) -> dict[str, object]:
    """Calls everything that the client has."""
    async with InferenceGRPCClient(address) as client:
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "models_ready": {name: await client.is_model_ready(name) for name in ("garments", RAW, "trousers")},
            "raw": await ask(client, pixels(request_id="k1", model_version="1")),
            "typed": await ask(client, pixels(binary=False)),
            "large": await ask(client, pixels(rows=8)),
            "image": await ask(client, encoded(image)),
            "one": await ask(client, encoded(image, parameters={"max_detections": 1})),
            "only": await ask(client, encoded(image, request_outputs=[RequestedOutput("scores")])),
            "many": [
                answer["id"]
                for answer in await asyncio.gather(
                    *(ask(client, pixels(request_id=f"k{number}")) for number in range(10))
                )
            ],
            "timeout": await ask(client, pixels(rows=8), timeout=0.001),
            "unknown": await ask(client, pixels(model="trousers")),
            "wrong shape": await ask(client, pixels(side=96)),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(calls(sys.argv[1], Path(sys.argv[2]).read_bytes()))))
