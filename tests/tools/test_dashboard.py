"""The dashboard and the alert rules ask for metrics, labels and words that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from camera_app.health.metrics import CATALOGUE, metrics_page
from tests.health.metrics.figures import scrape
from tools.docs import grafana, metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
ALERTS = DOCS / "prometheus-alerts.yml"
ADDED_BY_PROMETHEUS = {"instance", "job"}


def panels() -> list[dict[str, Any]]:
    board = json.loads(grafana.DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    yield from (rule["expr"] for rule in rules())
    board = json.loads(grafana.DASHBOARD.read_text(encoding="utf-8"))
    yield from (one["definition"] for one in board["templating"]["list"] if "definition" in one)


def asked_metrics() -> set[str]:
    """Return the name of every series that the dashboard or a rule asks for."""
    return {name for one in expressions() for name in re.findall(r"camera_app_\w+", one)}


@pytest.fixture(scope="module")
def series() -> dict[str, list[dict[str, str]]]:
    """Labels of every series on the page, by its name."""
    told: dict[str, list[dict[str, str]]] = {}
    family: Family
    for family in text_string_to_metric_families(metrics_page(scrape()).decode()):
        for sample in family.samples:
            told.setdefault(sample.name, []).append(sample.labels)
    return told


def test_the_generated_files_are_current() -> None:
    assert grafana.DASHBOARD.read_text(encoding="utf-8") == grafana.text(), "run `make docs`"
    page = metrics.PAGE.read_text(encoding="utf-8")
    assert page == metrics.page(page), "run `make docs`"
    assert all(f"`{metric.name}`" in page for metric in CATALOGUE)


def test_every_metric_that_is_asked_for_is_there(series: dict[str, list[dict[str, str]]]) -> None:
    assert sorted(asked_metrics() - set(series)) == []
    assert len(asked_metrics()) > 40


def test_every_label_and_word_that_is_asked_for_is_there(
    series: dict[str, list[dict[str, str]]],
) -> None:
    wrong = []
    for expression in expressions():
        for name, matchers in re.findall(r"(camera_app_\w+)\{([^}]*)\}", expression):
            for label, _, words in re.findall(r'(\w+)(=~|=)"([^"]*)"', matchers):
                known = {labels.get(label) for labels in series[name]} - {None}
                if label in ADDED_BY_PROMETHEUS or (known and words.startswith("$")):
                    continue
                wrong += [(name, label, word) for word in words.split("|") if word not in known]
    assert wrong == []


def test_every_label_that_is_shown_or_summed_by_is_there(
    series: dict[str, list[dict[str, str]]],
) -> None:
    wrong = []
    shown = [
        (target["expr"], re.findall(r"{{\s*(\w+)\s*}}", target["legendFormat"]))
        for panel in panels()
        for target in panel["targets"]
    ]
    summed = [
        (
            one,
            [
                label.strip()
                for group in re.findall(r"by \(([^)]*)\)", one)
                for label in group.split(",")
            ],
        )
        for one in expressions()
    ]
    for expression, labels in shown + summed:
        names = re.findall(r"camera_app_\w+", expression)
        known = {key for name in names for one in series[name] for key in one}
        known |= ADDED_BY_PROMETHEUS
        wrong += [(expression, label) for label in labels if label not in known]
    assert wrong == []


def test_no_panel_is_empty_or_lies_on_another() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["targets"], panel["title"]
        assert all(target["expr"].strip() for target in panel["targets"]), panel["title"]
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in own) < grafana.COLUMNS
        assert not own & cells, panel["title"]
        cells |= own
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_every_alert_says_what_is_wrong_and_where() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert re.search(r"\$labels\.\w+", rule["annotations"]["summary"]), rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
