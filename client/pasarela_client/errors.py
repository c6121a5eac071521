"""What can go wrong while asking a server, without a raw `grpc.RpcError` among it.

::

    PasarelaError
    ├── InvalidRequest        the request is wrong; the message says what was expected and what came
    │   └── ImageUnreadable   a file that was to be sent cannot be read
    ├── SourceUnreadable      a video, a camera or a folder gives no frames, or not all of them
    ├── ModelNotFound         the server has no model, or no version, of that name
    │   └── NoVersionReady    the model exists, none of its versions can answer now; with the reasons
    ├── ModelUnavailable      the model exists and cannot answer now, with the reason
    │   ├── ModelSuspended    what runs it hangs or is being started again; nothing was computed
    │   └── BackendMissing    its framework is not installed on the server
    ├── InvalidModel          the model's configuration or artefact cannot be served
    ├── QueueFull             the server has as much to do as it accepts
    │   └── QueueTimeout      the request waited in the queue for longer than the model allows
    ├── DeadlineExpired       no answer in the time allowed
    ├── FrameDropped          a live stream left this frame out, to keep up
    ├── RequestCancelled      the call was given up, as a rule because the detector was closed
    ├── Unsupported           the server does not offer this
    ├── AccessDenied          the server wants to know who asks, or does not let this caller do this
    ├── ServerUnreachable     nothing answers at the address, or the connection broke
    │   ├── ServerStopping    the server drains, or unloads the model, and takes no new requests
    │   └── CertificateRefused   no secure connection: one side does not trust the other's certificate
    └── ServerFailure         the server failed, or answered what it must not
        ├── BackendFailure    the framework raised during inference
        │   └── OutOfMemory   the server's memory, or its GPU's, ran out for this request
        └── LoadFailed        a model that was to be loaded cannot be

Beside the tree stand `MissingExtra`, an `ImportError`: an optional package is not installed; and `ExportFailed`, an
`OSError`: a file of results or a picture cannot be written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import grpc


class PasarelaError(Exception):
    """Root of all errors that this client raises."""

    def __init__(
        self, message: str, *, model: str = "", status: grpc.StatusCode | None = None, request_id: str = ""
    ) -> None:
        super().__init__(message)
        self.message: Final = message
        """One sentence for people: the server's own words where the server spoke."""
        self.model = model
        """The model that was asked; empty where none was."""
        self.status: Final = status
        """The gRPC status; None for what was found before anything was sent."""
        self.request_id = request_id
        """How the request is called in the server's logs and traces; empty if none was sent."""
        self.told_by_server = False
        """Whether a Pasarela server said so itself, and not whoever saw no answer come."""


class InvalidRequest(PasarelaError):
    """The request cannot be understood or does not fit the model."""


class ImageUnreadable(InvalidRequest):
    """A file that was to be sent cannot be read."""


class SourceUnreadable(PasarelaError):
    """A video, a camera or a folder gives no frames, or not all of them."""


class ModelNotFound(PasarelaError):
    """There is no model, or no version of it, of the requested name."""


class NoVersionReady(ModelNotFound):
    """The request names no version, and the model has none that can answer."""


class ModelUnavailable(PasarelaError):
    """The model is known to the server and cannot answer now."""


class ModelSuspended(ModelUnavailable):
    """The model is loaded, and what runs it hangs or is being started again; nothing was computed."""


class BackendMissing(ModelUnavailable):
    """The framework that the model needs is not installed on the server."""


class InvalidModel(PasarelaError):
    """The model's configuration or artefact cannot be served."""


class QueueFull(PasarelaError):
    """The server has as much to do as it accepts: come back later, and more slowly."""


class QueueTimeout(QueueFull):
    """The request waited in the server's queue for longer than the model allows."""


class DeadlineExpired(PasarelaError):
    """No answer came in the time allowed."""


class FrameDropped(PasarelaError):
    """The frame was left out for newer ones, as the stream's policy wants it."""


class RequestCancelled(PasarelaError):
    """The call was given up before it was answered."""


class Unsupported(PasarelaError):
    """The protocol knows this, the server does not offer it."""


class AccessDenied(PasarelaError):
    """The server does not serve this caller."""


class ServerUnreachable(PasarelaError):
    """Nothing answers at the address, or the connection broke."""


class ServerStopping(ServerUnreachable):
    """The server is about to stop, or to unload the model: it did not take the request, another server may."""


class CertificateRefused(ServerUnreachable):
    """There is no secure connection: a certificate is missing, expired, for another name, or of an unknown signer."""


class ServerFailure(PasarelaError):
    """The server failed, or answered what it must not."""


class BackendFailure(ServerFailure):
    """The framework raised during inference."""


class OutOfMemory(BackendFailure):
    """Memory ran out on the server for this request."""


class LoadFailed(ServerFailure):
    """A model that was to be loaded cannot be."""


class MissingExtra(ImportError):
    """An optional package is not installed; the message holds the command that installs it."""


class ExportFailed(OSError):
    """Results or a picture cannot be written; the message says where and why, `errno` is the system's number for it."""

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


BY_STATUS: Final[dict[grpc.StatusCode, type[PasarelaError]]] = {
    grpc.StatusCode.CANCELLED: RequestCancelled,
    grpc.StatusCode.UNKNOWN: ServerFailure,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExpired,
    grpc.StatusCode.NOT_FOUND: ModelNotFound,
    grpc.StatusCode.ALREADY_EXISTS: InvalidRequest,
    grpc.StatusCode.PERMISSION_DENIED: AccessDenied,
    grpc.StatusCode.UNAUTHENTICATED: AccessDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: QueueFull,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidModel,
    grpc.StatusCode.ABORTED: ServerFailure,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.UNIMPLEMENTED: Unsupported,
    grpc.StatusCode.INTERNAL: ServerFailure,
    grpc.StatusCode.UNAVAILABLE: ModelUnavailable,
    grpc.StatusCode.DATA_LOSS: ServerFailure,
}
"""The one table from status codes to errors."""

BY_KIND: Final[dict[str, type[PasarelaError]]] = {
    kind.__name__: kind
    for kind in (
        InvalidRequest,
        ModelNotFound,
        NoVersionReady,
        ModelUnavailable,
        BackendMissing,
        ModelSuspended,
        InvalidModel,
        QueueFull,
        QueueTimeout,
        DeadlineExpired,
        RequestCancelled,
        ServerStopping,
        Unsupported,
        BackendFailure,
        OutOfMemory,
        LoadFailed,
    )
}
"""By the name that a Pasarela server gives to an error beside its status; servers of others give none."""
_KIND_KEY: Final = "pasarela-error"

_CONNECTION_LOST = re.compile(
    r"failed to connect|errors resolving|dns resolution|name resolution|empty address list|socket closed|"
    r"connection (reset|refused|attempt)|broken pipe|goaway|end of tcp stream|endpoint clos|recvmsg|sendmsg|"
    r"keepalive|ping timeout|cancelling all calls|handshake|transport clos",
    re.IGNORECASE,
)
"""How gRPC itself words an UNAVAILABLE that no server sent: nothing else tells the two apart."""

_REFUSALS: Final = (
    (re.compile(r"certificate has expired", re.IGNORECASE), "its certificate has expired"),
    (re.compile(r"certificate is not yet valid", re.IGNORECASE), "its certificate is not valid yet"),
    (
        re.compile(r"hostname verification", re.IGNORECASE),
        "its certificate is for another name (Tls(server_name=) and --tls-server-name say which to trust)",
    ),
    (re.compile(r"wrong_version_number", re.IGNORECASE), "it does not speak TLS"),
    (
        re.compile(r"certificate_verify_failed", re.IGNORECASE),
        "nobody who is trusted here signed its certificate (tls= and --tls-ca take the file of its CA)",
    ),
)
"""How gRPC words what is wrong with a certificate, and how we do."""
_REFUSED: Final = re.compile(r"handshake failed|hostname verification", re.IGNORECASE)
_HUNG_UP: Final = re.compile(r"failed to connect.*(socket closed|connection reset|endpoint clos)", re.IGNORECASE)
"""Somebody listens there and did not like how we began."""

_TIME_IS_UP: Final = re.compile(r"^deadline exceeded|\(deadline exceeded\)$", re.IGNORECASE)
"""How gRPC itself words that no answer came; a server says more."""

TOLD_APART: Final[tuple[tuple[grpc.StatusCode, re.Pattern[str], type[PasarelaError]], ...]] = (
    (grpc.StatusCode.UNAVAILABLE, _REFUSED, CertificateRefused),
    (grpc.StatusCode.UNAVAILABLE, _CONNECTION_LOST, ServerUnreachable),
    (grpc.StatusCode.UNAVAILABLE, re.compile(r"\bqueue\b", re.IGNORECASE), QueueFull),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, re.compile(r"message larger than max", re.IGNORECASE), InvalidRequest),
)
"""Where one status means several things, the message decides; the first row that fits comes before `BY_STATUS`."""


@contextmanager
def named(model: str, request_id: str) -> Iterator[None]:
    """Says in errors that arise within which model and which request they belong to, where they do not say so."""
    try:
        yield
    except PasarelaError as error:
        error.model = error.model or model
        error.request_id = error.request_id or request_id
        raise


def from_status(
    status: grpc.StatusCode, message: str, *, url: str, model: str = "", request_id: str = "", kind: str = ""
) -> PasarelaError:
    """The error for a status that the server, or the connection to it, reported.

    Args:
        status: The status; the error keeps it.
        message: What goes with it.
        url: Who was asked.
        model: The model that was asked.
        request_id: How the request is called.
        kind: How a Pasarela server calls its error; empty if it, or another server, does not say.
    """
    error_type = BY_KIND.get(kind) or _told_apart(status, message)
    error = error_type(
        _for_people(error_type, message, url, spoken=bool(kind)) or status.name,
        model=model,
        status=status,
        request_id=request_id,
    )
    error.told_by_server = bool(kind)
    return error


def _told_apart(status: grpc.StatusCode, message: str) -> type[PasarelaError]:
    rows = (kind for row, pattern, kind in TOLD_APART if row is status and pattern.search(message))
    return next(rows, BY_STATUS.get(status, ServerFailure))


def _for_people(kind: type[PasarelaError], message: str, url: str, *, spoken: bool) -> str:
    """The server's own words, or ours for what gRPC says."""
    if spoken:
        return message
    if kind is ServerUnreachable:
        hint = "; does it want TLS, or a certificate of ours?" if _HUNG_UP.search(message) else ""
        return f"nothing answers at {url} ({_last_reason(message)}{hint})"
    if kind is CertificateRefused:
        return f"no secure connection to {url}: {_refusal(message)}"
    if kind is DeadlineExpired and (not message or _TIME_IS_UP.search(message)):
        return f"no answer from {url} in the time allowed (timeout_s)"
    return message


def from_rpc_error(error: grpc.RpcError, *, url: str, model: str = "", request_id: str = "") -> PasarelaError:
    """The error for what gRPC raised. Raise it `from` the original."""
    call = cast("grpc.Call", error)  # every RpcError that reaches a caller is its call, too
    kinds = (value for key, value in call.trailing_metadata() or () if key == _KIND_KEY)
    return from_status(
        call.code(),
        call.details() or "",
        url=url,
        model=model,
        request_id=request_id,
        kind=str(next(kinds, "")),
    )


def _refusal(message: str) -> str:
    return next((words for pattern, words in _REFUSALS if pattern.search(message)), _last_reason(message))


def _last_reason(message: str) -> str:
    """The part of gRPC's nested message that a person can use."""
    return message.rsplit(": ", 1)[-1].strip(" ]") or message
