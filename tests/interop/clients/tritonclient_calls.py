"""Calls a server with NVIDIA's client and prints what came back as one line of JSON: ADDRESS IMAGE."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

RAW_MODELS = ("garments_int8", "garments_onnx", "garments_openvino", "garments_pytorch")


def infer_raw(client: triton.InferenceServerClient, model: str) -> dict[str, object]:
    """Grey pixels through a raw model, under two ways to name the version."""
    parameters = client.get_model_config(model, as_json=True)["config"]["parameters"]
    side, _ = ast.literal_eval(parameters["metadata"]["string_value"])["imgsz"]
    metadata = client.get_model_metadata(model)
    (spec,) = metadata.inputs
    pixels = triton.InferInput(spec.name, [1, 3, side, side], spec.datatype)
    pixels.set_data_from_numpy(np.full((1, 3, side, side), 0.5, np.float32))
    wanted = [triton.InferRequestedOutput(output.name) for output in metadata.outputs]
    result = client.infer(model, [pixels], outputs=wanted, request_id="r7", timeout=60_000_000, priority=1)
    again = client.infer(model, [pixels], model_version="1")
    output = result.as_numpy(metadata.outputs[0].name)
    response = result.get_response()
    return {
        "id": response.id,
        "model": response.model_name,
        "version": response.model_version,
        "shape": list(output.shape),
        "metadata_shape": list(metadata.outputs[0].shape),
        "finite": bool(np.isfinite(output).all()),
        "same_again": bool(np.allclose(output, again.as_numpy(metadata.outputs[0].name), atol=1e-3)),
    }


def infer_image(client: triton.InferenceServerClient, image: bytes) -> dict[str, object]:
    """A JPEG as a BYTES tensor through the detection model."""
    encoded = triton.InferInput("image", [1], "BYTES")
    encoded.set_data_from_numpy(np.array([image], dtype=object))
    result = client.infer("garments", [encoded])
    return {
        "boxes": list(result.as_numpy("boxes").shape),
        "scores": result.as_numpy("scores").tolist(),
        "class_ids": result.as_numpy("class_ids").tolist(),
        "class_names": [name.decode() for name in result.as_numpy("class_names")],
    }


def refusal(client: triton.InferenceServerClient) -> dict[str, str]:
    """What the client makes of an error."""
    try:
        client.get_model_metadata("trousers")
    except triton.InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return {}


def main() -> None:
    """Calls everything."""
    address, image = sys.argv[1:]
    with triton.InferenceServerClient(address) as client:
        answers = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "models_ready": {name: client.is_model_ready(name) for name in (*RAW_MODELS, "garments", "trousers")},
            "server": client.get_server_metadata(as_json=True),
            "index": client.get_model_repository_index(as_json=True),
            "metadata": client.get_model_metadata("garments_onnx", as_json=True),
            "config": client.get_model_config("garments_onnx", as_json=True)["config"],
            "raw": {name: infer_raw(client, name) for name in RAW_MODELS},
            "image": infer_image(client, Path(image).read_bytes()),
            "refusal": refusal(client),
        }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
