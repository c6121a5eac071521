"""Results in types that JSON knows, and back. Pure.

Numbers of 32 bits are written as the shortest decimals that are read as the same numbers again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from pasarela_client import errors
from pasarela_client.boxes import shortest_floats
from pasarela_client.timings import NOT_TOLD, Timings

if TYPE_CHECKING:
    from pasarela_client.detections import Detections
    from pasarela_client.frame_error import FrameError

_PLACE = ("origin", "frame_index", "timestamp_s")


def of_each(found: Detections) -> list[dict[str, Any]]:
    """One dictionary a detection."""
    scores = shortest_floats(found.scores)
    edges = shortest_floats(found.boxes)
    columns = zip(found.names.tolist(), found.class_ids.tolist(), scores, strict=True)
    return [
        {"name": name, "class_id": class_id, "score": score, "box": edges[4 * index : 4 * index + 4]}
        for index, (name, class_id, score) in enumerate(columns)
    ]


def of_result(found: Detections, *, timings: bool) -> dict[str, Any]:
    """The whole result without its image."""
    width, height = found.image_size
    return {
        **_place_of(found),
        "model": found.model,
        "version": found.version,
        "width": width,
        "height": height,
        "detections": of_each(found),
        "server_ms": round(found.timings.total_ms, 3),
        **({"request_id": found.request_id} if found.request_id else {}),
        **({"timings": found.timings.to_dict()} if timings else {}),
    }


def read_result(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Detections` that `of_result` wrote.

    Raises:
        ValueError: It did not write this.
    """
    try:
        found = content["detections"]
        return {
            "boxes": np.array([one["box"] for one in found], np.float32),
            "scores": np.array([one["score"] for one in found], np.float32),
            "class_ids": np.array([one["class_id"] for one in found], np.int32),
            "names": np.array([one["name"] for one in found], np.str_),
            "image_size": (int(content["width"]), int(content["height"])),
            "model": content["model"],
            "version": content["version"],
            "timings": Timings(**content["timings"]) if "timings" in content else NOT_TOLD,
            "request_id": content.get("request_id", ""),
            **_read_place(content),
        }
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"this is no result that to_dict wrote: {type(error).__name__}: {error}") from error


def of_error(result: FrameError) -> dict[str, Any]:
    """Where and what."""
    error = result.error
    told = {
        "kind": type(error).__name__,
        "message": error.message,
        "model": error.model,
        "status": error.status.name if error.status else "",
        "request_id": error.request_id,
    }
    return {**_place_of(result), "error": {key: value for key, value in told.items() if value}}


def read_error(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `FrameError` that `of_error` wrote.

    Raises:
        ValueError: It did not write this.
    """
    try:
        told = content["error"]
        kind = getattr(errors, told["kind"], None)
        if not (isinstance(kind, type) and issubclass(kind, errors.PasarelaError)):
            kind = errors.PasarelaError  # of a newer client
        error = kind(
            told.get("message", ""),
            model=told.get("model", ""),
            status=grpc.StatusCode[told["status"]] if "status" in told else None,
            request_id=told.get("request_id", ""),
        )
        return {"frame_index": content["frame_index"], "error": error, **_read_place(content)}
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no error that to_dict wrote: {type(error).__name__}: {error}") from error


def _place_of(result: Detections | FrameError) -> dict[str, Any]:
    told = {"origin": result.origin or None, "frame_index": result.frame_index, "timestamp_s": result.timestamp_s}
    return {key: value for key, value in told.items() if value is not None}


def _read_place(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: content[key] for key in _PLACE if key in content}
