"""Where the time went, as a result tells it and as a person reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pasarela_client import Detector, Timings
from pasarela_client.__main__ import main
from pasarela_client.codec import decode_response
from pasarela_client.commands.bars import format_stages, format_timings
from pasarela_client.timings import STAGES
from pasarela_proto import detection_pb2 as pb

MS = 1_000_000
WHOLE = Timings(
    receive_ns=MS,
    decode_ns=2 * MS,
    queue_ns=10 * MS,
    infer_ns=5 * MS,
    nms_ns=MS,
    encode_ns=MS,
    total_ns=25 * MS,
    batch_size=4,
    close_reason="full",
    instance=1,
    round_trip_ns=27 * MS,
)


def test_every_stage_that_the_protocol_knows_is_read() -> None:
    fields = pb.Timings.DESCRIPTOR.fields_by_name
    told = pb.Timings(**{f"{stage}_ns": place for place, stage in enumerate(STAGES, 1)}, total_ns=1000)
    timings = decode_response(pb.DetectResponse(timings=told)).timings
    assert [timings.stages[stage] for stage in STAGES] == list(range(1, len(STAGES) + 1))
    aggregates = {"preprocess", "postprocess", "total"}
    assert {name.removesuffix("_ns") for name in fields if name.endswith("_ns")} == {*STAGES, *aggregates}


@pytest.mark.parametrize(
    ("timings", "stages", "total_ms", "network_ms"),
    [
        pytest.param(
            WHOLE,
            {"receive": 1, "decode": 2, "queue": 10, "infer": 5, "nms": 1, "encode": 1, "between": 5},
            25,
            2,
            id="stages that were not passed are left out, and the rest of the total is said",
        ),
        pytest.param(
            Timings(preprocess_ns=MS, infer_ns=2 * MS, round_trip_ns=4 * MS),
            {"preprocess": 1, "infer": 2},
            3,
            1,
            id="an older server tells no total and no fine stages",
        ),
        pytest.param(
            Timings(infer_ns=2 * MS, total_ns=MS, round_trip_ns=MS // 2),
            {"infer": 2, "between": 0},
            1,
            0,
            id="clocks that disagree give no negative time",
        ),
        pytest.param(Timings(), {}, 0, 0, id="nothing was told"),
    ],
)
def test_the_stages_add_up(timings: Timings, stages: dict[str, int], total_ms: float, network_ms: float) -> None:
    assert {stage: time_ns / MS for stage, time_ns in timings.stages.items()} == stages
    assert list(timings.stages) == list(stages)
    assert (timings.total_ms, timings.network_ns / MS) == (total_ms, network_ms)


def test_a_person_reads_bars() -> None:
    assert format_timings(WHOLE).splitlines() == [
        "on the server 25.00 ms; batch of 4, closed because full, on instance 1",
        "  receive                1.00 ms   4%  ##",
        "  decode                 2.00 ms   8%  ###",
        "  wait for an instance  10.00 ms  40%  ################",
        "  infer                  5.00 ms  20%  ########",
        "  suppress boxes         1.00 ms   4%  ##",
        "  encode                 1.00 ms   4%  ##",
        "  between stages         5.00 ms  20%  ########",
        "network and client 2.00 ms; in all 27.00 ms",
    ]


def test_nothing_told_is_nothing_drawn() -> None:
    assert format_timings(Timings()) == "on the server 0.00 ms"
    assert format_stages({}) == ""


def test_the_client_measures_its_own_side(server: Any, service: Any) -> None:
    def detect(request: pb.DetectRequest, context: Any) -> pb.DetectResponse:
        return pb.DetectResponse(timings=pb.Timings(infer_ns=1, total_ns=2, close_reason="idle"))

    def stream(frames: Any, context: Any) -> Any:
        for frame in frames:
            yield pb.StreamDetectResponse(frame_index=frame.frame_index, response=detect(frame.request, context))

    service.detect, service.stream = detect, stream
    with Detector(server.url) as detector:
        found = [detector.detect(b"jpeg"), *detector.detect_stream([b"jpeg", b"jpeg"])]
    for one in found:
        assert isinstance(one.timings, Timings)  # type: ignore[union-attr]
        assert one.timings.round_trip_ns > one.timings.total_ns == 2  # type: ignore[union-attr]
        assert one.timings.instance == 0  # type: ignore[union-attr]


def test_detect_draws_them_when_asked(
    server: Any, service: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], make_answer: Callable[..., Any]
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"jpeg")
    assert main(["detect", "--url", server.url, "--timings", str(photo)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[3:6] == [
        "  on the server 3.00 ms; batch of 4",
        "    preprocess  1.00 ms  33%  #############",
        "    infer       2.00 ms  67%  ###########################",
    ]
    assert told[6].startswith("  network and client ")
    assert main(["detect", "--url", server.url, str(photo)]) == 0
    assert "network" not in capsys.readouterr().out
