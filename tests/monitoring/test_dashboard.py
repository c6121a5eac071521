"""The dashboard as far as it can be known without Prometheus; `make monitoring-check` asks one for each of its panels."""

import copy
import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

MONITORING = Path(__file__).parents[2] / "server" / "monitoring"
SHIPPED = json.loads((MONITORING / "grafana" / "dashboards" / "pasarela.json").read_text())
PANELS = [panel for panel in SHIPPED["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def builder():
    specification = importlib.util.spec_from_file_location("build_dashboard", MONITORING / "grafana/build_dashboard.py")
    module = importlib.util.module_from_spec(specification)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "build_dashboard", module)
        specification.loader.exec_module(module)
        yield module


def lost(given, kept, where="dashboard"):
    """What a reader of dashboards has not understood: settings that are not there when it writes them again."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            if name in kept:
                yield from lost(value, kept[name], f"{where}.{name}")
            elif value not in ([], {}, None):
                yield f"{where}.{name}"
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, pair in enumerate(zip(given, kept, strict=True)):
            yield from lost(*pair, f"{where}[{index}]")
    elif given != kept:
        yield where


def read_again(dashboard):
    """What Grafana's own types of that version keep of it, those of each kind of panel and of Prometheus included."""
    register_default_plugins()
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(copy.deepcopy(dashboard))))


def test_it_is_what_the_builder_writes(builder):
    assert builder.OUTPUT.read_text() == builder.text(), "make docs writes it"


def test_grafanas_types_know_every_setting():
    assert list(lost(SHIPPED, read_again(SHIPPED))) == []


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (lambda dashboard: dashboard, "timezoone"),  # reason: no setting of a dashboard
        (lambda dashboard: dashboard["panels"][1]["options"], "colourMode"),  # reason: none of that kind of panel
        (
            lambda dashboard: dashboard["panels"][8]["fieldConfig"]["defaults"]["custom"],
            "fill",
        ),  # reason: none of a line
        (lambda dashboard: dashboard["panels"][8]["targets"][0], "expression"),  # reason: none of a query
    ],
)
def test_a_setting_that_does_not_exist_would_be_found(place, name):
    wrong = copy.deepcopy(SHIPPED)
    place(wrong)[name] = "x"
    assert [each.rpartition(".")[2] for each in lost(wrong, read_again(wrong))] == [name]


def test_panels_lie_side_by_side_without_a_gap_between_them():
    cells = [
        (x, y)
        for panel in SHIPPED["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    numbers = [panel["id"] for panel in SHIPPED["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_panel_says_what_it_shows_in_which_unit():
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]


def test_it_is_where_grafana_looks_for_it_and_asks_the_source_that_is_there():
    compose = yaml.safe_load((MONITORING.parents[1] / "compose.yaml").read_text())["services"]
    mounts = dict(volume.split(":")[:2] for volume in compose["grafana"]["volumes"])
    provider = yaml.safe_load((MONITORING / "grafana/provisioning/dashboards/pasarela.yml").read_text())["providers"][0]
    assert mounts["./server/monitoring/grafana/dashboards"] == provider["options"]["path"]
    (source,) = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    variables = {variable["name"]: variable for variable in SHIPPED["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    asked = {panel["datasource"]["uid"] for panel in PANELS} | {
        each["datasource"]["uid"] for panel in PANELS for each in panel["targets"]
    }
    assert asked == {"${datasource}"}
    used = set(re.findall(r"\$(\w+)", json.dumps([panel["targets"] for panel in PANELS]))) - {"__rate_interval"}
    assert used == variables.keys() - {"datasource"}
    scraped = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    assert [job["job_name"] for job in scraped] == ["pasarela"], "alerts name that job"


def test_panels_and_alerts_ask_for_metrics_that_the_page_explains():
    """What stands there is there, says tests/docs/test_observing_page.py."""
    page = (MONITORING.parents[1] / "docs" / "observing.md").read_text()
    explained = set(re.findall(r"`((?:nv|pasarela|process)_\w+)`", page))
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    queries = [rule["expr"] for rule in rules] + [each["expr"] for panel in PANELS for each in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"\b(?:nv|pasarela|process)_\w+", query)}
    parts = re.compile(r"_(bucket|sum|count)$")
    assert {name for name in asked if name not in explained and parts.sub("", name) not in explained} == set()
