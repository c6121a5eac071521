"""The table of Triton's protocols: every method of the services is in one of them, once."""

from collections import Counter

from pasarela_server.config.restricted import PROTOCOLS
from pasarela_server.rpc.groups import CALLERS
from pasarela_server.rpc.restrictions import METHODS


def test_every_method_is_in_one_protocol():
    assert tuple(METHODS) == PROTOCOLS
    counted = Counter(path for paths in METHODS.values() for path in paths)
    reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    assert counted == Counter(set(CALLERS) - {reflection})
