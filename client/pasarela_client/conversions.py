"""Results in the forms of other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pasarela_client.boxes import shortest_floats, to_xywh
from pasarela_client.errors import InvalidRequest, MissingExtra

if TYPE_CHECKING:
    import pandas as pd
    import supervision

    from pasarela_client.detections import Detections


def to_coco(found: Detections, image_id: int, categories: Mapping[str, int] | None) -> list[dict[str, Any]]:
    """One of COCO's results a detection; `Detections.to_coco` says what the arguments mean.

    Raises:
        InvalidRequest: A class that `categories` lacks.
    """
    boxes = shortest_floats(to_xywh(found.boxes))
    return [
        {"image_id": image_id, "category_id": category_id, "bbox": boxes[4 * index : 4 * index + 4], "score": score}
        for index, (category_id, score) in enumerate(
            zip(category_ids(found, categories), shortest_floats(found.scores), strict=True)
        )
    ]


def category_ids(found: Detections, categories: Mapping[str, int] | None) -> list[int]:
    """The category of each detection: by its name, or without `categories` its class id.

    Raises:
        InvalidRequest: A class that `categories` lacks.
    """
    if categories is None:
        ids: list[int] = found.class_ids.tolist()
        return ids
    try:
        return [categories[name] for name in found.names.tolist()]
    except KeyError as error:
        known = ", ".join(sorted(categories)) or "none"
        raise InvalidRequest(f"{error.args[0]!r} is not among the categories ({known})") from None


def to_pandas(found: Detections) -> pd.DataFrame:
    """One row a detection.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("tables need pandas: pip install 'pasarela-client[pandas]'") from error
    n = len(found)
    return pd.DataFrame(
        {
            "origin": pd.Series([found.origin] * n, dtype="str"),
            "frame_index": pd.Series([found.frame_index] * n, dtype="Int64"),
            "timestamp_s": pd.Series([found.timestamp_s] * n, dtype="float64"),
            "name": pd.Series(found.names.tolist(), dtype="str"),
            "class_id": found.class_ids.copy(),
            "score": found.scores.copy(),
            **{edge: found.boxes[:, column].copy() for column, edge in enumerate(("left", "top", "right", "bottom"))},
        }
    )


def to_supervision(found: Detections) -> supervision.Detections:
    """The detections in supervision's form, names under the key that its annotators look for.

    Raises:
        MissingExtra: supervision is not installed.
    """
    try:
        import supervision
        from supervision.config import CLASS_NAME_DATA_FIELD
    except ImportError as error:
        raise MissingExtra("supervision is not installed: pip install 'pasarela-client[supervision]'") from error
    return supervision.Detections(
        xyxy=found.boxes.copy(),
        confidence=found.scores.copy(),
        class_id=found.class_ids.astype(int),
        data={CLASS_NAME_DATA_FIELD: found.names.copy()},
    )
