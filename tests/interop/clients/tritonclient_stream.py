"""Inference on streams with NVIDIA's client, one answer each as one line of JSON: ADDRESS IMAGE."""

import json
import sys
from queue import Queue

import tritonclient.grpc as triton
from triton_inputs import encoded, pixels, summary

RAW = "garments_onnx"


class Stream:
    """A stream with a client of its own, and what comes back on it."""

    def __init__(self, address: str, **options: object) -> None:
        self.answers: Queue[dict[str, object]] = Queue()
        self.client = triton.InferenceServerClient(address)
        self.client.start_stream(lambda result, error: self.answers.put(summary(result, error)), **options)

    def send(self, model: str, inputs: list[triton.InferInput], number: int, **options: object) -> None:
        """Sends a request without waiting."""
        self.client.async_stream_infer(model, inputs, request_id=f"s{number}", **options)

    def stop(self, *, cancel_requests: bool = False) -> list[dict[str, object]]:
        """Stops as the client does, and gives what has come."""
        self.client.stop_stream(cancel_requests=cancel_requests)
        self.client.close()
        return [self.answers.get_nowait() for _ in range(self.answers.qsize())]


def ordered(address: str, image: str) -> list[dict[str, object]]:
    """Slow and quick requests in turn, to two models."""
    stream = Stream(address)
    for number in range(0, 12, 3):
        stream.send(RAW, pixels(8), number)
        stream.send(RAW, pixels(), number + 1)
        stream.send("garments", encoded(image), number + 2)
    return stream.stop()


def with_errors(address: str) -> list[dict[str, object]]:
    """A good request, two bad ones, a good one."""
    stream = Stream(address)
    stream.send(RAW, pixels(), 0)
    stream.send("trousers", pixels(), 1)
    stream.send(RAW, pixels(side=96), 2)
    stream.send(RAW, pixels(), 3)
    return stream.stop()


def with_status(address: str) -> list[dict[str, object]]:
    """The client asked that errors end the stream with a status of gRPC."""
    stream = Stream(address, headers={"triton_grpc_error": "true"})
    stream.send("trousers", pixels(), 0)
    first = stream.answers.get()
    return [first, *stream.stop()]


def one(address: str, **options: object) -> list[dict[str, object]]:
    """One request, under options of the stream."""
    stream = Stream(address, **options)
    stream.send(RAW, pixels(), 0, enable_empty_final_response=True, parameters={"colour": "red"})
    return stream.stop()


def timed_out(address: str) -> list[dict[str, object]]:
    """A stream on which nothing is sent, until its time is over."""
    stream = Stream(address, stream_timeout=0.3)
    first = stream.answers.get()
    return [first, *stream.stop()]


def cancelled(address: str) -> list[dict[str, object]]:
    """A stream that is stopped without waiting for its requests."""
    stream = Stream(address)
    for number in range(8):
        stream.send(RAW, pixels(8), number)
    return stream.stop(cancel_requests=True)


def reopened(address: str) -> list[dict[str, object]]:
    """One client, two streams after each other."""
    stream = Stream(address)
    stream.send(RAW, pixels(), 0)
    stream.client.stop_stream()
    stream.client.start_stream(lambda result, error: stream.answers.put(summary(result, error)))
    stream.send(RAW, pixels(), 1)
    return stream.stop()


def main() -> None:
    """Opens one stream after the other."""
    address, image = sys.argv[1:]
    answers = {
        "ordered": ordered(address, image),
        "errors": with_errors(address),
        "status": with_status(address),
        "plain": one(address),
        "compressed": one(address, compression_algorithm="gzip"),
        "empty": Stream(address).stop(),
        "timeout": timed_out(address),
        "cancelled": cancelled(address),
        "reopened": reopened(address),
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
