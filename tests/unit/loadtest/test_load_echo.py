"""The echo server's answers, without a server."""

import asyncio
from typing import Any

import pytest

from loadtest import echo
from pasarela_proto import inference_pb2


def test_who_asks_while_the_server_is_asked_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users begin at the same moment: all of them have to send the model's own shape."""
    asked: list[str] = []

    async def told(model: str, like: str | None) -> inference_pb2.ModelMetadataResponse:
        asked.append(str(like))
        await asyncio.sleep(0)
        return inference_pb2.ModelMetadataResponse(name=model, platform="its own")

    async def ask() -> list[Any]:
        service: Any = echo.EchoInference("like")  # type: ignore[abstract]
        request = inference_pb2.ModelMetadataRequest(name="m")
        return await asyncio.gather(*(service.ModelMetadata(request, None) for _ in range(4)))

    monkeypatch.setattr(echo, "describe", told)
    assert [answer.platform for answer in asyncio.run(ask())] == ["its own"] * 4
    assert asked == ["like"]
