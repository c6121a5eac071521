"""Prometheus' text format, read as Prometheus' own library reads it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client import Histogram as TheirHistogram
from prometheus_client.parser import text_string_to_metric_families

from pasarela_client.prometheus import Metrics, NoMetrics, Sample, parse_samples

LABELS = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: not name.startswith("__")),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\x85\u2028\u2029"), max_size=12),
    max_size=3,
)
NUMBERS = st.floats(allow_nan=False)


@given(st.lists(st.tuples(LABELS, NUMBERS), min_size=1, max_size=5))
def test_whatever_their_library_writes_is_read_as_it_reads_it(series: list[tuple[dict[str, str], float]]) -> None:
    names = sorted({name for labels, _ in series for name in labels})
    registry = CollectorRegistry()
    gauge = Gauge("some_value", "With a\nline break and \\ in its help", names, registry=registry)
    for labels, number in series:
        (gauge.labels(**{name: labels.get(name, "") for name in names}) if names else gauge).set(number)
    text = generate_latest(registry).decode()
    theirs = [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert [(each.name, dict(each.labels), each.value) for each in parse_samples(text)] == theirs


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        list(parse_samples(text))
    except NoMetrics as error:
        assert "line " in str(error)


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        pytest.param("a 1", Sample("a", {}, 1.0), id="no labels"),
        pytest.param('a{b="c",d="e",} 2.5e3', Sample("a", {"b": "c", "d": "e"}, 2500.0), id="a comma at the end"),
        pytest.param('a { b = "c" }  -1 1712345678901', Sample("a", {"b": "c"}, -1.0), id="blanks, and a time"),
        pytest.param('a{b="}\\"{\\\\\\n"} +Inf', Sample("a", {"b": '}"{\\\n'}, math.inf), id="escapes and brackets"),
        pytest.param("# HELP a b\n# TYPE a gauge\n\na{} 0\r", Sample("a", {}, 0.0), id="comments and empty lines"),
    ],
)
def test_forms_of_a_sample(text: str, sample: Sample) -> None:
    assert list(parse_samples(text)) == [sample]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<!DOCTYPE html>\n<html>", 1),
        ("a 1\nb", 2),
        ("a one", 1),
        ('a{b="c} 1', 1),
        ("a{b=c} 1", 1),
        ('{"error": "not found"}', 1),
    ],
    ids=["a page", "no value", "no number", "no end of a label", "no quotes", "JSON"],
)
def test_what_is_no_metrics(text: str, line: int) -> None:
    with pytest.raises(NoMetrics, match=f"line {line} is no metric"):
        list(parse_samples(text))


def test_metrics_are_found_by_name_and_labels() -> None:
    metrics = Metrics.parse('a{m="x",v="1"} 2\na{m="x",v="2"} 3\na{m="y",v="1"} 5\nb 1')
    assert metrics.value("a", m="x") == 5
    assert metrics.value("a", m="y", v="1") == 5
    assert metrics.value("a", m="z") is None
    assert metrics.label_values("a", "v", m="x") == ["1", "2"]
    assert "b" in metrics
    assert "c" not in metrics


def test_a_histogram_of_their_library() -> None:
    registry = CollectorRegistry()
    theirs = TheirHistogram("took_seconds", "Some", ["model"], registry=registry, buckets=(0.1, 1.0, 5.0))
    for model, value in (("x", 0.05), ("x", 0.5), ("x", 0.7), ("x", 50.0), ("y", 0.5)):
        theirs.labels(model).observe(value)
    found = Metrics.parse(generate_latest(registry).decode()).histogram("took_seconds", model="x")
    assert (found.bounds, found.counts, found.total) == ((0.1, 1.0, 5.0), (1, 2, 0, 1), 51.25)
    assert Metrics([]).histogram("took_seconds").count == 0
