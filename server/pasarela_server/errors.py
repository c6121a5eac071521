"""What can go wrong while serving, without a word about the wire.

::

    ServingError
    ├── InvalidRequest        the client sent something wrong; the message says what was expected and what came
    ├── ModelNotFound         no model, or no version, of that name
    │   └── NoVersionReady    the model exists, none of its versions can answer or is about to; with the reasons
    ├── ModelUnavailable      the model exists and cannot answer now: loading, unloading or failed, with the reason
    │   ├── BackendMissing    its framework is not installed; the message holds the command that installs it
    │   └── ModelSuspended    it is loaded, and what runs it hangs or is being started again; nothing was computed
    ├── QueueFull             the model's queue has reached its limit
    ├── QueueTimeout          the request waited longer than the model's queue policy allows
    ├── DeadlineExpired       the request's deadline passed before it was executed, or is too near to be met
    ├── RequestCancelled      the client went away before its request was executed
    ├── ServerStopping        the server drains and takes no new requests
    ├── InvalidModel          config.pbtxt or artefact cannot be served
    │   └── FilesChanged      the files of a version were written to while they were loaded
    ├── LoadFailed            a model that a client asked to load cannot be loaded; with the reason
    ├── RegionExists          a shared memory region of that name is registered
    ├── RegionNotFound        no shared memory region of that name is registered
    ├── RegionUnavailable     shared memory cannot be opened, or not be used any more
    ├── Unsupported           a part of the protocol that this server does not offer
    └── BackendFailure        the framework raised during inference, hung, answered what it must not, or was ended by it
        └── OutOfMemory       memory ran out, for the inference or for the image

`rpc/status.py` maps each of them to a gRPC status code. Messages are read by clients: they name the model and the
input, and never hold a path or a stack trace of the server.
"""


class ServingError(Exception):
    """Root of all errors that serving defines."""


class InvalidRequest(ServingError):
    """The request cannot be understood or does not fit the model."""


class ModelNotFound(ServingError):
    """There is no model, or no version of it, of the requested name."""


class NoVersionReady(ModelNotFound):
    """The request names no version, and the model has none that can answer or is being loaded."""

    def __init__(self, message: str, *, backend_missing: bool = False) -> None:
        super().__init__(message)
        self.backend_missing = backend_missing
        """True if a framework that is not installed is among the reasons."""


class ModelUnavailable(ServingError):
    """The model is known and cannot answer now."""


class BackendMissing(ModelUnavailable):
    """The framework that the model needs is not installed."""


class ModelSuspended(ModelUnavailable):
    """The model is loaded, and what runs it hangs or is being started again; nothing was computed."""


class QueueFull(ServingError):
    """The model's queue has reached its limit."""


class QueueTimeout(ServingError):
    """The request waited longer than the model's queue policy allows."""


class DeadlineExpired(ServingError):
    """The deadline passed before the request was executed, or is too near for an answer."""


class RequestCancelled(ServingError):
    """The client went away before the request was executed."""


class ServerStopping(ServingError):
    """The server is draining and takes no new requests."""


class InvalidModel(ServingError):
    """A configuration or an artefact cannot be served."""


class RegionExists(ServingError):
    """A shared memory region of that name is registered already."""


class RegionNotFound(ServingError):
    """No shared memory region of that name is registered."""


class RegionUnavailable(ServingError):
    """Shared memory cannot be opened, or cannot be used any more."""


class FilesChanged(InvalidModel):
    """The files of a version were written to while they were loaded."""


class LoadFailed(ServingError):
    """A model that a client asked for cannot be loaded."""


class Unsupported(ServingError):
    """The protocol knows this, the server does not offer it."""


class BackendFailure(ServingError):
    """The framework raised during inference."""


class OutOfMemory(BackendFailure):
    """Memory ran out for this request: for its inference, or already for its image."""
