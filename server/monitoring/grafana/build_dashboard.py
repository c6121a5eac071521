"""Writes dashboards/pasarela.json: `make docs`. What each panel shows stands here; a test compares the two."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).with_name("dashboards") / "pasarela.json"
GPU_ONLY = "Only with a GPU of NVIDIA."
"""In the description of panels that are empty without one."""

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_S = 'instance=~"$instance",model=~"$model",version=~"$version"'
_I = 'instance=~"$instance"'
_R = "[$__rate_interval]"
_COLUMNS = 24


@dataclass(frozen=True)
class Panel:
    """One picture."""

    title: str
    description: str
    queries: Mapping[str, str]
    """By the legend of its series: `{{label}}` stands for a label's value."""
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Of all its series."""
    custom: Mapping[str, Any] = field(default_factory=dict)
    """How a time series is drawn."""
    options: Mapping[str, Any] = field(default_factory=dict)


def _quantile(quantile: float, by: str = "", matching: str = ',stage="request"') -> str:
    buckets = f"rate(pasarela_request_stage_seconds_bucket{{{_S}{matching}}}{_R})"
    return f"histogram_quantile({quantile}, sum by (le{by}) ({buckets}))"


def _stat(title: str, description: str, query: str, unit: str = "short", **more: Any) -> Panel:
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "auto",
        "textMode": "auto",
        "colorMode": more.pop("color_mode", "value"),
        "graphMode": "area",
        "justifyMode": "auto",
    }
    return Panel(title, description, {"": query}, unit, "stat", 4, 4, more, options=options)


def _thresholds(*steps: tuple[str, float | None]) -> dict[str, Any]:
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def _heatmap(title: str, description: str, query: str, unit: str, *, decimals: int) -> Panel:
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 64, "fill": "blue", "exponent": 0.5, "reverse": False},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit, "decimals": decimals},
    }
    return Panel(title, description, {"{{le}}": query}, "short", "heatmap", options=options)


_SUCCESS = f"rate(nv_inference_request_success{{{_S}}}{_R})"
_FAILURE = f"rate(nv_inference_request_failure{{{_S}}}{_R})"
_STACKED = {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 35}
_SHARE = {"min": 0, "max": 1}

ROWS: Mapping[str, Sequence[Panel]] = {
    "Overview": [
        _stat(
            "Ready",
            "Whether the server answers requests, as /readyz says.",
            f"min(pasarela_ready{{{_I}}})",
            color_mode="background",
            mappings=[
                {
                    "type": "value",
                    "options": {
                        "0": {"text": "NOT READY", "color": "red", "index": 0},
                        "1": {"text": "READY", "color": "green", "index": 1},
                    },
                }
            ],
            thresholds=_thresholds(("red", None), ("green", 1)),
        ),
        _stat(
            "Versions that are not ready",
            "Of the models in the repository; why, the index of the repository says.",
            f"count(pasarela_model_ready{{{_S}}} == 0) or vector(0)",
            thresholds=_thresholds(("green", None), ("orange", 1)),
        ),
        _stat("Requests", "That were answered.", f"sum({_SUCCESS})", "reqps"),
        _stat(
            "Failures",
            "Share of the requests that failed, for whatever reason.",
            f"(sum({_FAILURE}) or vector(0)) / clamp_min((sum({_SUCCESS}) or vector(0)) + "
            f"(sum({_FAILURE}) or vector(0)), 1e-9)",
            "percentunit",
            thresholds=_thresholds(("green", None), ("orange", 0.01), ("red", 0.05)),
        ),
        _stat(
            "p99",
            "Of a hundred requests, 99 were answered within this time, from their arrival at the server on.",
            _quantile(0.99),
            "s",
        ),
        _stat("Open streams", "Streams that clients have open.", f"sum(pasarela_open_streams{{{_I}}}) or vector(0)"),
        Panel(
            "Requests",
            "Requests that were answered.",
            {"{{model}} {{version}}": f"sum by (model, version) ({_SUCCESS})"},
            "reqps",
        ),
        Panel(
            "Failures by reason",
            "REJECTED: the queue was full, a deadline could not be met, or the server was stopping. CANCELED: the "
            "client went away. BACKEND: the framework raised. OTHER: mostly requests that were wrong.",
            {"{{reason}}": f"sum by (reason) ({_FAILURE})"},
            "reqps",
            custom=_STACKED,
        ),
        Panel(
            "Latency",
            "From the arrival of a request at the server until its reply is built.",
            {f"p{100 * quantile:g}": _quantile(quantile) for quantile in (0.5, 0.95, 0.99)},
            "s",
        ),
        Panel(
            "Open and waiting",
            "Open: being answered. Pending: of these, waiting for an instance of their model.",
            {
                "open": f"sum(pasarela_open_requests{{{_S}}})",
                "pending": f"sum(nv_inference_pending_request_count{{{_S}}})",
            },
            width=12,
        ),
        Panel(
            "Open streams",
            "By method.",
            {"{{method}}": f"sum by (method) (pasarela_open_streams{{{_I}}})"},
            width=12,
        ),
    ],
    "Where the time goes": [
        Panel(
            "Mean time by stage",
            "What each stage adds to the mean request, in the order in which a request passes them.",
            {
                "{{stage}}": f'sum by (stage) (rate(pasarela_request_stage_seconds_sum{{{_S},stage!="request"}}{_R})) '
                "/ on () group_left () "
                f'sum(rate(pasarela_request_stage_seconds_count{{{_S},stage="request"}}{_R}))'
            },
            "s",
            width=12,
            height=9,
            custom=_STACKED,
        ),
        Panel(
            "p99 by stage",
            "Of a hundred requests that pass a stage, 99 pass it within this time.",
            {"{{stage}}": _quantile(0.99, ", stage", ',stage!="request"')},
            "s",
            width=12,
            height=9,
        ),
    ],
    "Batching": [
        Panel(
            "Mean rows of a batch",
            "Rows that were executed, by executions.",
            {
                "{{model}} {{version}}": f"sum by (model, version) (rate(nv_inference_count{{{_S}}}{_R})) / "
                f"sum by (model, version) (rate(nv_inference_exec_count{{{_S}}}{_R}))"
            },
            width=6,
        ),
        _heatmap(
            "Rows of the batches that requests travelled in",
            "How many requests travelled in batches of so many rows.",
            f"sum by (le) (increase(pasarela_batch_rows_bucket{{{_S}}}{_R}))",
            "short",
            decimals=0,
        ),
        Panel(
            "Why batches were closed",
            "full, preferred: enough came. delay, deadline: it waited for more. idle: an instance was free. alone: "
            "the model merges nothing.",
            {"{{reason}}": f"sum by (reason) (rate(pasarela_batches_closed{{{_S}}}{_R}))"},
            "ops",
            custom=_STACKED,
        ),
        Panel(
            "Batches by instance",
            "An instance far below the others is idle: the model has more than it needs.",
            {
                "{{model}} {{version}} #{{exported_instance}}": "sum by (model, version, exported_instance) "
                f"(rate(pasarela_instance_batches{{{_S}}}{_R}))"
            },
            "ops",
        ),
    ],
    "Quality": [
        Panel(
            "mAP of each version",
            "At IoU 0.50:0.95, as measured when the version was published.",
            {"{{model}} {{version}} {{split}}": f"max by (model, version, split) (pasarela_model_map{{{_S}}})"},
            "percentunit",
            "bargauge",
            6,
            defaults={**_SHARE, "thresholds": _thresholds(("blue", None))},
            options={
                "displayMode": "basic",
                "orientation": "horizontal",
                "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
                "showUnfilled": True,
                "valueMode": "color",
                "minVizWidth": 8,
                "minVizHeight": 16,
                "namePlacement": "auto",
                "sizing": "auto",
            },
        ),
        Panel(
            "Objects by class",
            "A class that vanishes, or a new one, says that the pictures have changed.",
            {"{{class}}": f"sum by (class) (rate(pasarela_detections{{{_S}}}{_R}))"},
            "ops",
            custom=_STACKED,
        ),
        _heatmap(
            "Confidence",
            "How sure the detector was of the objects that it found.",
            f"sum by (le) (increase(pasarela_detection_confidence_bucket{{{_S}}}{_R}))",
            "short",
            decimals=2,
        ),
        Panel(
            "Mean confidence",
            "When it falls, the pictures are no longer those that the model was trained on.",
            {
                "{{model}} {{version}}": "sum by (model, version) "
                f"(rate(pasarela_detection_confidence_sum{{{_S}}}{_R})) / sum by (model, version) "
                f"(rate(pasarela_detection_confidence_count{{{_S}}}{_R}))"
            },
            "percentunit",
            defaults=_SHARE,
        ),
    ],
    "Machine": [
        Panel(
            "Processor",
            "All cores of the machine, whoever uses them.",
            {"{{instance}}": f"nv_cpu_utilization{{{_I}}}"},
            "percentunit",
            defaults=_SHARE,
        ),
        Panel(
            "Processor time of the server",
            "Cores that its processes keep busy.",
            {"{{process}}": f"sum by (process) (rate(pasarela_processes_cpu_seconds{{{_I}}}{_R}))"},
            "short",
            custom=_STACKED,
        ),
        Panel(
            "Memory of the server",
            "Resident memory of its processes, and what the machine has and uses.",
            {
                "{{process}}": f"sum by (process) (pasarela_processes_resident_memory_bytes{{{_I}}})",
                "machine, used": f"sum(nv_cpu_memory_used_bytes{{{_I}}})",
                "machine, all": f"sum(nv_cpu_memory_total_bytes{{{_I}}})",
            },
            "bytes",
        ),
        Panel(
            "GPU",
            f"How busy each GPU is. {GPU_ONLY}",
            {"{{gpu_uuid}}": f"nv_gpu_utilization{{{_I}}}"},
            "percentunit",
            defaults=_SHARE,
        ),
        Panel(
            "Memory of the GPU",
            f"Used, of what there is. {GPU_ONLY}",
            {
                "{{gpu_uuid}} used": f"nv_gpu_memory_used_bytes{{{_I}}}",
                "{{gpu_uuid}} all": f"nv_gpu_memory_total_bytes{{{_I}}}",
            },
            "bytes",
        ),
        Panel(
            "Power of the GPU",
            f"Drawn, and the most that may be. {GPU_ONLY}",
            {"{{gpu_uuid}}": f"nv_gpu_power_usage{{{_I}}}", "{{gpu_uuid}} limit": f"nv_gpu_power_limit{{{_I}}}"},
            "watt",
        ),
        Panel(
            "File descriptors",
            "Open ones of the main process, and how many it may have.",
            {"open": f"sum(process_open_fds{{{_I}}})", "limit": f"sum(process_max_fds{{{_I}}})"},
        ),
        Panel(
            "Up since",
            "How long the main process runs: a fall to 0 is a restart.",
            {"{{instance}}": f"time() - process_start_time_seconds{{{_I}}}"},
            "s",
        ),
        Panel(
            "Versions",
            "What runs where.",
            {"{{instance}}: {{version}}": f"pasarela_build_info{{{_I}}}"},
            kind="stat",
            options={
                "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
                "orientation": "horizontal",
                "textMode": "name",
                "colorMode": "none",
                "graphMode": "none",
                "justifyMode": "auto",
            },
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(_row(title, len(panels) + 1, top))
        top += 1
        left = height = 0
        for panel in row:
            if left + panel.width > _COLUMNS:
                left, top = 0, top + height
            panels.append(_panel(panel, len(panels) + 1, left, top))
            left, height = left + panel.width, panel.height
        top += height
    return {
        "uid": "pasarela",
        "title": "Pasarela",
        "description": "What a Pasarela server answers, how fast, where the time goes, and what it finds.",
        "tags": ["pasarela"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "schemaVersion": 40,
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Source",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {"text": "Prometheus", "value": "prometheus"},
                    "hide": 0,
                    "refresh": 1,
                },
                _variable("instance", "Server", "pasarela_build_info"),
                _variable("model", "Model", f"pasarela_model_ready{{{_I}}}"),
                _variable("version", "Version", f'pasarela_model_ready{{{_I},model=~"$model"}}'),
            ]
        },
        "panels": panels,
    }


def _variable(name: str, label: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "hide": 0,
        "refresh": 2,
        "sort": 1,
    }


def _row(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
    return {"type": "row", "id": number, "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, left: int, top: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, **panel.defaults}
    options: Mapping[str, Any] = panel.options
    if panel.kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 10,
            "showPoints": "never",
            "spanNulls": False,
            **panel.custom,
        }
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": left, "y": top},
        "targets": [_target(panel, *each) for each in enumerate(panel.queries.items())],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": dict(options),
    }


def _target(panel: Panel, index: int, said: tuple[str, str]) -> dict[str, Any]:
    legend, query = said
    target: dict[str, Any] = {
        "refId": chr(ord("A") + index),
        "datasource": _SOURCE,
        "expr": query,
        "legendFormat": legend or "__auto",
        "editorMode": "code",
        "range": True,
    }
    return {**target, "format": "heatmap"} if panel.kind == "heatmap" else target


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(text())
