"""The table of who may call what: nothing is left out of it, and what is new is closed."""

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from pasarela_proto import detection_pb2, inference_pb2
from pasarela_server.frontends.passthrough import methods
from pasarela_server.rpc.groups import CALLERS, EVERYBODY, callers
from pasarela_server.security.tokens import Group

FILES = (inference_pb2.DESCRIPTOR, detection_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)


def test_the_table_holds_every_method_and_no_other():
    assert set(CALLERS) == set(methods(FILES))


def test_a_method_that_is_not_in_the_table_takes_control():
    assert callers("/inference.GRPCInferenceService/Forgotten") == {Group.CONTROL}


def test_only_health_is_for_everybody():
    open_ones = {path.rpartition("/")[2] for path, groups in CALLERS.items() if groups == EVERYBODY}
    assert open_ones == {"ServerLive", "ServerReady", "ModelReady", "Check", "Watch"}
