"""Look after look: what is said when a server goes away, comes back, or tells less than it might."""

from typing import Any

import pytest

from pasarela_client.errors import ServerUnreachable
from pasarela_client.models import ModelState
from pasarela_client.prometheus import Metrics
from pasarela_client.statistics import Duration, ModelStatistics, Statistics
from pasarela_client.top.reading import Lost, Reading
from pasarela_client.top.watch import Watch


def look(at_s: float, requests: int, **changes: Any) -> Reading:
    each = ModelStatistics(name="m", version="1", answered=Duration(requests, requests), rows=requests)
    text = f'nv_inference_request_success{{model="m",version="1"}} {requests}\npasarela_request_stage_seconds_bucket 0'
    return Reading(
        **{
            "at_s": at_s,
            "clock_s": 100 + at_s,
            "server": "pasarela 1",
            "states": (ModelState("m", "1", "READY", ""),),
            "statistics": Statistics((each,), at_s),
            "metrics": Metrics.parse(text),
            **changes,
        }
    )


def lost(at_s: float) -> Lost:
    return Lost(at_s, 100 + at_s, ServerUnreachable("nothing answers at here:1"))


def test_rates_are_between_the_last_two_looks() -> None:
    watch = Watch("here:1")
    first, second, third = watch.see(look(0, 10)), watch.see(look(2, 30)), watch.see(look(6, 50))
    assert [view.seconds for view in (first, second, third)] == [0, 2, 4]
    assert [view.rows[0].requests_per_s for view in (first, second, third)] == [None, 10, 5]
    assert first.notes == second.notes == third.notes == ()


def test_a_server_that_goes_away_and_comes_back() -> None:
    watch = Watch("here:1")
    watch.see(look(0, 10))
    known = watch.see(look(2, 30))
    gone = [watch.see(lost(at_s)) for at_s in (4, 6)]
    back = watch.see(look(8, 3))
    assert [(view.lost, view.away_s, view.rows) for view in gone] == [
        ("nothing answers at here:1", 2, known.rows),
        ("nothing answers at here:1", 4, known.rows),
    ]
    assert back.lost == ""
    assert back.notes == (
        "the server is back: nobody answered for 6 s",
        "loaded anew since the last look, so that counting began anew: m 1",
    )
    assert back.rows[0].requests_per_s == 0.5, "3 since it began anew, over 6 s"
    assert watch.see(look(10, 5)).notes == (), "it is said once"


def test_a_server_that_was_never_there() -> None:
    view = Watch("here:1").see(lost(5))
    assert (view.lost, view.away_s, view.rows) == ("nothing answers at here:1", 0, ())


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"statistics": None}, "no rates: the server keeps no statistics"),
        ({"metrics": None, "without_metrics": "x does not answer"}, "no percentiles, no queue: x does not answer"),
        ({"metrics": Metrics.parse('nv_inference_request_success{model="m",version="1"} 0')}, "of another server"),
        ({"metrics": Metrics.parse('nv_inference_request_success{model="m",version="1"} 90')}, "have no histogram"),
        ({"metrics": Metrics.parse("x 1")}, "have no histogram"),
        (
            {"metrics": Metrics.parse('nv_inference_request_summary_us{model="m",version="1",quantile="0.5"} 7')},
            "percentiles are the server's own",
        ),
    ],
    ids=[
        "no statistics",
        "no metrics",
        "metrics of another",
        "metrics as Triton's",
        "other metrics",
        "Triton's summaries",
    ],
)
def test_what_is_missing_is_said(changes: dict[str, Any], note: str) -> None:
    notes = Watch("here:1").see(look(0, 90, **changes)).notes
    assert len(notes) == 1
    assert note in notes[0]


def test_json_tells_rows_or_that_nobody_answers() -> None:
    watch = Watch("here:1")
    seen, gone = watch.see(look(0, 1)), watch.see(lost(1.5))
    told = seen.to_dict(list(seen.rows))
    assert (told["at_s"], told["url"], told["server"], told["seconds"]) == (100, "here:1", "pasarela 1", 0)
    assert [row["model"] for row in told["models"]] == ["m"]
    assert gone.to_dict([]) == {"at_s": 101.5, "url": "here:1", "lost": "nothing answers at here:1", "away_s": 1.5}
