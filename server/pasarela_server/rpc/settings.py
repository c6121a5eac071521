"""The RPCs that read and change settings of a running server: tracing and the log."""

from __future__ import annotations

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import Unsupported


class SettingsCalls:
    """Trace and log settings."""

    def trace(self, request: pb.TraceSettingRequest) -> pb.TraceSettingResponse:
        """Changes what the request names; answers with what holds now."""
        raise Unsupported("TraceSetting is not offered by this server: there is no tracing")

    def log(self, request: pb.LogSettingsRequest) -> pb.LogSettingsResponse:
        """Changes what the request names; answers with what holds now."""
        raise Unsupported("LogSettings is not offered by this server: start it with --log-verbose 1 for more log")
