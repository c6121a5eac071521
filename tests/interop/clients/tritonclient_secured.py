"""Calls of NVIDIA's clients over TLS and with a token, each answer as one line of JSON: CLIENT ADDRESS SETTINGS.

SETTINGS is JSON: `options` of the client, and the `headers` of its calls.
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from triton_flavour import Client


async def answers(flavour: str, address: str, options: dict[str, Any], headers: dict[str, str]) -> dict[str, object]:
    """What each call ends with: the status of an error, or what was answered."""
    client = Client(flavour, address, **options)
    values = np.array([[1, 2]], np.float32)
    tensor = triton.InferInput("x", values.shape, "FP32")
    tensor.set_data_from_numpy(values)
    live = await client.refused("is_server_live")
    denied = await client.refused("get_model_repository_index", headers=headers)
    failed = await client.refused("infer", "add", [tensor], headers=headers)
    inferred = None
    if not failed:
        result = await client.infer("add", [tensor], headers=headers)
        inferred = result.as_numpy(result.get_response().outputs[0].name).tolist()
    return {"live": live, "failed": failed, "inferred": inferred, "index": denied}


if __name__ == "__main__":
    flavour, address, text = sys.argv[1:]
    print(json.dumps(asyncio.run(answers(flavour, address, **json.loads(text)))))
