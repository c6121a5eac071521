"""Stubs that call the shared server, and pictures to send."""

import cv2
import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2_grpc

from pasarela_proto import detection_pb2_grpc, inference_pb2_grpc


class Stubs:
    """All services of one server."""

    def __init__(self, channel):
        self.channel = channel
        self.inference = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        self.detection = detection_pb2_grpc.DetectionServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)


@pytest.fixture
def stubs_for():
    """Stubs that call an address."""
    channels = []

    def connect(address):
        channels.append(grpc.insecure_channel(address))
        return Stubs(channels[-1])

    yield connect
    for channel in channels:
        channel.close()


@pytest.fixture
def stubs(server, stubs_for):
    """Stubs that call the shared server."""
    return stubs_for(server.address)


@pytest.fixture(scope="session")
def picture():
    """A 96x128 picture of coloured noise, as (h, w, 3) BGR."""
    return np.random.default_rng(7).integers(0, 256, (96, 128, 3), np.uint8)


@pytest.fixture(scope="session")
def jpeg(picture):
    """The picture as a JPEG file."""
    return cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.fixture(scope="session")
def png(picture):
    """The picture as a PNG file."""
    return cv2.imencode(".png", picture)[1].tobytes()
