"""Places tensors in shared memory with NVIDIA's client and prints what came of it as one line of JSON: ADDRESS."""

import json
import os
import sys

import numpy as np
import tritonclient.grpc as triton
from triton_inputs import SIDE, pixels, summary
from tritonclient.utils import serialize_byte_tensor, shared_memory

MODEL = "garments_onnx"
INPUT_BYTES = 3 * SIDE * SIDE * 4
PAGE = 4096


def refused(call, *arguments, **options) -> dict[str, object]:
    """The error that a call ends with."""
    try:
        call(*arguments, **options)
    except triton.InferenceServerException as error:
        return summary(None, error)
    return {}


class Regions:
    """An object for inputs and one for outputs, registered at the server."""

    def __init__(self, client: triton.InferenceServerClient, output_bytes: int) -> None:
        self.client = client
        self.output_bytes = output_bytes
        self.keys = {name: f"/pasarela-{name}-{os.getpid()}" for name in ("in", "out")}
        self.input = shared_memory.create_shared_memory_region("in", self.keys["in"], INPUT_BYTES + PAGE)
        self.output = shared_memory.create_shared_memory_region("out", self.keys["out"], output_bytes)
        client.register_system_shared_memory("in", self.keys["in"], INPUT_BYTES, offset=PAGE)
        client.register_system_shared_memory("out", self.keys["out"], output_bytes)

    def destroy(self) -> None:
        """Forgets the objects here; the server still has them."""
        shared_memory.destroy_shared_memory_region(self.input)
        shared_memory.destroy_shared_memory_region(self.output)


def shared_input() -> triton.InferInput:
    """The model's input, from its region."""
    tensor = triton.InferInput("images", [1, 3, SIDE, SIDE], "FP32")
    tensor.set_shared_memory("in", INPUT_BYTES)
    return tensor


def shared_output(byte_size: int, offset: int = 0, region: str = "out") -> list[triton.InferRequestedOutput]:
    """The model's output, into a region."""
    wanted = triton.InferRequestedOutput("output0")
    wanted.set_shared_memory(region, byte_size, offset=offset)
    return [wanted]


def infer_shared(regions: Regions, plain: np.ndarray) -> dict[str, object]:
    """The same inference with input, output and both in shared memory."""
    client = regions.client
    grey = np.full((1, 3, SIDE, SIDE), 0.5, np.float32)
    shared_memory.set_shared_memory_region(regions.input, [grey], offset=PAGE)
    size = plain.nbytes
    only_input = client.infer(MODEL, [shared_input()])
    only_output = client.infer(MODEL, pixels(), outputs=shared_output(size))
    first = shared_memory.get_contents_as_numpy(regions.output, np.float32, plain.shape).copy()
    both = client.infer(MODEL, [shared_input()], outputs=shared_output(size, size))
    second = shared_memory.get_contents_as_numpy(regions.output, np.float32, plain.shape, offset=size)
    told = both.get_output("output0")
    return {
        "input": bool(np.allclose(only_input.as_numpy("output0"), plain, atol=1e-3)),
        "output": bool(np.allclose(first, plain, atol=1e-3)),
        "both": bool(np.allclose(second, plain, atol=1e-3)),
        "empty contents": [len(raw) for raw in only_output.get_response().raw_output_contents],
        "told": {
            "region": told.parameters["shared_memory_region"].string_param,
            "byte_size": told.parameters["shared_memory_byte_size"].int64_param,
            "offset": told.parameters["shared_memory_offset"].int64_param,
            "shape": list(told.shape),
        },
        "size": size,
    }


def infer_bytes(client: triton.InferenceServerClient, image: bytes) -> dict[str, object]:
    """An encoded image as a BYTES tensor in shared memory, names as a BYTES tensor back into it."""
    serialized = serialize_byte_tensor(np.array([image], dtype=object)).item()
    key = f"/pasarela-bytes-{os.getpid()}"
    region = shared_memory.create_shared_memory_region("bytes", key, len(serialized) + PAGE)
    try:
        region._mpsm_handle.buf[: len(serialized)] = serialized
        client.register_system_shared_memory("bytes", key, len(serialized) + PAGE)
        encoded = triton.InferInput("image", [1], "BYTES")
        encoded.set_shared_memory("bytes", len(serialized))
        names = triton.InferRequestedOutput("class_names")
        names.set_shared_memory("bytes", PAGE, offset=len(serialized))
        result = client.infer("garments", [encoded], outputs=[names, triton.InferRequestedOutput("scores")])
        (count,) = result.get_output("class_names").shape
        found = (
            shared_memory.get_contents_as_numpy(region, np.object_, [count], offset=len(serialized)) if count else []
        )
        return {"names": [name.decode() for name in found], "scores": len(result.as_numpy("scores"))}
    finally:
        shared_memory.destroy_shared_memory_region(region)


def classification(client: triton.InferenceServerClient, plain: np.ndarray) -> dict[str, object]:
    """The three best of an output, as the server and as NumPy find them."""
    result = client.infer(MODEL, pixels(2), outputs=[triton.InferRequestedOutput("output0", class_count=3)])
    best = np.sort(plain.ravel())[::-1][:3]
    return {
        "texts": [[text.decode() for text in row] for row in result.as_numpy("output0")],
        "best": best.tolist(),
        "negative": refused(
            client.infer, MODEL, pixels(), outputs=[triton.InferRequestedOutput("output0", class_count=-1)]
        ),
    }


def main() -> None:
    """Calls everything."""
    address, image = sys.argv[1:]
    with triton.InferenceServerClient(address) as client, open(image, "rb") as file:
        client.unregister_system_shared_memory()
        client.unregister_cuda_shared_memory()
        plain = client.infer(MODEL, pixels()).as_numpy("output0")
        regions = Regions(client, 2 * plain.nbytes)
        try:
            answers = {
                "extensions": list(client.get_server_metadata().extensions),
                "status": client.get_system_shared_memory_status(as_json=True),
                "keys": regions.keys,
                "input_bytes": INPUT_BYTES,
                "page": PAGE,
                "infer": infer_shared(regions, plain),
                "bytes": infer_bytes(client, file.read()),
                "classification": classification(client, plain),
                "refused": {
                    "twice": refused(client.register_system_shared_memory, "in", regions.keys["in"], INPUT_BYTES),
                    "no such key": refused(client.register_system_shared_memory, "x", "/pasarela-none", 8),
                    "beyond the object": refused(client.register_system_shared_memory, "x", regions.keys["in"], 2**40),
                    "unknown region": refused(client.infer, MODEL, pixels(), outputs=shared_output(8, region="none")),
                    "too small": refused(client.infer, MODEL, pixels(), outputs=shared_output(8)),
                    "status of none": refused(client.get_system_shared_memory_status, "none"),
                    "cuda status": refused(client.get_cuda_shared_memory_status),
                    "cuda register": refused(client.register_cuda_shared_memory, "c", b"", 0, 8),
                },
            }
            client.unregister_system_shared_memory("none")
            client.unregister_system_shared_memory("in")
            answers["without one"] = sorted(client.get_system_shared_memory_status().regions)
            answers["after"] = refused(client.infer, MODEL, [shared_input()])
            client.unregister_system_shared_memory()
            answers["without all"] = sorted(client.get_system_shared_memory_status().regions)
        finally:
            regions.destroy()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
