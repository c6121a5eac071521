"""Statistics, log and trace settings with NVIDIA's clients, one answer each as one line of JSON: CLIENT ADDRESS."""

import asyncio
import json
import sys

from triton_flavour import Client
from triton_inputs import pixels

RAW = "garments_onnx"


async def statistics(client: Client) -> dict[str, object]:
    """Of one model after three requests of which one was wrong, of all, and of none."""
    before = await client.get_inference_statistics(RAW, as_json=True)
    await client.infer(RAW, pixels(3))
    await client.infer(RAW, pixels())
    await client.refused("infer", RAW, pixels(side=96))
    return {
        "before": before["model_stats"],
        "after": (await client.get_inference_statistics(RAW, "1", as_json=True))["model_stats"],
        "all": (await client.get_inference_statistics(as_json=True))["model_stats"],
        "unknown": await client.refused("get_inference_statistics", "trousers"),
    }


async def log(client: Client) -> dict[str, object]:
    """Settings before and after a change, and after it was taken back."""
    before = (await client.get_log_settings(as_json=True))["settings"]
    changed = await client.update_log_settings({"log_verbose_level": 1, "log_info": False}, as_json=True)
    unknown = await client.refused("update_log_settings", {"log_colour": True})
    level = before["log_verbose_level"].get("uint32_param", 0)
    again = await client.update_log_settings({"log_verbose_level": level, "log_info": True}, as_json=True)
    return {"before": before, "changed": changed["settings"], "again": again["settings"], "unknown": unknown}


async def trace(client: Client, flavour: str) -> dict[str, object]:
    """Settings of all models and of one, which traces a request meanwhile."""
    before = (await client.get_trace_settings(as_json=True))["settings"]
    changed = await client.update_trace_settings(RAW, {"trace_rate": "1", "trace_level": ["TIMESTAMPS"]}, as_json=True)
    await client.infer(RAW, pixels(), request_id=f"traced by {flavour}")
    others = (await client.get_trace_settings(as_json=True))["settings"]
    unknown = await client.refused("update_trace_settings", settings={"trace_colour": "red"})
    again = await client.update_trace_settings(RAW, {"trace_rate": [], "trace_level": []}, as_json=True)
    return {
        "before": before,
        "changed": changed["settings"],
        "others": others,
        "again": again["settings"],
        "unknown": unknown,
    }


async def calls(flavour: str, address: str) -> dict[str, object]:
    """Does one after the other."""
    client = Client(flavour, address)
    server = await client.get_server_metadata(as_json=True)
    answers = {
        "extensions": server["extensions"],
        "statistics": await statistics(client),
        "log": await log(client),
        "trace": await trace(client, flavour),
    }
    await client.close()
    return answers


if __name__ == "__main__":
    print(json.dumps(asyncio.run(calls(*sys.argv[1:]))))
