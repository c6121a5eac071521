"""Inference on streams with NVIDIA's asyncio client, one answer each as one line of JSON: ADDRESS IMAGE."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import tritonclient.grpc.aio as triton
from triton_inputs import encoded, pixels, summary

RAW = "garments_onnx"

Requests = list[dict[str, object]]


def request(model: str, inputs: list[triton.InferInput], number: int) -> dict[str, object]:
    """A request as `stream_infer` takes them."""
    return {"model_name": model, "inputs": inputs, "request_id": f"s{number}"}


async def each(requests: Requests) -> AsyncIterator[dict[str, object]]:
    """The requests, one after the other."""
    for sent in requests:
        yield sent


async def all_of(client: triton.InferenceServerClient, requests: Requests, **options: object) -> Requests:
    """The answers to requests that are sent without waiting."""
    return [summary(result, error) async for result, error in client.stream_infer(each(requests), **options)]


async def in_turns(client: triton.InferenceServerClient) -> list[object]:
    """Each request is sent when the one before has been answered."""
    answered = asyncio.Event()

    async def requests() -> AsyncIterator[dict[str, object]]:
        for number in range(5):
            yield request(RAW, pixels(), number)
            await answered.wait()
            answered.clear()

    ids = []
    async for result, _ in client.stream_infer(requests()):
        ids.append(summary(result)["id"])
        answered.set()
    return ids


async def cancelled(client: triton.InferenceServerClient) -> str:
    """How a stream ends that is cancelled after its first answer."""
    answers = client.stream_infer(each([request(RAW, pixels(8), number) for number in range(8)]))
    await anext(answers)
    answers.cancel()
    try:
        while True:
            await anext(answers)
    except (asyncio.CancelledError, StopAsyncIteration) as ended:
        return type(ended).__name__


async def with_status(client: triton.InferenceServerClient) -> str:
    """How a stream ends whose client asked for errors as a status of gRPC."""
    try:
        await all_of(client, [request("trousers", pixels(), 0)], headers={"triton_grpc_error": "true"})
    except triton.grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def calls(address: str, image: str) -> dict[str, object]:
    """Opens one stream after the other."""
    async with triton.InferenceServerClient(address) as client:
        return {
            "ordered": await all_of(
                client,
                [
                    request(RAW, pixels(8), 0),
                    request("garments", encoded(image), 1),
                    request(RAW, pixels(), 2),
                ],
            ),
            "errors": await all_of(
                client,
                [request(RAW, pixels(), 0), request("trousers", pixels(), 1), request(RAW, pixels(), 2)],
            ),
            "turns": await in_turns(client),
            "status": await with_status(client),
            "cancelled": await cancelled(client),
            "after": summary(await client.infer(RAW, pixels())),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(calls(*sys.argv[1:]))))
