"""mAP by Ultralytics' validator, of files and of served models, as one line of JSON: DATA MODEL…"""

import json
import sys


def main() -> None:
    """Validates one after the other on the test split."""
    data, *models = sys.argv[1:]
    from ultralytics import YOLO

    found = {}
    for model in models:
        # Of a file whose batch alone is free it thinks that height and width are free, too, and sends it rectangles.
        square = {} if model.startswith("grpc://") else {"imgsz": 320, "rect": False}
        figures = YOLO(model, task="detect").val(
            data=data, split="test", device="cpu", workers=0, plots=False, verbose=False, **square
        )
        found[model] = {"map": figures.box.map, "map50": figures.box.map50}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
