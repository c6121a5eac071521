"""The `model.py` of Triton's Python backend: images to boxes with OpenVINO, or tensors with ONNX Runtime."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance; Triton calls it from one thread."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads what the parameters of config.pbtxt name."""
        written = json.loads(args["model_config"])["parameters"]
        said = {key: value["string_value"] for key, value in written.items()}
        threads = int(said["threads"])
        self._pipeline: Any = None
        if said["style"] == "tensors":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            self._session = onnxruntime.InferenceSession(said["artefact"], options)
            return
        from pipeline import Pipeline

        self._pipeline = Pipeline(said["artefact"], int(said["side"]), said["style"], threads)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers the requests that Triton gives at once: several where dynamic batching is on."""
        if self._pipeline is None:
            return [self._tensor(request) for request in requests]
        given = [pb_utils.get_input_tensor_by_name(request, "image").as_numpy().reshape(-1)[0] for request in requests]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("detections", boxes[np.newaxis])])
            for boxes in self._pipeline.detect(given)
        ]

    def _tensor(self, request: Any) -> Any:
        tensor = pb_utils.get_input_tensor_by_name(request, "images").as_numpy()
        (output,) = self._session.run(None, {"images": tensor})
        return pb_utils.InferenceResponse([pb_utils.Tensor("output0", output)])
