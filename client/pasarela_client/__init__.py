"""Python client of the Pasarela detection server.

::

    from pasarela_client import Detector

    with Detector("127.0.0.1:8001", "garments") as detector:
        found = detector.detect("street.jpg")
        found.draw("street.jpg").save("found.jpg")

`pasarela_client.control` tells what a server has, and loads it; `pasarela_client.errors` draws the tree of errors.
"""

from pasarela_client.aio.detector import AsyncDetector
from pasarela_client.aio.many import AsyncManyResults
from pasarela_client.aio.stream import AsyncDetectionStream
from pasarela_client.connection import Connection, Tls
from pasarela_client.detections import Detection, Detections, FrameError
from pasarela_client.errors import (
    AccessDenied,
    BackendFailure,
    BackendMissing,
    CertificateRefused,
    DeadlineExpired,
    ExportFailed,
    FrameDropped,
    ImageUnreadable,
    InvalidModel,
    InvalidRequest,
    LoadFailed,
    MissingExtra,
    ModelNotFound,
    ModelSuspended,
    ModelUnavailable,
    NoVersionReady,
    OutOfMemory,
    PasarelaError,
    QueueFull,
    QueueTimeout,
    RequestCancelled,
    ServerFailure,
    ServerStopping,
    ServerUnreachable,
    SourceUnreadable,
    Unsupported,
)
from pasarela_client.frame import Frame
from pasarela_client.progress import Progress
from pasarela_client.retry import Retry
from pasarela_client.streaming.counts import StreamCounts
from pasarela_client.sync.detector import Detector
from pasarela_client.sync.many import ManyResults
from pasarela_client.sync.stream import DetectionStream
from pasarela_client.timings import Timings

__all__ = [
    "AccessDenied",
    "AsyncDetectionStream",
    "AsyncDetector",
    "AsyncManyResults",
    "BackendFailure",
    "BackendMissing",
    "CertificateRefused",
    "Connection",
    "DeadlineExpired",
    "Detection",
    "DetectionStream",
    "Detections",
    "Detector",
    "ExportFailed",
    "Frame",
    "FrameDropped",
    "FrameError",
    "ImageUnreadable",
    "InvalidModel",
    "InvalidRequest",
    "LoadFailed",
    "ManyResults",
    "MissingExtra",
    "ModelNotFound",
    "ModelSuspended",
    "ModelUnavailable",
    "NoVersionReady",
    "OutOfMemory",
    "PasarelaError",
    "Progress",
    "QueueFull",
    "QueueTimeout",
    "RequestCancelled",
    "Retry",
    "ServerFailure",
    "ServerStopping",
    "ServerUnreachable",
    "SourceUnreadable",
    "StreamCounts",
    "Timings",
    "Tls",
    "Unsupported",
]
