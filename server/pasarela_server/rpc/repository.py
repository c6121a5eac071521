"""The repository RPCs of the inference service: what is there, load, unload."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pasarela_proto import inference_pb2 as pb
from pasarela_server.config.pbtxt import json_to_pbtxt
from pasarela_server.errors import InvalidRequest, Unsupported
from pasarela_server.repository.override import LoadOverride
from pasarela_server.repository.servable import State
from pasarela_server.rpc.models import ModelControl, Models

_FILE = "file:"
_CONFIG = "config"
_DEPENDENTS = "unload_dependents"

Parameters = Mapping[str, pb.ModelRepositoryParameter]


class RepositoryCalls:
    """Lists, loads and unloads models."""

    def __init__(self, models: Models, control: ModelControl | None = None) -> None:
        """Builds the family.

        Args:
            models: What there is.
            control: What loads and unloads; without it, both are refused.
        """
        self._models = models
        self._control = control

    def index(self, request: pb.RepositoryIndexRequest) -> pb.RepositoryIndexResponse:
        """Every model and version with its state; a model that was never loaded is an entry of its name alone.

        Raises:
            Unsupported: A repository is named.
        """
        _refuse_name(request.repository_name)
        response = pb.RepositoryIndexResponse()
        for entry in self._models.index():
            if not request.ready or entry.state is State.READY:
                response.models.add(
                    name=entry.name,
                    version="" if entry.version is None else str(entry.version),
                    state="" if entry.state is State.UNKNOWN else entry.state.value,
                    reason=entry.reason,
                )
        return response

    async def load(self, request: pb.RepositoryModelLoadRequest) -> pb.RepositoryModelLoadResponse:
        """Loads a model, as it lies in the repository or as the request brings it; answers when it is READY.

        When the client goes away meanwhile, the loading goes on.

        Raises:
            Unsupported: A repository is named.
            InvalidRequest: There is no such model, or a parameter is wrong.
            ModelUnavailable: The server does not let clients load models.
            LoadFailed: It cannot be loaded.
        """
        _refuse_name(request.repository_name)
        control = self._required()
        override = _read_override(request.model_name, request.parameters)
        await _on_a_thread(lambda: control.load(request.model_name, override))
        return pb.RepositoryModelLoadResponse()

    async def unload(self, request: pb.RepositoryModelUnloadRequest) -> pb.RepositoryModelUnloadResponse:
        """Takes a model out of service; requests in flight finish.

        Raises:
            Unsupported: A repository is named.
            InvalidRequest: A parameter is wrong.
            ModelUnavailable: The server does not let clients unload models.
        """
        _refuse_name(request.repository_name)
        control = self._required()
        dependents = False
        for name, parameter in request.parameters.items():
            if name != _DEPENDENTS:
                raise InvalidRequest(
                    f"model '{request.model_name}': unknown parameter '{name[:80]}' of an unload; known: {_DEPENDENTS}"
                )
            dependents = bool(_value(request.model_name, name, parameter, "bool_param", "a bool"))
        await _on_a_thread(lambda: control.unload(request.model_name, with_dependents=dependents))
        return pb.RepositoryModelUnloadResponse()

    def _required(self) -> ModelControl:
        if self._control is None:
            raise Unsupported("this server loads and unloads no models for clients")
        return self._control


async def _on_a_thread(call: Callable[[], None]) -> None:
    """Runs what blocks on a thread of its own: one that neither waits for others nor holds the process back."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: Exception | None) -> None:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)

    def run() -> None:
        failure: Exception | None = None
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(finish, failure)

    threading.Thread(target=run, name="control", daemon=True).start()
    await done


def _read_override(model: str, parameters: Parameters) -> LoadOverride | None:
    """What a request to load brings with it; None if it brings nothing.

    Raises:
        InvalidRequest: A parameter is unknown or of the wrong type, or there are files without a configuration.
    """
    config: str | None = None
    files: dict[str, bytes] = {}
    for name, parameter in parameters.items():
        if name == _CONFIG:
            config = _value(model, name, parameter, "string_param", "a string")
        elif name.startswith(_FILE):
            files[name.removeprefix(_FILE)] = _value(model, name, parameter, "bytes_param", "bytes")
        else:
            raise InvalidRequest(
                f"model '{model}': unknown parameter '{name[:80]}' of a load; known: {_CONFIG}, {_FILE}<path>"
            )
    if config is None:
        if files:
            raise InvalidRequest(
                f"model '{model}': files were sent without the parameter '{_CONFIG}'; send the configuration too, "
                "if only {}"
            )
        return None
    return LoadOverride(json_to_pbtxt(config or "{}", model), files)


def _value(model: str, name: str, parameter: pb.ModelRepositoryParameter, kind: str, expected: str) -> Any:
    if parameter.WhichOneof("parameter_choice") != kind:
        came = (parameter.WhichOneof("parameter_choice") or "nothing").removesuffix("_param")
        raise InvalidRequest(f"model '{model}', parameter '{name[:80]}': expected {expected}, got {came}")
    return getattr(parameter, kind)


def _refuse_name(repository_name: str) -> None:
    if repository_name:
        raise Unsupported(
            f"repository '{repository_name[:200]}': this server has one repository and no name for it; "
            "leave repository_name empty"
        )
