"""Which gRPC status each serving error becomes: the one table, and the rule for what is not in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import grpc

from pasarela_server import errors
from pasarela_server.observability.logging import fields

_log = logging.getLogger("pasarela_server.rpc")

ERROR_KEY = "pasarela-error"
"""In the trailing metadata of a call that failed: the class of the serving error. Several share a status code."""
MAX_MESSAGE_CHARS = 2000
"""Status messages travel in trailing metadata, which clients limit to 8 KiB."""


def status_codes(
    *, queue_full: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
) -> Mapping[type[errors.ServingError], grpc.StatusCode]:
    """The table. An error that is not in it takes the status of its nearest ancestor.

    Args:
        queue_full: Of a request that finds the queue full, or waited too long in it. UNAVAILABLE is what Triton answers
            and what its clients expect. KServe's client retries UNAVAILABLE three times, which makes an overload worse:
            RESOURCE_EXHAUSTED keeps it from doing so.
    """
    return MappingProxyType(
        {
            errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
            errors.ModelNotFound: grpc.StatusCode.NOT_FOUND,
            errors.ModelUnavailable: grpc.StatusCode.UNAVAILABLE,
            errors.QueueFull: queue_full,
            errors.QueueTimeout: queue_full,
            errors.DeadlineExpired: grpc.StatusCode.DEADLINE_EXCEEDED,
            errors.RequestCancelled: grpc.StatusCode.CANCELLED,
            errors.ServerStopping: grpc.StatusCode.UNAVAILABLE,
            errors.InvalidModel: grpc.StatusCode.FAILED_PRECONDITION,
            errors.LoadFailed: grpc.StatusCode.INTERNAL,
            errors.RegionExists: grpc.StatusCode.ALREADY_EXISTS,
            errors.RegionNotFound: grpc.StatusCode.NOT_FOUND,
            errors.RegionUnavailable: grpc.StatusCode.INTERNAL,
            errors.Unsupported: grpc.StatusCode.UNIMPLEMENTED,
            errors.BackendFailure: grpc.StatusCode.INTERNAL,
            errors.OutOfMemory: grpc.StatusCode.RESOURCE_EXHAUSTED,
        }
    )


class Unforeseen(Exception):
    """A fault of the server that was logged where it happened; the message is what the client is told."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a request failed, as its client is told."""

    code: grpc.StatusCode
    message: str
    kind: str = ""
    """Class of the serving error, which tells more than the code; empty for a fault of the server."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes along as trailing metadata."""
        return ((ERROR_KEY, self.kind),) if self.kind else ()

    @property
    def number(self) -> int:
        """The status code's number on the wire."""
        number: int = self.code.value[0]
        return number


@dataclass(frozen=True, slots=True)
class FailureTable:
    """Turns exceptions into what the client is told."""

    codes: Mapping[type[errors.ServingError], grpc.StatusCode] = field(default_factory=status_codes)

    def failure(self, error: Exception, request_id: str = "") -> Failure:
        """The status and message of an error.

        Any error that is not a ServingError is a fault of the server: it is logged whole, and nothing of it is told.
        """
        if isinstance(error, Unforeseen):
            return Failure(grpc.StatusCode.INTERNAL, str(error)[:MAX_MESSAGE_CHARS])
        code = self._code(type(error))
        if code is not None:
            kind = _kind(error)
            if _log.isEnabledFor(logging.DEBUG):
                told = fields(request_id=request_id, status=code.name, error=kind)
                _log.debug("request '%s' failed: %s, %s: %s", request_id, code.name, kind, error, extra=told)
            return Failure(code, str(error)[:MAX_MESSAGE_CHARS], kind)
        told = fields(request_id=request_id, status=grpc.StatusCode.INTERNAL.name, error=type(error).__name__)
        _log.error("request '%s' failed unexpectedly", request_id, exc_info=error, extra=told)
        return Failure(
            grpc.StatusCode.INTERNAL,
            f"the server failed on request '{request_id[:100]}'; its log says why, under this id",
        )

    def status_name(self, kind: type[BaseException]) -> str:
        """The name of the status that clients get for errors of a kind, for logs and traces."""
        if issubclass(kind, asyncio.CancelledError):
            return grpc.StatusCode.CANCELLED.name
        code = self._code(kind)
        return (grpc.StatusCode.INTERNAL if code is None else code).name

    def _code(self, kind: type[BaseException]) -> grpc.StatusCode | None:
        """Of the nearest ancestor that is in the table; None for what is a fault of the server."""
        known = (self.codes[ancestor] for ancestor in kind.__mro__ if ancestor in self.codes)
        return next(known, None)


def _kind(error: Exception) -> str:
    """The class that clients know an error by: its own, or the nearest ancestor in the tree that all of them know."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
