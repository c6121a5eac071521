"""The measured section of docs/performance.md, made from the results file. Pure but for `update_page`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from loadtest.benchmark.bars import Verdict, verdicts
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.results import Entry, Results
from loadtest.benchmark.settings import CLIENTS, SATURATED
from loadtest.benchmark.spread import Spread

BEGIN = "<!-- measured: begin. Written by `make benchmark` from performance.json; text goes outside. -->"
END = "<!-- measured: end -->"
_IDLE = 0.2
_OF_ARRIVALS = (
    "Requests that come independently of each other bunch up, and wait for each other whatever the server does; evenly "
    "spaced ones need not. The bar is on the latter."
)
_OF_BARS = (
    "Medians of the rounds, smallest and largest in brackets; a ratio is taken within each round. A bar is met if the "
    "median keeps it."
)


def measured_section(results: Results, picture: str | None = None) -> str:
    """All that was measured, with its conditions, as Markdown between the two markers.

    Args:
        results: By measurement.
        picture: Where the picture lies, as seen from the page; None without one.
    """
    lines = [BEGIN, "", "## Bars", "", *_bars(verdicts(results))]
    if picture is not None:
        lines += ["", f"![Throughput and latency of each variant]({picture})"]
    for name, section in _SECTIONS.items():
        entry = results.get(name)
        if entry is not None:
            title, body = section
            lines += ["", f"## {title}", "", *_conditions(entry), "", *body(entry.figures)]
    return "\n".join([*lines, "", END])


def put_into(page: str, section: str) -> str:
    """The page with its measured section exchanged; put after the title if it has none yet.

    Raises:
        ValueError: One of the two markers is missing, or they are the wrong way round.
    """
    if BEGIN not in page and END not in page:
        title, _, rest = page.partition("\n")
        return f"{title}\n\n{section}\n{rest}"
    begin, end = page.find(BEGIN), page.find(END)
    if not 0 <= begin < end:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}, in this order; put the missing one back")
    return page[:begin] + section + page[end + len(END) :]


def update_page(path: Path, section: str) -> None:
    """Exchanges the section in a file; the rest of it stays."""
    page = path.read_text(encoding="utf-8") if path.exists() else "# Performance\n"
    beside = path.with_name(path.name + ".partial")
    beside.write_text(put_into(page, section), encoding="utf-8")
    beside.replace(path)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def shown(spread: Spread | None, form: str = ".2f") -> str:
    """Median and spread; a dash for nothing."""
    if spread is None:
        return "–"
    middle, low, high = (format(value, form) for value in (spread.median, spread.low, spread.high))
    return middle if low == high else f"{middle} ({low}–{high})"


def _bars(found: Sequence[Verdict]) -> list[str]:
    words = {True: "met", False: "**not met**", None: "not measured"}
    rows = []
    for verdict in found:
        bar = verdict.bar
        unit = f" {bar.unit}" if bar.unit else ""
        value = shown(verdict.value, ".1f" if bar.unit in {"ms", "MB"} else ".2f")
        value = value + unit if verdict.value is not None else value
        limit = f"{'≥' if bar.at_least else '≤'} {bar.limit:g}{unit}"
        rows.append([bar.what, f"`{bar.measurement}`", limit, value, words[verdict.met]])
    return [
        _OF_BARS,
        "",
        *table(["what", "measurement", "bar", "measured", ""], rows),
    ]


def _conditions(entry: Entry) -> list[str]:
    of = entry.conditions
    packages = ", ".join(f"{name} {version}" for name, version in of["packages"].items())
    instructions = f" ({', '.join(of['instructions'])})" if of["instructions"] else ""
    rounds = "one run" if entry.rounds == 1 else f"{entry.rounds} rounds"
    lines = [
        (
            f"{entry.date}, {rounds}, {entry.seconds:g} s a figure. {of['cpu']}{instructions}, {of['cores']} cores, "
            f"{of['memory_gb']} GB, {of['system']}, Python {of['python']}; {packages}. "
            f"Clients and servers share these cores. {of['images']}."
        )
    ]
    if of["busy_before"] > _IDLE:
        lines.append(
            f"**The machine was not idle: something else kept {of['busy_before']:g} cores busy before the run.**"
        )
    if not entry.complete:
        lines.append("**Stopped before the last round.**")
    return [*lines, "", *(f"- {note}" for note in entry.notes)] if entry.notes else lines


def _numbers(figures: Figures, suffix: str) -> list[int]:
    """The numbers of clients that were measured, by what quantities are called."""
    return [n for n in CLIENTS if any(figures.values(name, suffix.format(n)) for name in figures.subjects())]


def _rate(figures: Figures, name: str, quantity: str) -> str:
    median = figures.median(name, quantity)
    return "–" if median is None else f"{median:.1f}"


def _latencies(figures: Figures, prefix: str, numbers: Sequence[int], alone: bool) -> list[str]:
    rows = []
    for name in figures.subjects():
        pairs = ["alone"] * alone + [prefix.format(n) for n in numbers]
        cells = [f"{_rate(figures, name, f'{p}_p50_ms')} / {_rate(figures, name, f'{p}_p99_ms')}" for p in pairs]
        rows.append([name, *cells])
    head = ["p50 / p99 in ms", *(["in process, one at a time"] if alone else []), *_clients(numbers)]
    return table(head, rows)


def _clients(numbers: Sequence[int]) -> list[str]:
    return [f"{n} client{'s' if n > 1 else ''}" for n in numbers]


def _jpeg(figures: Figures) -> list[str]:
    numbers = _numbers(figures, "server_{}")
    rows = []
    for name in figures.subjects():
        columns = ["benchmark_app", "network", "pipeline", *(f"server_{n}" for n in numbers)]
        ratio = figures.ratio((name, f"server_{SATURATED}"), (name, "pipeline"))
        rows.append(
            [
                name,
                *(_rate(figures, name, column) for column in columns),
                shown(ratio),
                _share(figures, name, "server", SATURATED),
            ]
        )
    head = ["images per second", "benchmark_app", "network in process", "pipeline in process", *_clients(numbers)]
    head += [f"{SATURATED} ÷ pipeline", "cores the clients took"]
    return [*table(head, rows), "", *_latencies(figures, "server_{}", numbers, alone=True)]


def _share(figures: Figures, name: str, prefix: str, clients: int) -> str:
    median = figures.median(name, f"{prefix}_{clients}_client_cores")
    return "–" if median is None else f"{median:.2f}"


def _raw(figures: Figures) -> list[str]:
    lines: list[str] = []
    for way, words in (("shared", "in shared memory"), ("plain", "inside the messages")):
        numbers = _numbers(figures, f"{way}_{{}}")
        rows = [
            [
                name,
                _rate(figures, name, "bare"),
                *(_rate(figures, name, f"{way}_{n}") for n in numbers),
                shown(figures.ratio((name, f"{way}_4"), (name, "bare"))),
                _share(figures, name, way, 4),
            ]
            for name in figures.subjects()
        ]
        head = [f"tensors {words}, per second", "bare framework", *_clients(numbers)]
        head += ["4 clients ÷ bare", "cores the clients took"]
        lines += [*table(head, rows), ""]
    return lines[:-1]


def _tail(figures: Figures) -> list[str]:
    rows = []
    for name in figures.subjects():
        for pattern, words in (("even", "evenly spaced"), ("poisson", "independent users (Poisson)")):
            p50, p99 = (figures.spread(name, f"{pattern}_{part}_ms") for part in ("p50", "p99"))
            ratio = figures.ratio((name, f"{pattern}_p99_ms"), (name, f"{pattern}_p50_ms"))
            late = shown(figures.spread(name, f"{pattern}_lag_ms"), ".1f")
            rows.append([name, words, shown(p50, ".1f"), shown(p99, ".1f"), shown(ratio), late])
    head = ["model", "arrivals", "p50 ms", "p99 ms", "p99 ÷ p50", "latest that the generator was, ms"]
    return [
        *table(head, rows),
        "",
        _OF_ARRIVALS,
    ]


def _overload(figures: Figures) -> list[str]:
    rows = [
        [
            name,
            shown(figures.spread(name, "saturated"), ".1f"),
            shown(figures.spread(name, "goodput"), ".1f"),
            *(shown(figures.spread(name, f"{fate}_share"), ".0%") for fate in ("refused", "late", "failed")),
            shown(figures.spread(name, "p50_ms"), ".0f"),
            shown(figures.spread(name, "p99_refusal_ms"), ".1f"),
            shown(figures.spread(name, "longest_refusal_ms"), ".1f"),
        ]
        for name in figures.subjects()
    ]
    head = ["model", "saturated, per second", "answers in time, per second", "refused", "late", "failed"]
    return table([*head, "p50 of answers, ms", "p99 until refused, ms", "longest until refused, ms"], rows)


def _start(figures: Figures) -> list[str]:
    return table(
        ["model", "seconds until ready"], [[n, shown(figures.spread(n, "ready_s"))] for n in figures.subjects()]
    )


def _memory(figures: Figures) -> list[str]:
    rows = []
    for name in figures.subjects():
        taken = figures.values(name, "resident_mb")
        tenths = [taken[(len(taken) - 1) * tenth // 10] for tenth in (0, 1, 2, 4, 6, 8, 10)]
        rows.append([name, *(f"{value:.0f}" for value in tenths)])
    return table(["resident MB after", "nothing", "10 %", "20 %", "40 %", "60 %", "80 %", "all"], rows)


def _tiny(figures: Figures) -> list[str]:
    quantity = f"requests_{SATURATED}"
    rows = [
        [
            name,
            shown(figures.spread(name, quantity), ".0f"),
            *(shown(figures.spread(name, f"{quantity}_{part}_ms"), ".2f") for part in ("p50", "p99")),
            *(shown(figures.spread(name, f"{quantity}_{part}")) for part in ("cores", "client_cores")),
        ]
        for name in figures.subjects()
    ]
    head = ["server", "requests per second", "p50 ms", "p99 ms", "cores the server took", "cores the clients took"]
    return table(head, rows)


def _peers(figures: Figures) -> list[str]:
    quantity = f"images_{SATURATED}"
    rows = [
        [
            name,
            shown(figures.spread(name, quantity), ".1f"),
            shown(figures.ratio(("pasarela", quantity), (name, quantity))),
            *(shown(figures.spread(name, f"images_1_{part}_ms"), ".1f") for part in ("p50", "p99")),
            shown(figures.ratio(("pasarela", "images_1_p50_ms"), (name, "images_1_p50_ms"))),
            shown(figures.spread(name, "idle_cores"), ".3f"),
        ]
        for name in figures.subjects()
    ]
    head = ["server", f"images per second, {SATURATED} clients", "Pasarela ÷ it", "one client: p50 ms", "p99 ms"]
    return table([*head, "Pasarela's p50 ÷ its", "cores it takes when idle"], rows)


def _peers_raw(figures: Figures) -> list[str]:
    rows = [
        [
            name,
            shown(figures.spread(name, "tensors_4"), ".1f"),
            shown(figures.ratio(("pasarela", "tensors_4"), (name, "tensors_4"))),
        ]
        for name in figures.subjects()
    ]
    return table(["server", "tensors per second, 4 clients", "Pasarela ÷ it"], rows)


_SECTIONS: dict[str, tuple[str, Callable[[Figures], list[str]]]] = {
    "jpeg": ("Images in, detections out", _jpeg),
    "raw": ("Float tensors in and out", _raw),
    "tail": ("At 80 % of the saturated load", _tail),
    "overload": ("At twice the saturated load", _overload),
    "tiny": ("A model that does nothing", _tiny),
    "start": ("Starting", _start),
    "memory": ("Memory", _memory),
    "peers": ("Other servers: images in, detections out", _peers),
    "peers-raw": ("Other servers: float tensors, ONNX Runtime", _peers_raw),
}
