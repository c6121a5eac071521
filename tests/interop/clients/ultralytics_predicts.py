"""Detects with Ultralytics on images, one answer each as one line of JSON: MODEL CONFIDENCE IMAGE…"""

import json
import sys


def main() -> None:
    """Predicts on one image after the other. MODEL is a URL or a file."""
    url, confidence, *images = sys.argv[1:]
    from ultralytics import YOLO

    model = YOLO(url, task="detect")
    # Of a file whose batch alone is free it thinks that height and width are free, too, and sends it rectangles.
    square = {} if url.startswith("grpc://") else {"imgsz": 320, "rect": False}
    answers = []
    for image in images:
        (result,) = model.predict(image, conf=float(confidence), verbose=False, save=False, **square)
        classes = result.boxes.cls.int().tolist()
        answers.append(
            {
                "names": result.names,
                "found": [result.names[class_id] for class_id in classes],
                "boxes": result.boxes.xyxy.tolist(),
                "scores": result.boxes.conf.tolist(),
                "size": list(result.orig_shape),
            }
        )
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
