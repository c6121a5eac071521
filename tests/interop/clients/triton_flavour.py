"""NVIDIA's blocking and asyncio clients behind one door, for calls that both have; imported by the scripts beside it."""

import inspect
from collections.abc import Callable
from typing import Any

import tritonclient.grpc
import tritonclient.grpc.aio


class Client:
    """Waits for what the asyncio client returns, and gives what the blocking one returns."""

    def __init__(self, flavour: str, address: str, **options: Any) -> None:
        module = {"tritonclient.grpc": tritonclient.grpc, "tritonclient.grpc.aio": tritonclient.grpc.aio}[flavour]
        self._client = module.InferenceServerClient(address, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*arguments: Any, **options: Any) -> Any:
            result = getattr(self._client, name)(*arguments, **options)
            return await result if inspect.isawaitable(result) else result

        return call

    async def refused(self, name: str, *arguments: Any, **options: Any) -> dict[str, str]:
        """The error that a call ends with; nothing if it ends well."""
        try:
            await getattr(self, name)(*arguments, **options)
        except tritonclient.grpc.InferenceServerException as error:
            return {"status": error.status(), "message": error.message()}
        return {}
