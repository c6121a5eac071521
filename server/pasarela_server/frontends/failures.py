"""Errors as they travel between the processes: by the name of their class, and their message."""

from __future__ import annotations

from pasarela_server import errors
from pasarela_server.rpc.status import FailureTable, Unforeseen

_NAMED = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.ServingError)
}


def describe_failure(error: BaseException, failures: FailureTable, request_id: str) -> tuple[str, str]:
    """Class and message of what a client is told. What nobody expected is logged here, and told as such."""
    if isinstance(error, errors.ServingError):
        return name_of(error), str(error)
    if isinstance(error, Exception):
        return Unforeseen.__name__, failures.failure(error, request_id).message
    return errors.RequestCancelled.__name__, "the request was given up"


def named_error(name: str, message: str = "") -> Exception:
    """The error of that class; of a class that serving does not define, one that stands for the unexpected."""
    if name == Unforeseen.__name__:
        return Unforeseen(message)
    kind = _NAMED.get(name)
    return RuntimeError(message or name) if kind is None else kind(message)


def name_of(error: BaseException) -> str:
    """What `named_error` makes an error of the same kind from."""
    if not isinstance(error, Exception):
        return errors.RequestCancelled.__name__
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _NAMED), type(error).__name__)
