"""A runtime for MLServer: images to boxes with OpenVINO."""

from __future__ import annotations

import asyncio
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from pipeline import Pipeline


class DetectRuntime(MLModel):  # type: ignore[misc]
    """Runs inside MLServer's own process; on as many threads as it has pipelines."""

    async def load(self) -> bool:
        """Builds the pipelines that model-settings.json asks for."""
        said = self.settings.parameters.extra
        count = int(said["instances"])
        self._free: queue.SimpleQueue[Pipeline] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(Pipeline(said["artefact"], said["side"], said["style"], said["threads"]))
        self._threads = ThreadPoolExecutor(count) if count > 1 else None
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answers one request; the event loop stays free where there are threads."""
        content: Any = payload.inputs[0].data
        content = getattr(content, "root", content)
        image = content if isinstance(content, bytes) else content[0]
        if self._threads is None:
            boxes = self._detect(image)
        else:
            boxes = await asyncio.get_running_loop().run_in_executor(self._threads, self._detect, image)
        output = NumpyCodec.encode_output("detections", boxes)
        return InferenceResponse(model_name=self.name, model_version="1", outputs=[output])

    def _detect(self, image: bytes) -> Any:
        pipeline = self._free.get()
        try:
            return pipeline.detect([image])[0]
        finally:
            self._free.put(pipeline)
