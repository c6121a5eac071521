"""What NVIDIA's client can ask of an inference, one answer each as one line of JSON: ADDRESS IMAGE."""

import json
import sys
from queue import Queue

import tritonclient.grpc as triton
from triton_inputs import encoded, pixels, summary

RAW = "garments_onnx"


def refused(call, *arguments, **options) -> dict[str, object]:
    """The error that a call ends with."""
    try:
        return summary(call(*arguments, **options))
    except triton.InferenceServerException as error:
        return summary(None, error)


def count(result: triton.InferResult) -> int:
    """How many detections there are."""
    return len(result.as_numpy("scores"))


def parameters(client: triton.InferenceServerClient, image: str) -> dict[str, object]:
    """Parameters that a detection model knows, and one that nobody knows."""
    known = {"confidence": 0.25, "iou": 0.7, "max_detections": 1}
    return {
        "all": count(client.infer("garments", encoded(image))),
        "one": count(client.infer("garments", encoded(image), parameters=known)),
        "custom": summary(client.infer(RAW, pixels(), parameters={"colour": "red", "shade": 3, "deep": True})),
    }


def timings(client: triton.InferenceServerClient, image: str) -> dict[str, object]:
    """What a response says of where its time went, if it is asked for that."""
    told = client.infer("garments", encoded(image), parameters={"timings": True}).get_response().parameters
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in told.items()}


def outputs(client: triton.InferenceServerClient, image: str) -> dict[str, object]:
    """Some of the outputs, in an order of one's own."""
    wanted = [triton.InferRequestedOutput(name) for name in ("scores", "boxes")]
    return summary(client.infer("garments", encoded(image), outputs=wanted))


def classification(client: triton.InferenceServerClient, image: str) -> dict[str, object]:
    """The three best of an output, as text."""
    wanted = [triton.InferRequestedOutput("scores", class_count=3)]
    result = client.infer("garments", encoded(image), outputs=wanted)
    scores = client.infer("garments", encoded(image)).as_numpy("scores")
    return {
        "best": [text.decode() for text in result.as_numpy("scores").flatten()],
        "scores": scores.tolist(),
    }


def many(client: triton.InferenceServerClient) -> list[str]:
    """Ids of the answers to twenty requests that were sent without waiting."""
    answers: Queue[triton.InferResult] = Queue()
    for number in range(20):
        client.async_infer(RAW, pixels(), lambda result, error: answers.put(result), request_id=f"r{number}")
    return [answers.get().get_response().id for _ in range(20)]


def cancelled(client: triton.InferenceServerClient) -> dict[str, object]:
    """The answer to a request that was cancelled while others were before it, and how many of these came through."""
    answers: Queue[triton.InferResult | None] = Queue()
    failures: Queue[triton.InferenceServerException | None] = Queue()
    for _ in range(4):
        client.async_infer(RAW, pixels(8), lambda result, error: answers.put(result))
    last = client.async_infer(RAW, pixels(8), lambda result, error: failures.put(error))
    last.cancel()
    return {
        "cancelled": summary(None, failures.get()),
        "others": [summary(answers.get())["shapes"] for _ in range(4)],
    }


def main() -> None:
    """Asks for everything."""
    address, image = sys.argv[1:]
    with triton.InferenceServerClient(address) as client:
        wrong_name = pixels()
        wrong_name[0]._input.name = "pixels"
        answers = {
            "parameters": parameters(client, image),
            "timings": timings(client, image),
            "outputs": outputs(client, image),
            "many": many(client),
            "plain": summary(client.infer(RAW, pixels())),
            "compressed": {
                name: summary(client.infer(RAW, pixels(), compression_algorithm=name)) for name in ("gzip", "deflate")
            },
            "large": summary(client.infer(RAW, pixels(8))),
            "timeout": refused(client.infer, RAW, pixels(8), client_timeout=0.001),
            "cancelled": cancelled(client),
            "after": summary(client.infer(RAW, pixels())),
            "refused": {
                "unknown model": refused(client.infer, "trousers", pixels()),
                "unknown version": refused(client.infer, RAW, pixels(), model_version="7"),
                "version zero": refused(client.infer, RAW, pixels(), model_version="0"),
                "wrong shape": refused(client.infer, RAW, pixels(side=96)),
                "unknown input": refused(client.infer, RAW, wrong_name),
                "unknown output": refused(
                    client.infer, RAW, pixels(), outputs=[triton.InferRequestedOutput("trousers")]
                ),
            },
        }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
