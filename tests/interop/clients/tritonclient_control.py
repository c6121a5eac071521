"""Loads and unloads models with NVIDIA's clients, one answer each as one line of JSON: CLIENT ADDRESS MODEL_FILE."""

import asyncio
import json
import sys
from pathlib import Path

from triton_flavour import Client
from triton_inputs import pixels, summary


async def index(client: Client) -> dict[str, list[str]]:
    """(version, state, reason) of each model."""
    listed = await client.get_model_repository_index(as_json=True)
    return {model["name"]: [model.get(key, "") for key in ("version", "state", "reason")] for model in listed["models"]}


async def loaded(client: Client) -> dict[str, object]:
    """A model that was not loaded, before and after."""
    before = await client.is_model_ready("garments_openvino")
    await client.load_model("garments_openvino")
    return {
        "before": before,
        "after": await client.is_model_ready("garments_openvino"),
        "answer": summary(await client.infer("garments_openvino", pixels())),
        "index": await index(client),
    }


async def unloaded(client: Client) -> dict[str, object]:
    """A model that was loaded, after it was unloaded, and after it was loaded again."""
    await client.unload_model("garments_openvino")
    return {
        "ready": await client.is_model_ready("garments_openvino"),
        "latest": await client.refused("infer", "garments_openvino", pixels()),
        "version": await client.refused("infer", "garments_openvino", pixels(), "1"),
        "index": await index(client),
        "again": await client.load_model("garments_openvino"),
        "ready_again": await client.is_model_ready("garments_openvino"),
    }


async def reconfigured(client: Client) -> dict[str, object]:
    """The largest batch of a model: as it lies there, under a configuration sent along, and after a plain load."""

    async def largest() -> int:
        return (await client.get_model_config("garments_onnx", as_json=True))["config"]["max_batch_size"]

    before = await largest()
    await client.load_model("garments_onnx", config=json.dumps({"backend": "onnxruntime", "max_batch_size": 2}))
    during = await largest()
    await client.load_model("garments_onnx")
    return {"before": before, "during": during, "after": await largest()}


async def with_files(client: Client, model: bytes) -> dict[str, object]:
    """A model that the repository never had."""
    await client.load_model("sent", config=json.dumps({"backend": "onnxruntime"}), files={"file:5/model.onnx": model})
    return {
        "answer": summary(await client.infer("sent", pixels())),
        "index": (await index(client))["sent"],
        "unloaded": await client.unload_model("sent"),
        "after": await client.refused("infer", "sent", pixels()),
    }


async def calls(flavour: str, address: str, model: bytes) -> dict[str, object]:
    """Does one after the other."""
    client = Client(flavour, address)
    answers = {
        "start": await index(client),
        "loaded": await loaded(client),
        "unloaded": await unloaded(client),
        "reconfigured": await reconfigured(client),
        "with_files": await with_files(client, model),
        "refused": {
            "missing": await client.refused("load_model", "trousers"),
            "unload of a missing one": await client.refused("unload_model", "trousers"),
            "no JSON": await client.refused("load_model", "garments_onnx", config="{max_batch_size"),
            "broken": await client.refused(
                "load_model",
                "broken",
                config=json.dumps({"backend": "onnxruntime"}),
                files={"file:1/model.onnx": b"no model"},
            ),
        },
        "ready": await client.is_model_ready("garments_onnx"),
    }
    await client.unload_model("garments_openvino", unload_dependents=True)
    answers["with_dependents"] = await index(client)
    await client.close()
    return answers


if __name__ == "__main__":
    flavour, address, model_file = sys.argv[1:]
    print(json.dumps(asyncio.run(calls(flavour, address, Path(model_file).read_bytes()))))
