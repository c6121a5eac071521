"""Calls a server with NVIDIA's asyncio client and prints what came back as one line of JSON: ADDRESS IMAGE."""

import asyncio
import json
import math
import os
import sys

import numpy as np
import tritonclient.grpc.aio as triton
from triton_inputs import encoded, pixels, summary
from tritonclient.utils import shared_memory

RAW = "garments_onnx"


async def refused(call) -> dict[str, object]:
    """The error that a call ends with."""
    try:
        return summary(await call)
    except triton.InferenceServerException as error:
        return summary(None, error)


async def cancelled(client: triton.InferenceServerClient) -> dict[str, object]:
    """A task that is cancelled while others are before it, and the answers of these."""
    others = [asyncio.ensure_future(client.infer(RAW, pixels(8))) for _ in range(3)]
    last = asyncio.ensure_future(client.infer(RAW, pixels(8)))
    await asyncio.sleep(0)
    last.cancel()
    (ended,) = await asyncio.gather(last, return_exceptions=True)
    return {
        "cancelled": type(ended).__name__,
        "others": [summary(result)["shapes"] for result in await asyncio.gather(*others)],
    }


async def shared(client: triton.InferenceServerClient) -> dict[str, object]:
    """Input and output of an inference in memory that client and server share."""
    image = np.full((1, 3, 320, 320), 0.5, np.float32)
    shape = [1, 17, 2100]
    size = 4 * math.prod(shape)
    key = f"/pasarela-aio-{os.getpid()}"
    region = shared_memory.create_shared_memory_region("aio", key, image.nbytes + size)
    try:
        shared_memory.set_shared_memory_region(region, [image])
        await client.register_system_shared_memory("aio", key, image.nbytes + size)
        registered = await client.get_system_shared_memory_status(as_json=True)
        tensor, output = triton.InferInput("images", list(image.shape), "FP32"), triton.InferRequestedOutput("output0")
        tensor.set_shared_memory("aio", image.nbytes)
        output.set_shared_memory("aio", size, offset=image.nbytes)
        await client.infer(RAW, [tensor], outputs=[output])
        found = shared_memory.get_contents_as_numpy(region, np.float32, shape, offset=image.nbytes)
        await client.unregister_system_shared_memory("aio")
        left = await client.get_system_shared_memory_status(as_json=True)
        return {
            "registered": list(registered["regions"]),
            "sum": float(found.sum()),
            "left": list(left.get("regions", {})),
        }
    finally:
        shared_memory.destroy_shared_memory_region(region)


async def calls(address: str, image: str) -> dict[str, object]:
    """Calls everything."""
    async with triton.InferenceServerClient(address) as client:
        many = await asyncio.gather(*(client.infer(RAW, pixels(), request_id=f"r{number}") for number in range(20)))
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "models_ready": {name: await client.is_model_ready(name) for name in ("garments", RAW, "trousers")},
            "server": await client.get_server_metadata(as_json=True),
            "metadata": await client.get_model_metadata(RAW, as_json=True),
            "config": await client.get_model_config(RAW, as_json=True),
            "index": await client.get_model_repository_index(as_json=True),
            "raw": summary(await client.infer(RAW, pixels(), request_id="a1")),
            "image": summary(await client.infer("garments", encoded(image))),
            "only": summary(
                await client.infer("garments", encoded(image), outputs=[triton.InferRequestedOutput("scores")])
            ),
            "one": summary(await client.infer("garments", encoded(image), parameters={"max_detections": 1})),
            "many": [result.get_response().id for result in many],
            "compressed": summary(await client.infer(RAW, pixels(), compression_algorithm="gzip")),
            "large": summary(await client.infer(RAW, pixels(8))),
            "timeout": await refused(client.infer(RAW, pixels(8), client_timeout=0.001)),
            "cancelled": await cancelled(client),
            "shared": await shared(client),
            "refused": await refused(client.infer("trousers", pixels())),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(calls(*sys.argv[1:]))))
