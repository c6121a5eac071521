"""A repository that changes under a polling server while clients run: not one request fails, not one answer is wrong."""

import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc
from tests.tiny_models import write_onnx

FLAGS = ("--model-control-mode", "poll", "--repository-poll-secs", "1", "--repository-settle-secs", "1")


@dataclass
class Clients:
    """Threads that ask as fast as they can, and check each answer against the version that it says gave it."""

    address: str
    versions: tuple[str, ...] = ("", "", "stable")
    """What each of them asks for."""
    stop: threading.Event = field(default_factory=threading.Event)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By version asked for and version that answered."""
    faults: list[str] = field(default_factory=list)

    def __enter__(self):
        self.threads = [threading.Thread(target=self.run, args=(version,)) for version in self.versions]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def run(self, version):
        noise = np.random.default_rng(0)
        with grpc.insecure_channel(self.address) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            while not self.stop.is_set() and len(self.faults) < 10:
                x = noise.integers(0, 1000, (1, 2)).astype(np.float32)
                try:
                    reply = stub.ModelInfer(request(x, version), timeout=30)
                except grpc.RpcError as error:
                    self.faults.append(f"asked for {version!r}: {error.code()}: {error.details()}")
                    continue
                y = np.frombuffer(reply.raw_output_contents[0], np.float32)
                if not np.array_equal(y, x[0] + int(reply.model_version)):
                    self.faults.append(f"version {reply.model_version} said {y} of {x}")
                self.answers[version, reply.model_version] += 1

    def count(self, version, answered):
        return self.answers[version, answered]


def request(x, version=""):
    message = pb.ModelInferRequest(model_name="m", model_version=version, raw_input_contents=[x.tobytes()])
    message.inputs.add(name="x", datatype="FP32", shape=x.shape)
    return message


@pytest.fixture
def folder(tmp_path):
    """The model's folder, with version 1 and a label for it."""
    folder = tmp_path / "models" / "m"
    write_onnx(folder / "1", 1)
    label(folder, 1)
    return folder


def command(*arguments):
    """Runs one of the server's commands for repositories."""
    subprocess.run([sys.executable, "-m", "pasarela_server", *map(str, arguments)], check=True, capture_output=True)


def label(folder, version):
    command("label", "m", f"stable={version}", "--model-repository", folder.parent)


def until(what, holds, patience_s=60.0):
    """Asks again and again; fails if it does not come true."""
    give_up_s = time.monotonic() + patience_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < give_up_s, f"it did not happen: {what}"
        pause.wait(0.05)


@pytest.mark.timeout(300)
def test_not_one_request_fails_whatever_happens_to_the_repository(folder, tmp_path, start_server):
    with start_server(folder.parent, *FLAGS) as server, grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)

        def index():
            models = stub.RepositoryIndex(pb.RepositoryIndexRequest()).models
            return {entry.version: (entry.state, entry.reason) for entry in models}

        def answered(version, asked=""):
            before = clients.count(asked, version)
            until(f"version {version} answers {asked!r}", lambda: clients.count(asked, version) > before)

        with Clients(server.address) as clients:
            answered("1")

            write_onnx(folder / "2", 2)
            answered("2")
            answered("1", "stable")

            (folder / "3").mkdir()
            (folder / "3" / "model.onnx").write_text("no model")
            until("the broken version is refused", lambda: "cannot be loaded" in index().get("3", ("", ""))[1])
            answered("2")

            write_onnx(tmp_path / "new", 4)
            whole = (tmp_path / "new" / "model.onnx").read_bytes()
            (folder / "4").mkdir()
            with (folder / "4" / "model.onnx").open("wb", buffering=0) as half_copied:
                for byte in range(len(whole)):
                    half_copied.write(whole[byte : byte + 1])
                    if byte % 40 == 0:
                        assert index().get("4", ("UNAVAILABLE", ""))[0] == "UNAVAILABLE", "it is not whole yet"
                        threading.Event().wait(0.1)
            answered("4")

            reloads = server.log.read_text().count("model m version 4: READY")
            write_onnx(folder / "4", 4, note="other bytes")
            until("changed content is loaded", lambda: server.log.read_text().count("version 4: READY") > reloads)
            answered("4")

            label(folder, 4)
            answered("4", "stable")
            command("rollback", "m", "stable", "--model-repository", folder.parent)
            answered("1", "stable")
            label(folder, 2)
            answered("2", "stable")

            (folder / "config.pbtxt").write_text("max_batch_size: 16")
            until("the configuration is taken", lambda: stub.ModelConfig(
                pb.ModelConfigRequest(name="m")).config.max_batch_size == 16)  # fmt: skip
            (folder / "config.pbtxt").write_text("max_batch_size: sixteen")
            until("the wrong one is not", lambda: "config.pbtxt, line 1" in index()["4"][1])
            answered("4")
            (folder / "config.pbtxt").unlink()

            command("rollback", "m", "--model-repository", folder.parent)
            answered("2")
            shutil.rmtree(folder / "1")
            shutil.rmtree(folder / "3")
            until("what is deleted leaves the index", lambda: set(index()) == {"2"})
            answered("2")
            answered("2", "stable")

        assert clients.faults == []
        assert {version for _, version in clients.answers} == {"1", "2", "4"}
        assert server.stop() == 0
