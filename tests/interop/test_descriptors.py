"""Our protos are Triton's, field by field: what its clients were built against."""

import pytest


@pytest.fixture(scope="module")
def ours(run_client):
    return run_client("describe_protos", "pasarela_proto.inference_pb2", "pasarela_proto.model_config_pb2")


@pytest.fixture(scope="module")
def theirs(run_client):
    return run_client("describe_protos", "tritonclient.grpc.service_pb2", "tritonclient.grpc.model_config_pb2")


def test_the_same_messages_enums_and_methods(ours, theirs):
    assert theirs.keys() - ours.keys() == set(), "missing here"
    assert ours.keys() - theirs.keys() == set(), "unknown there"


def test_each_is_the_same_field_by_field(ours, theirs):
    assert {name: ours[name] for name in theirs if ours.get(name) != theirs[name]} == {}
    assert ours == theirs
