"""Writes docs/grafana-dashboard.json: `python -m tools.docs.grafana`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.docs.marked import write

DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana-dashboard.json"

Json = dict[str, Any]

COLUMNS = 24
HEIGHT = 8
SOURCE = {"type": "prometheus", "uid": "${source}"}
# What the two choices at the top of the page narrow every query down to.
DEVICE = 'instance=~"$instance"'
CAMERA = f'{DEVICE},camera=~"$camera"'
RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Query:
    """One set of lines: what Prometheus is asked, and what each line is called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        title: Above it.
        unit: Grafana's word for the unit.
        queries: What is shown.
        text: What somebody should make of it.
        kind: `timeseries` or `stat`.
        width: Of 24 columns.
    """

    title: str
    unit: str
    queries: Sequence[Query]
    text: str = ""
    kind: str = "timeseries"
    width: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: Sequence[Panel]


def _rate(metric: str, labels: str = CAMERA) -> str:
    return f"rate(camera_app_{metric}{{{labels}}}{RATE})"


def _quantile(share: float, metric: str, by: str, labels: str) -> str:
    return f"histogram_quantile({share}, sum by ({by}, le) ({_rate(metric + '_bucket', labels)}))"


def _now(metric: str, labels: str = DEVICE) -> str:
    return f"camera_app_{metric}{{{labels}}}"


ROWS = (
    Row(
        "Is all well",
        (
            Panel(
                "Ready",
                "bool_yes_no",
                [Query(_now("ready"), "{{instance}}")],
                "It can see and deliver.",
                kind="stat",
                width=4,
            ),
            Panel(
                "Cameras that deliver",
                "none",
                [Query(f"sum({_now('camera_delivering', CAMERA)})", "cameras")],
                kind="stat",
                width=4,
            ),
            Panel(
                "Blind, last hour",
                "s",
                [Query(f"sum(increase({_now('blind_seconds_total', CAMERA)}[1h]))", "blind")],
                "Frames came and nothing looked.",
                kind="stat",
                width=4,
            ),
            Panel(
                "Untold changes",
                "none",
                [Query(_now("outbox_changes"), "{{instance}}")],
                "Changes that no broker has acknowledged yet.",
                kind="stat",
                width=4,
            ),
            Panel(
                "Edge TPUs in use",
                "none",
                [Query(_now("accelerators_in_use"), "{{instance}}")],
                kind="stat",
                width=4,
            ),
            Panel(
                "Version",
                "none",
                [Query(_now("build_info"), "{{version}}")],
                kind="stat",
                width=4,
            ),
        ),
    ),
    Row(
        "Cameras",
        (
            Panel(
                "Frames that came",
                "cps",
                [Query(_rate("frames_captured_total"), "{{camera}}")],
            ),
            Panel(
                "Frames looked at",
                "cps",
                [Query(_rate("frames_looked_at_total"), "{{camera}}")],
            ),
            Panel(
                "Frames shed, by reason",
                "cps",
                [Query(f"sum by (reason) ({_rate('frames_shed_total')})", "{{reason}}")],
                "`still` is a quiet scene; anything else is too much to do, or a fault.",
            ),
            Panel(
                "Blind seconds a second",
                "percentunit",
                [Query(_rate("blind_seconds_total"), "{{camera}}")],
            ),
            Panel(
                "Latency, 19 of 20 frames",
                "s",
                [Query(_quantile(0.95, "frame_latency_seconds", "camera", CAMERA), "{{camera}}")],
            ),
            Panel(
                "Where the time goes, on average",
                "s",
                [
                    Query(
                        f"sum by (step) ({_rate('frame_step_seconds_sum')}) / "
                        f"sum by (step) ({_rate('frame_step_seconds_count')})",
                        "{{step}}",
                    )
                ],
            ),
            Panel(
                "Lost and started again, an hour",
                "none",
                [
                    Query(
                        f"sum by (camera, reason) (increase({_now('camera_lost_total', CAMERA)}"
                        "[1h])) > 0",
                        "{{camera}}: {{reason}}",
                    ),
                    Query(
                        f"increase({_now('camera_restarts_total', CAMERA)}[1h]) > 0",
                        "{{camera}}: started again",
                    ),
                ],
            ),
            Panel(
                "Left out before they counted",
                "cps",
                [
                    Query(
                        f"sum by (camera, reason) ({_rate('camera_frames_dropped_total')})",
                        "{{camera}}: {{reason}}",
                    )
                ],
            ),
            Panel("Open events", "none", [Query(_now("events_open", CAMERA), "{{camera}}")]),
        ),
    ),
    Row(
        "Networks",
        (
            Panel(
                "Answers",
                "cps",
                [Query(_rate("device_answers_total", DEVICE), "{{device}}")],
            ),
            Panel(
                "Time inside the network, 19 of 20",
                "s",
                [
                    Query(
                        _quantile(0.95, "device_step_seconds", "device", f'{DEVICE},step="invoke"'),
                        "{{device}}",
                    )
                ],
            ),
            Panel(
                "Waiting for a device, 19 of 20",
                "s",
                [
                    Query(
                        _quantile(0.95, "request_queue_seconds", "instance", DEVICE), "{{instance}}"
                    )
                ],
            ),
            Panel(
                "Devices out of use",
                "none",
                [
                    Query(
                        _now("device_condition", f'{DEVICE},condition="broken"') + " == 1",
                        "{{device}}",
                    )
                ],
            ),
            Panel(
                "Less than was asked for",
                "none",
                [
                    Query(_now("degraded") + " == 1", "{{reason}}"),
                    Query(_now("model_rung"), "steps to smaller models"),
                ],
            ),
            Panel(
                "Lost Edge TPUs, failures and second asks",
                "none",
                [
                    Query(f"increase({_now('fallbacks_total')}[1h])", "lost"),
                    Query(
                        f"sum by (device) (increase({_now('device_failures_total')}[1h]))",
                        "failures of {{device}}",
                    ),
                    Query(f"increase({_now('hedges_total')}[1h])", "asked twice"),
                ],
            ),
        ),
    ),
    Row(
        "Events on their way",
        (
            Panel(
                "Changes",
                "cps",
                [
                    Query(_rate("changes_committed_total", DEVICE), "written"),
                    Query(_rate("changes_acknowledged_total", DEVICE), "acknowledged"),
                ],
            ),
            Panel(
                "From disk to acknowledged, 19 of 20",
                "s",
                [
                    Query(
                        _quantile(0.95, "delivery_lag_seconds", "instance", DEVICE), "{{instance}}"
                    )
                ],
            ),
            Panel(
                "Age of the oldest untold change",
                "s",
                [Query(_now("outbox_oldest_age_seconds"), "{{instance}}")],
            ),
            Panel(
                "Never told, an hour",
                "none",
                [
                    Query(
                        f"sum by (reason) (increase({_now('changes_untold_total')}[1h]))",
                        "{{reason}}",
                    )
                ],
                "A gap is told in their place.",
            ),
            Panel(
                "Transactions, 19 of 20",
                "s",
                [Query(_quantile(0.95, "commit_seconds", "instance", DEVICE), "{{instance}}")],
            ),
            Panel(
                "Connections to the broker that were lost, an hour",
                "none",
                [Query(f"increase({_now('broker_reconnects_total')}[1h])", "{{instance}}")],
            ),
        ),
    ),
    Row(
        "The machine",
        (
            Panel(
                "Written to disk or card, a day",
                "bytes",
                [
                    Query(
                        f"sum by (instance) (increase({_now('process_storage_bytes_total')}[1d]))",
                        "all, as the kernel counts",
                    ),
                    Query(f"increase({_now('written_bytes_total')}[1d])", "{{part}}"),
                ],
                "What an SD card wears by.",
            ),
            Panel(
                "Memory",
                "bytes",
                [Query(_now("process_memory_bytes"), "{{process}}")],
            ),
            Panel(
                "Processor, cores",
                "none",
                [
                    Query(_rate("process_cpu_seconds_total", DEVICE), "{{process}}"),
                    Query(_now("cpu_others_ratio"), "others, share of all"),
                ],
            ),
            Panel(
                "Temperature",
                "celsius",
                [
                    Query(_now("temperature_celsius"), "processor"),
                    Query(_now("device_temperature_celsius"), "{{device}}"),
                ],
            ),
            Panel(
                "Held down, or short of power",
                "bool_yes_no",
                [
                    Query(_now("throttled"), "throttled"),
                    Query(_now("under_voltage"), "under voltage"),
                ],
            ),
            Panel(
                "Free space, database and films",
                "bytes",
                [
                    Query(_now("disk_free_bytes"), "free"),
                    Query(f"sum({_now('films_size_bytes', CAMERA)})", "films"),
                    Query(_now("store_size_bytes"), "database"),
                ],
            ),
            Panel(
                "Open files and threads",
                "none",
                [
                    Query(f"sum({_now('process_open_fds')})", "files"),
                    Query(f"sum({_now('process_threads')})", "threads"),
                ],
                "Flat, whatever happens.",
            ),
            Panel(
                "Lines of the log",
                "cps",
                [
                    Query(
                        f"sum by (level) ({_rate('log_lines_total', DEVICE)})",
                        "{{level}}",
                    ),
                    Query(_rate("log_lines_withheld_total", DEVICE), "withheld"),
                ],
            ),
        ),
    ),
)


def dashboard() -> Json:
    """Return the dashboard as Grafana imports it."""
    return {
        "title": "camera_app",
        "uid": "camera-app",
        "tags": ["camera_app"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_choices())},
        "panels": list(_panels()),
    }


def _choices() -> Iterator[Json]:
    yield {
        "name": "source",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }
    for name, metric in (("instance", "ready"), ("camera", "frames_captured_total")):
        query = f"label_values(camera_app_{metric}, {name})"
        yield {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "definition": query,
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }


def _panels() -> Iterator[Json]:
    number, top = 1, 0
    for row in ROWS:
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        yield {"id": number, "type": "row", "title": row.title, "gridPos": place, "panels": []}
        number, top, left = number + 1, top + 1, 0
        for panel in row.panels:
            height = HEIGHT if panel.kind == "timeseries" else HEIGHT // 2
            if left + panel.width > COLUMNS:
                top, left = top + height, 0
            place = {"h": height, "w": panel.width, "x": left, "y": top}
            yield {"id": number, "gridPos": place, **_panel(panel)}
            number, left = number + 1, left + panel.width
        top += height


def _panel(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
            }
            for number, query in enumerate(panel.queries)
        ],
    }


def text() -> str:
    """Return the file."""
    return json.dumps(dashboard(), indent=2) + "\n"


def main() -> None:
    """Write the file and say so."""
    write(DASHBOARD, text())


if __name__ == "__main__":
    main()
