"""What a probe asks of the health service, with the stub of grpcio-health-checking, as one line of JSON: ADDRESS SERVICE…"""

import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def name(response: health_pb2.HealthCheckResponse) -> str:
    """The status as a word."""
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


def check(stub: health_pb2_grpc.HealthStub, service: str) -> str:
    """The status of a service, or of the refusal to tell it."""
    try:
        return name(stub.Check(health_pb2.HealthCheckRequest(service=service)))
    except grpc.RpcError as error:
        return error.code().name


def watch(stub: health_pb2_grpc.HealthStub, service: str) -> str:
    """The first status that is pushed."""
    pushed = stub.Watch(health_pb2.HealthCheckRequest(service=service))
    first = name(next(pushed))
    pushed.cancel()
    return first


def main() -> None:
    """Asks for each service in both ways."""
    address, *services = sys.argv[1:]
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        print(json.dumps({service: [check(stub, service), watch(stub, service)] for service in services}))


if __name__ == "__main__":
    main()
