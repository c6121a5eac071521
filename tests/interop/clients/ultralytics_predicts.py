"""Detects with Ultralytics' client on a served model and prints what it found as one line of JSON: URL IMAGE CONFIDENCE."""

import json
import sys


def main() -> None:
    """Predicts on one image."""
    url, image, confidence = sys.argv[1:]
    from ultralytics import YOLO

    model = YOLO(url, task="detect")
    (result,) = model.predict(image, conf=float(confidence), verbose=False, save=False)
    classes = result.boxes.cls.int().tolist()
    print(
        json.dumps(
            {
                "names": result.names,
                "found": [result.names[class_id] for class_id in classes],
                "boxes": result.boxes.xyxy.tolist(),
                "size": list(result.orig_shape),
            }
        )
    )


if __name__ == "__main__":
    main()
