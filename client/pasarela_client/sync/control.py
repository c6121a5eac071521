# Generated from ../aio/ by client/generate_sync.py (make client-sync): change that, not this.
"""The server itself: is it there, what does it have, what has it done; loading and unloading."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from google.protobuf.message import Message

from pasarela_client.addresses import DEFAULT_URL
from pasarela_client.connection import Connection, Tls, Token
from pasarela_client.control_codec import (
    decode_class_names,
    decode_description,
    decode_index,
    decode_server,
    decode_statistics,
    encode_load,
    model_below,
)
from pasarela_client.errors import (
    DeadlineExpired,
    InvalidModel,
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    PasarelaError,
    ServerFailure,
    ServerUnreachable,
    Unsupported,
)
from pasarela_client.model_configuration import Configuration, encode_configuration
from pasarela_client.models import ModelDescription, ModelState, ServerDescription
from pasarela_client.statistics import Statistics
from pasarela_client.sync.concurrency import off_loop, sleep
from pasarela_client.sync.endpoints import Endpoints
from pasarela_proto import inference_pb2 as pb
from pasarela_proto.inference_pb2_grpc import GRPCInferenceServiceStub
from pasarela_proto.model_config_pb2 import ModelConfig

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_LOAD_TIMEOUT_S: Final = 600.0
_REASONS_S: Final = 1.0
"""How long a server that was waited for in vain may take to say why."""


class Server:
    """A server of models: what it has, what it does, and what it shall load.

    Any server of the Open Inference Protocol with Triton's extensions answers. What one does not offer is
    `Unsupported`.

    ::

        with Server("127.0.0.1:8001") as server:
            server.wait_until_ready(timeout_s=60)
            for model in server.models():
                print(model.name, model.version, model.state)
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float | None = 10.0,
        tls: bool | str | Path | Tls | None = None,
        token: Token | None = None,
        retries: int | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Prepares a server without connecting.

        Args:
            url: `host:port` of the server's gRPC port (`grpcs://host:port` for TLS).
            timeout_s: Longest wait for each answer, retries included; None waits for ever. Loading and unloading have
                their own.
            tls: True for encryption, the path of the certificates to trust, or `Tls` for the rest.
            token: Sent with each call: the token, a `Path` to a file that holds it, or a function that gives it.
            retries: How often a call is tried again when the server cannot be reached; 0 never.
            connection: All settings of the connection; the three above take the place of what it says.

        Raises:
            InvalidRequest: The address is none or several, a file cannot be used, or the token would be readable on
                its way.
        """
        self.timeout_s = timeout_s
        self.connection = (connection or Connection()).having(tls=tls, token=token, retries=retries)
        self._endpoints = Endpoints(url, self.connection, GRPCInferenceServiceStub)
        if len(self._endpoints) != 1:
            raise InvalidRequest(f"one server is asked about its models, not several: {self._endpoints.url}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.url}>"

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._endpoints.url

    def close(self) -> None:
        """Closes the connection. Calls that are under way end with `RequestCancelled`."""
        self._endpoints.close()

    def live(self) -> bool:
        """Whether the process answers. That nobody does is False, not an error.

        Raises:
            PasarelaError: Someone answers, and does not say.
        """
        try:
            answer = self._ask("ServerLive", pb.ServerLiveRequest(), retry=False)
        except ServerUnreachable:
            return False
        return bool(answer.live)

    def ready(self, model: str = "", version: str = "") -> bool:
        """Whether every model that should be loaded is READY; or whether the one is that is named.

        That nobody answers, or that there is no such model, is False, not an error.

        Raises:
            PasarelaError: Someone answers, and does not say.
        """
        try:
            return self._ask_ready(model, version, self.timeout_s)
        except (ServerUnreachable, ModelNotFound, ModelUnavailable):
            return False

    def metadata(self) -> ServerDescription:
        """What the server says of itself.

        Raises:
            PasarelaError: The server did not say.
        """
        return decode_server(self._ask("ServerMetadata", pb.ServerMetadataRequest()))

    def models(self) -> list[ModelState]:
        """Every model and version that the server knows, by name and version.

        Raises:
            PasarelaError: The server did not say.
        """
        return decode_index(self._ask("RepositoryIndex", pb.RepositoryIndexRequest()))

    def describe(self, model: str, version: str = "") -> ModelDescription:
        """What a model takes and gives, and how it is configured.

        A server that does not tell configurations tells only the first.

        Args:
            model: The model.
            version: A number or a label; empty means the highest version that is ready.

        Raises:
            ModelNotFound: The server has no such model or version, or none that is ready.
            PasarelaError: The server did not say.
        """
        metadata = self._ask("ModelMetadata", pb.ModelMetadataRequest(name=model, version=version), model)
        try:
            config = self._ask_config(model, version)
        except Unsupported:
            return decode_description(metadata, None, {})
        return decode_description(metadata, config, self._class_names(config))

    def statistics(self, model: str = "", version: str = "") -> Statistics:
        """What models have done since they were loaded. Two readings can be subtracted: `later - earlier`.

        Args:
            model: Empty for all versions of all models that are ready.
            version: Empty for all versions of the model that are ready.

        Raises:
            ModelNotFound: The server has no such model.
            ModelUnavailable: No such version of it is READY.
            PasarelaError: The server did not say.
        """
        try:
            answer = self._ask("ModelStatistics", pb.ModelStatisticsRequest(name=model, version=version), model)
        except InvalidRequest as error:
            self._require_known(model, error)
            raise ModelUnavailable(error.message, model=model, status=error.status) from error
        return decode_statistics(answer, time.monotonic())

    def load(
        self,
        model: str,
        *,
        config: Configuration | Path | None = None,
        files: Mapping[str, bytes | Path] | None = None,
        timeout_s: float | None = _LOAD_TIMEOUT_S,
    ) -> None:
        """Loads a model, or loads it anew; returns when it is READY.

        The server must leave that to its clients (`--model-control-mode explicit`). If this call is given up, the
        server goes on loading.

        Args:
            model: The model.
            config: A configuration to load it with, instead of the repository's: a file or the text of a
                `config.pbtxt` or of its JSON form, or a mapping. It holds until the model is loaded again.
            files: By path inside the model's folder (`1/model.onnx`), what stands in for the repository's files.
            timeout_s: Longest wait; None waits for ever.

        Raises:
            ModelNotFound: The repository has no such model.
            ModelUnavailable: The server does not leave it to clients.
            ServerFailure: It cannot be loaded; the message says why. What answered before goes on to do so.
            InvalidRequest: The configuration is none, or a file cannot be read.
            PasarelaError: The server did not say.
        """
        request = off_loop(_read_load, model, config, files or {})
        try:
            self._endpoints.ask("RepositoryModelLoad", request, timeout_s=timeout_s, model=model)
        except DeadlineExpired as error:
            raise DeadlineExpired(
                f"'{model}' was not READY {_within(timeout_s)}; the server goes on loading it",
                model=model,
                status=error.status,
            ) from error
        except (InvalidRequest, ServerFailure) as error:
            self._require_known(model, error)
            raise

    def unload(self, model: str, *, dependents: bool = False, timeout_s: float | None = 60.0) -> None:
        """Takes a model out of service; requests in flight finish. To unload what is not loaded is no error.

        Args:
            model: The model.
            dependents: Whether what it runs goes, too: the raw model under a detection model.
            timeout_s: Longest wait; None waits for ever.

        Raises:
            ModelNotFound: The server knows no such model.
            ModelUnavailable: The server does not leave it to clients.
            PasarelaError: The server did not say.
        """
        request = pb.RepositoryModelUnloadRequest(model_name=model)
        if dependents:
            request.parameters["unload_dependents"].bool_param = True
        self._endpoints.ask("RepositoryModelUnload", request, timeout_s=timeout_s, model=model)
        self._require_known(model, None)

    def wait_until_ready(self, model: str = "", version: str = "", *, timeout_s: float | None = 60.0) -> None:
        """Waits until the server answers and every model that should be loaded is READY; or until one model is.

        Args:
            model: Empty for all that should be loaded.
            version: Which version of it; empty for any.
            timeout_s: Longest wait; None waits for ever.

        Raises:
            ServerUnreachable: Nothing answered in that time.
            ModelNotFound: The server answered, and had no such model in all that time.
            ModelUnavailable: The model was not READY in that time; with the reason, where the server says one.
            DeadlineExpired: The server was not ready in that time.
            PasarelaError: The server did not say.
        """
        until_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            unreachable: ServerUnreachable | None = None
            try:
                if self._ask_ready(model, version, self._longest_s(until_s)):
                    return
            except ServerUnreachable as error:
                unreachable = error
            except (DeadlineExpired, ModelNotFound, ModelUnavailable):
                pass  # not yet: it is asked again as long as there is time
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise unreachable or self._not_ready(model, version, timeout_s)
            sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _ask(self, method: str, request: Message, model: str = "", *, retry: bool = True) -> Any:
        return self._endpoints.ask(method, request, timeout_s=self.timeout_s, model=model, retry=retry)

    def _ask_ready(self, model: str, version: str, timeout_s: float | None) -> bool:
        method = "ModelReady" if model else "ServerReady"
        request = pb.ModelReadyRequest(name=model, version=version) if model else pb.ServerReadyRequest()
        answer = self._endpoints.ask(method, request, timeout_s=timeout_s, model=model, retry=False)
        return bool(answer.ready)

    def _longest_s(self, until_s: float) -> float | None:
        """The longest wait for one answer if all of it may take until then."""
        if math.isinf(until_s):
            return self.timeout_s
        left_s = max(0.05, until_s - time.monotonic())
        return left_s if self.timeout_s is None else min(left_s, self.timeout_s)

    def _ask_config(self, model: str, version: str) -> ModelConfig:
        answer = self._ask("ModelConfig", pb.ModelConfigRequest(name=model, version=version), model)
        config: ModelConfig = answer.config
        return config

    def _class_names(self, config: ModelConfig) -> dict[int, str]:
        """The names that a configuration holds; a detection model's are those of the model under it."""
        names = decode_class_names(config)
        below, version = model_below(config)
        if names or not below:
            return names
        try:
            return decode_class_names(self._ask_config(below, version))
        except (ModelNotFound, ModelUnavailable, InvalidModel):
            return {}

    def _require_known(self, model: str, otherwise: PasarelaError | None) -> None:
        """Says better than the server did that there is no such model, where it has a list."""
        try:
            known = self.models()
        except PasarelaError:
            return
        if model not in {state.name for state in known}:
            raise _unknown(model, known) from otherwise

    def _not_ready(self, model: str, version: str, timeout_s: float | None) -> PasarelaError:
        try:
            answer = self._endpoints.ask(
                "RepositoryIndex", pb.RepositoryIndexRequest(), timeout_s=_REASONS_S, retry=False
            )
            known = decode_index(answer)
        except PasarelaError:
            known = []
        if model and known and model not in {state.name for state in known}:
            return _unknown(model, known)
        states = [state for state in known if not state.ready and model in ("", state.name)]
        what = f"'{model}'" + (f" version {version}" if version else "") if model else "the server"
        reasons = "; ".join(
            f"'{state.name}'{' ' + state.version if state.version else ''} is {state.state}"
            + (f": {state.reason}" if state.reason else "")
            for state in states
            if version in ("", state.version)
        )
        message = f"{what} was not ready {_within(timeout_s)}" + (f" ({reasons})" if reasons else "")
        return ModelUnavailable(message, model=model) if model else DeadlineExpired(message)


def _read_load(
    model: str, config: Configuration | Path | None, files: Mapping[str, bytes | Path]
) -> pb.RepositoryModelLoadRequest:
    """The request to load a model, its files read.

    Raises:
        InvalidRequest: The configuration is none, or a file cannot be read.
    """
    if isinstance(config, Path):
        source = config
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"cannot read the configuration {source}: {_why(error)}", model=model) from error
        try:
            config = encode_configuration(text, model=model)
        except InvalidRequest as error:
            raise InvalidRequest(f"{source} is no model configuration: {error.message}", model=model) from error
    contents: dict[str, bytes] = {}
    for path, content in files.items():
        try:
            contents[path] = content.read_bytes() if isinstance(content, Path) else content
        except OSError as error:
            raise InvalidRequest(f"cannot read {content!s}: {_why(error)}", model=model) from error
    encoded = "" if config is None else encode_configuration(config, model=model)
    return encode_load(model, encoded, contents)


def _unknown(model: str, known: Iterable[ModelState]) -> ModelNotFound:
    names = ", ".join(sorted({state.name for state in known})) or "none"
    return ModelNotFound(f"the server has no model '{model}'; it has: {names}", model=model)


def _within(timeout_s: float | None) -> str:
    return "in the time allowed" if timeout_s is None else f"within {timeout_s:g} s"


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is no UTF-8 text"
