"""Start and stop of the whole application, with a repository whose every step is under control."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pasarela_proto import detection_pb2, detection_pb2_grpc, inference_pb2_grpc
from pasarela_proto import inference_pb2 as pb
from pasarela_server import app, loading
from pasarela_server.config.model import ModelConfig
from pasarela_server.config.server import ServerConfig
from pasarela_server.detection.detections import Detections
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.readiness import IndexEntry
from pasarela_server.repository.result import DetectResult
from pasarela_server.repository.servable import Handle, State
from pasarela_server.request import Timings


class GatedManager:
    """Stands in for the manager: loads when it is let, and detects when it is let."""

    latest: ClassVar[Any]
    version = 1
    config_of_m = ModelConfig(name="m", backend="detection", inputs=(), outputs=())

    def __init__(self, root, loaders, pool, cpu_threads, on_change, options, observer):
        GatedManager.latest = self
        self.on_change = on_change
        self.may_load = threading.Event()
        self.may_answer = asyncio.Event()
        self.began = asyncio.Event()
        self.loaded = self.closed = self.loading = False
        self.control = None

    def load_all(self):
        self.may_load.wait()
        self.loaded = True
        self.on_change("m")

    def poll(self):
        return None

    def waiting(self):
        return ()

    def ready(self):
        return self.loaded

    def model_ready(self, name, version=None):
        return self.loaded

    def index(self):
        return (IndexEntry("m", 1, State.READY if self.loaded else State.LOADING),)

    def labels(self, name):
        return {}

    def config(self, name, version=None):
        return self.config_of_m

    def acquire(self, name, version=None):
        servable = SimpleNamespace(version=1, config=self.config_of_m, description="what runs it", detect=self.detect)
        return Handle(servable, lambda: None)

    async def detect(self, image, overrides, deadline):
        self.began.set()
        await self.may_answer.wait()
        return DetectResult("m", 1, Detections.empty(), (), 1, 1, Timings())

    def close(self, timeout_s):
        self.closed = True


class GatedFronts:
    """Stands in for the fronts: they listen when they are let."""

    def __init__(self):
        self.may_listen = asyncio.Event()
        self.listening = self.closed = False

    def listen(self, server):
        return app.listen(server, "127.0.0.1", 0)  # type: ignore[attr-defined]  # what the test put there

    async def start(self):
        await self.may_listen.wait()
        self.listening = True

    def stop(self):
        return None

    async def wait_idle(self):
        return None

    async def close(self, grace_s):
        self.closed = True


@pytest.fixture
async def application(tmp_path, monkeypatch, capsys):
    """Starts the application with a port that the test knows; ends what is left of it."""
    monkeypatch.setattr(loading, "ModelManager", GatedManager)
    ports = []
    listen = app.listen  # type: ignore[attr-defined]  # to be replaced

    def listening(*arguments):
        ports.append(listen(*arguments))
        return ports[-1]

    monkeypatch.setattr(app, "listen", listening)
    config = ServerConfig(
        model_repository=tmp_path,
        grpc_address="127.0.0.1",
        grpc_port=0,
        allow_metrics=False,
        cpu_threads=1,
        allow_empty_repository=True,
    )
    tasks, channels = [], []

    async def start(**changes):
        changed = replace(config, **changes)
        models = loading.LoadingModels(changed)
        models.start()
        GatedManager.latest.owner = models
        tasks.append(asyncio.create_task(app._serve(changed, models)))
        while not ports:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{ports[0]}"))
        return tasks[0], channels[0], GatedManager.latest

    yield start
    GatedManager.latest.may_load.set()
    GatedManager.latest.may_answer.set()
    for channel in channels:
        await channel.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_lives_while_it_loads_and_is_ready_afterwards(application, capsys):
    task, channel, manager = await application()
    stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))

    assert (await stub.ServerLive(pb.ServerLiveRequest(), wait_for_ready=True)).live
    assert not (await stub.ServerReady(pb.ServerReadyRequest())).ready
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert capsys.readouterr().out == ""

    manager.may_load.set()
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
    os.kill(os.getpid(), signal.SIGTERM)

    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await task
    assert not manager.owner.busy
    assert manager.closed
    report = capsys.readouterr().out
    assert re.search(r"^m +1 +READY +what runs it$", report, re.MULTILINE)
    assert re.search(r"^Try: \S*pasarela detect \S+ --model m --url 127\.0\.0\.1:\d+$", report, re.MULTILINE)


async def test_it_is_not_ready_before_all_fronts_listen(application, monkeypatch):
    fronts = GatedFronts()
    monkeypatch.setattr(app, "_fronts", lambda *_, **__: fronts)
    task, channel, manager = await application()
    ready = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ServerReady
    health = health_pb2_grpc.HealthStub(channel)
    manager.may_load.set()
    while not (await ready(pb.ServerReadyRequest(), wait_for_ready=True)).ready:
        pass
    watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING

    fronts.may_listen.set()

    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    os.kill(os.getpid(), signal.SIGTERM)
    await task


async def test_a_stop_does_not_wait_for_fronts_that_do_not_listen(application, monkeypatch):
    monkeypatch.setattr(app, "_fronts", lambda *_, **__: GatedFronts())
    task, channel, _ = await application()
    await inference_pb2_grpc.GRPCInferenceServiceStub(channel).ServerLive(pb.ServerLiveRequest(), wait_for_ready=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, 30)


async def test_fronts_that_listen_do_not_outlive_a_start_that_fails(application, monkeypatch):
    class Broken(GatedManager):
        def load_all(self):
            self.may_load.wait()
            raise InvalidModel("the repository went away")

    fronts = GatedFronts()
    fronts.may_listen.set()
    monkeypatch.setattr(app, "_fronts", lambda *_, **__: fronts)
    monkeypatch.setattr(loading, "ModelManager", Broken)
    task, _, manager = await application()
    assert not fronts.closed
    manager.may_load.set()
    with pytest.raises(InvalidModel, match="went away"):
        await task
    assert fronts.closed


async def test_a_stop_while_loading_does_not_wait_for_the_load(application):
    task, channel, manager = await application()
    stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
    await stub.ServerLive(pb.ServerLiveRequest(), wait_for_ready=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await task
    assert manager.owner.busy
    assert not manager.closed


async def test_open_requests_finish_and_new_ones_are_refused(application):
    task, channel, manager = await application()
    stub = detection_pb2_grpc.DetectionServiceStub(channel)
    request = detection_pb2.DetectRequest(model_name="m", image={"encoded": b"x"})
    manager.may_load.set()
    open_call = stub.Detect(request, wait_for_ready=True)
    await manager.began.wait()
    os.kill(os.getpid(), signal.SIGTERM)

    server_ready = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ServerReady
    while (await server_ready(pb.ServerReadyRequest())).ready:
        pass
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Detect(request)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "stopping" in refused.value.details()
    assert not task.done()

    manager.may_answer.set()
    assert (await open_call).image_width == 1
    await task
    assert not manager.owner.busy


async def test_requests_that_outlive_the_time_to_exit_are_cancelled(application):
    task, channel, manager = await application(exit_timeout_secs=0)
    stub = detection_pb2_grpc.DetectionServiceStub(channel)
    manager.may_load.set()
    call = stub.Detect(detection_pb2.DetectRequest(model_name="m", image={"encoded": b"x"}), wait_for_ready=True)
    await manager.began.wait()
    os.kill(os.getpid(), signal.SIGTERM)

    await task
    assert not manager.owner.busy
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call
    assert ended.value.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


def test_a_second_signal_ends_the_process_at_once():
    script = (
        "import asyncio, os, signal\n"
        "from pasarela_server import app\n"
        "async def main():\n"
        "    stop = app._stop_signal(asyncio.get_running_loop())\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    await stop\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == 128 + signal.SIGTERM


async def test_what_changed_before_there_was_a_loop_is_not_lost(tmp_path, monkeypatch):
    """The start loads while it still imports; whoever follows later hears the end all the same."""
    monkeypatch.setattr(loading, "ModelManager", GatedManager)
    models = loading.LoadingModels(ServerConfig(model_repository=tmp_path, allow_empty_repository=True, cpu_threads=1))
    over = threading.Event()
    monkeypatch.setattr(models, "_changed", over.set)
    models.start()
    GatedManager.latest.may_load.set()
    await asyncio.to_thread(over.wait)
    await models.follow(lambda: None)
    await asyncio.to_thread(models.close, 0.0)
    assert not models.busy


async def test_a_load_that_breaks_is_heard_by_who_follows(tmp_path, monkeypatch):
    class Broken(GatedManager):
        def load_all(self):
            raise InvalidModel("the repository went away")

    monkeypatch.setattr(loading, "ModelManager", Broken)
    models = loading.LoadingModels(ServerConfig(model_repository=tmp_path, allow_empty_repository=True, cpu_threads=1))
    models.start()
    with pytest.raises(InvalidModel, match="went away"):
        await models.follow(lambda: None)
    models.images.shutdown()


def test_a_wrong_flag_is_told_before_anything_heavy_is_imported():
    program = (
        "import sys\n"
        "from pasarela_server.__main__ import main\n"
        "try:\n"
        "    main(['--no-such-flag'])\n"
        "except SystemExit as end:\n"
        "    print(end.code, *({'numpy', 'grpc', 'cv2', 'openvino'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2"]


def test_models_load_before_what_speaks_to_clients_is_imported():
    program = "import sys, pasarela_server.loading; print(*({'grpc', 'pasarela_server.rpc'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not done.stdout.split()
