"""What grpcurl does: learn services and messages from the server alone, then call."""

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address) as opened:
        yield opened


@pytest.fixture
def pool(channel):
    """Descriptors that come from the server, not from our stubs."""
    return DescriptorPool(ProtoReflectionDescriptorDatabase(channel))


def call(channel, pool, service, method, **fields):
    """Calls a unary method of which nothing is known beforehand."""
    described = pool.FindServiceByName(service).FindMethodByName(method)
    request, response = GetMessageClass(described.input_type), GetMessageClass(described.output_type)
    send = channel.unary_unary(
        f"/{service}/{method}", request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )
    return send(request(**fields))


def test_services_are_listed(channel):
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {"inference.GRPCInferenceService", "pasarela.v1.DetectionService", "grpc.health.v1.Health"} <= set(services)


def test_a_service_learned_by_reflection_can_be_called(channel, pool):
    assert call(channel, pool, "inference.GRPCInferenceService", "ServerMetadata").name == "pasarela"
    config = call(channel, pool, "inference.GRPCInferenceService", "ModelConfig", name="garments_onnx").config
    assert config.name == "garments_onnx"


def test_typed_detection_learned_by_reflection(channel, pool, image):
    response = call(
        channel,
        pool,
        "pasarela.v1.DetectionService",
        "Detect",
        model_name="garments",
        image={"encoded": image.read_bytes()},
    )
    assert (response.model_name, response.model_version) == ("garments", "1")
