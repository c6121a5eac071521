import ast
import subprocess
import sys
from pathlib import Path

import pasarela_client
from pasarela_client import errors


def test_the_public_names() -> None:
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    clients = {
        "AsyncDetectionStream",
        "AsyncDetector",
        "AsyncManyResults",
        "DetectionStream",
        "Detector",
        "ManyResults",
    }
    settings = {"Connection", "Retry", "Tls"}
    results = {"Detection", "Detections", "Frame", "FrameError", "Progress", "StreamCounts", "Timings"}
    assert set(pasarela_client.__all__) == clients | settings | results | kinds
    assert all(hasattr(pasarela_client, name) for name in pasarela_client.__all__)


def test_importing_loads_neither_pillow_nor_the_server_nor_the_tensor_protocol() -> None:
    """Another library's copy of the Open Inference Protocol can then live in the same process."""
    program = "import sys, pasarela_client; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "pasarela_proto.detection_pb2" in loaded
    unwanted = {"PIL", "av", "cv2", "pandas", "pyarrow", "supervision", "torch", "tqdm", "opentelemetry"}
    unwanted |= {"pasarela_server", "pasarela_proto.inference_pb2"}
    assert unwanted.isdisjoint(loaded)


def test_the_package_imports_only_what_it_says_it_needs() -> None:
    allowed = {
        "grpc",
        "google",
        "numpy",
        "pasarela_client",
        "pasarela_proto",
        "PIL",
        "av",
        "tqdm",
        "pandas",
        "pyarrow",
        "supervision",
        "opentelemetry",
    } | sys.stdlib_module_names
    for path in Path(pasarela_client.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom):
                assert node.module
                assert node.module.partition(".")[0] in allowed, path
