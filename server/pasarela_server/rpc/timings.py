"""Where the time of a request went, told in the parameters of its response, if the request asks for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from pasarela_proto import inference_pb2 as pb
from pasarela_server.request import ParameterValue, Timings

ASKED = "timings"
"""The request parameter that asks for them: a bool."""


def encode_timings(asked: Mapping[str, ParameterValue], timings: Timings, reply: pb.ModelInferResponse) -> None:
    """Adds the stages of a request in nanoseconds, and the rows of its batch, as int64 parameters of these names.

    Args:
        asked: The request's parameters.
        timings: Of the request.
        reply: Its response.
    """
    if asked.get(ASKED) is True:
        for stage in fields(timings):
            reply.parameters[stage.name].int64_param = getattr(timings, stage.name)
