"""Streams of NVIDIA's clients: order, errors between answers, the flag of the last response, and an end that does not hang."""

import pytest

SYNC = "tritonclient.grpc"
AIO = "tritonclient.grpc.aio"


@pytest.fixture(scope="module")
def answers(server, run_client, image):
    """What the client got from the server, in one run."""
    return run_client("tritonclient_stream", server.address, image)


@pytest.fixture(scope="module")
def aio(server, run_client, image):
    """The same with the asyncio client."""
    return run_client("tritonclient_aio_stream", server.address, image)


def ids(answers):
    """Whose answer each is; None for an error, of which the clients keep no more than the text."""
    return [answer.get("id") for answer in answers]


@pytest.mark.compatible(SYNC, "streaming")
def test_answers_come_in_the_order_of_the_requests(answers):
    assert ids(answers["ordered"]) == [f"s{number}" for number in range(12)]
    assert [answer["model"] for answer in answers["ordered"]] == ["garments_onnx", "garments_onnx", "garments"] * 4


@pytest.mark.compatible(SYNC, "streaming")
def test_one_client_opens_one_stream_after_the_other(answers):
    assert ids(answers["reopened"]) == ["s0", "s1"]


@pytest.mark.compatible(SYNC, "errors within a stream")
def test_an_error_is_an_answer_and_the_stream_goes_on(answers):
    assert ids(answers["errors"]) == ["s0", None, None, "s3"]
    assert "trousers" in answers["errors"][1]["message"]
    assert "images" in answers["errors"][2]["message"]


@pytest.mark.compatible(SYNC, "errors within a stream")
def test_who_asks_for_it_gets_a_status_that_ends_the_stream(answers):
    (refusal,) = answers["status"]
    assert refusal["status"] == "StatusCode.NOT_FOUND"
    assert "trousers" in refusal["message"]


@pytest.mark.compatible(SYNC, "final response of a stream")
def test_each_answer_says_that_it_is_its_requests_last(answers):
    assert all(answer["says_final"] and answer["final"] for answer in answers["ordered"] + answers["plain"])
    assert len(answers["plain"]) == 1, "no empty response follows: the answer itself is final"


@pytest.mark.compatible(SYNC, "stop of a stream")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("empty", 0, id="nothing was sent"),
        pytest.param("plain", 1, id="it waits for what was sent"),
        pytest.param("ordered", 12, id="it waits for all that was sent"),
    ],
)
def test_stopping_returns_when_all_is_answered(answers, name, expected):
    assert len(answers[name]) == expected


@pytest.mark.compatible(SYNC, "cancellation")
def test_stopping_without_waiting_cancels_what_was_sent(answers):
    *answered, last = answers["cancelled"]
    assert last["status"] == "StatusCode.CANCELLED"
    assert len(answered) < 8


@pytest.mark.compatible(SYNC, "client timeout")
def test_the_time_of_a_stream_ends(answers):
    (ended,) = answers["timeout"]
    assert ended["status"] == "StatusCode.DEADLINE_EXCEEDED"


@pytest.mark.compatible(SYNC, "compression")
def test_a_compressed_stream_is_read(answers):
    assert answers["compressed"][0]["sum"] == pytest.approx(answers["plain"][0]["sum"], rel=1e-4)


@pytest.mark.compatible(AIO, "streaming")
def test_aio_answers_come_in_the_order_of_the_requests(aio):
    assert ids(aio["ordered"]) == ["s0", "s1", "s2"]


@pytest.mark.compatible(AIO, "streaming")
def test_aio_each_request_may_wait_for_the_answer_before(aio):
    assert aio["turns"] == [f"s{number}" for number in range(5)]


@pytest.mark.compatible(AIO, "errors within a stream")
def test_aio_an_error_is_an_answer_and_the_stream_goes_on(aio):
    assert ids(aio["errors"]) == ["s0", None, "s2"]
    assert "trousers" in aio["errors"][1]["message"]
    assert aio["status"] == "NOT_FOUND"


@pytest.mark.compatible(AIO, "final response of a stream")
def test_aio_each_answer_says_that_it_is_its_requests_last(aio):
    assert all(answer["says_final"] and answer["final"] for answer in aio["ordered"])


@pytest.mark.compatible(AIO, "stop of a stream")
def test_aio_a_cancelled_stream_ends_and_disturbs_nothing(aio):
    assert aio["cancelled"] == "CancelledError"
    assert aio["after"]["model"] == "garments_onnx"
