"""What Prometheus reads, by its own parser: every figure, by the rules for names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from camera_app.health.metrics import CATALOGUE, Kind, Scrape, metrics_page
from camera_app.health.metrics.catalogue import PREFIX
from camera_app.pipeline import ShedReason
from tests.health.metrics import figures
from tests.health.metrics.figures import scrape, without_broker


def families(told: Scrape) -> dict[str, Family]:
    text = metrics_page(told).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.fixture(scope="module")
def page() -> dict[str, Family]:
    return families(scrape())


def value(page: dict[str, Family], sample: str, **labels: str) -> float:
    [found] = [
        one.value
        for family in page.values()
        for one in family.samples
        if one.name == PREFIX + sample and labels.items() <= one.labels.items()
    ]
    return float(found)


def test_every_metric_of_the_catalogue_is_on_the_page(page: dict[str, Family]) -> None:
    told = {sample.name for family in page.values() for sample in family.samples}
    missing = [
        metric.name
        for metric in CATALOGUE
        if (f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name) not in told
    ]
    assert missing == []
    assert len(page) == len(CATALOGUE)


def test_kind_help_and_labels_are_those_of_the_catalogue(page: dict[str, Family]) -> None:
    for metric in CATALOGUE:
        family = page[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind.value, metric.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), sample


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in CATALOGUE:
        assert re.fullmatch(r"camera_app_[a-z0-9_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        if metric.kind is Kind.HISTOGRAM:
            assert metric.name.endswith("_seconds"), metric.name
        assert not re.search(r"_(ms|milliseconds|percent|megabytes|kb|mb)(_|$)", metric.name)
        assert metric.help.endswith("."), metric.name
    names = [metric.name for metric in CATALOGUE]
    assert len(set(names)) == len(names)


def test_figures_arrive_as_they_are(page: dict[str, Family]) -> None:
    """A sample of each part; 1.7e9 s and 1 s before, because the look was a second ago."""
    assert value(page, "frames_captured_total", camera="front") == 100
    assert value(page, "frames_shed_total", camera="back", reason="busy") == 9
    assert value(page, "frames_shed_total", camera="back", reason="failed") == 0
    assert value(page, "camera_last_look_timestamp_seconds", camera="front") == 1.7e9 - 1
    assert value(page, "device_condition", device="usb:1-1", condition="suspect") == 1
    assert value(page, "device_condition", device="usb:1-1", condition="healthy") == 0
    assert value(page, "device_openings_total", device="usb:1-1") == 4
    assert value(page, "accelerators_in_use") == 1
    assert value(page, "degraded", reason="heat") == 1
    assert value(page, "degraded", reason="overload") == 0
    assert value(page, "changes_untold_total", reason="disk") == 3
    assert value(page, "changes_untold_total", reason="retention") == 6
    assert value(page, "changes_untold_total", reason="refused") == 7
    assert value(page, "outbox_oldest_age_seconds") == 12
    assert value(page, "broker_state", state="connected") == 1
    assert value(page, "written_bytes_total", part="database") == 8192
    assert value(page, "written_bytes_total", part="snapshots") == 2 * 12_345
    assert value(page, "written_bytes_total", part="films") == 2 * 70_000
    assert value(page, "recording_state", camera="front", state="filming") == 1
    assert value(page, "recording_state", camera="front", state="off") == 0
    assert value(page, "process_memory_bytes", process="service") == 1000
    assert value(page, "log_lines_total", level="error") == 1
    assert value(page, "log_lines_withheld_total") == 132
    assert value(page, "build_info", version="1.2.3") == 1


def test_buckets_count_all_below_them(page: dict[str, Family]) -> None:
    labels = {"camera": "front"}
    for end, count in (("0.01", 3), ("0.1", 7), ("+Inf", 9)):
        assert value(page, "frame_latency_seconds_bucket", le=end, **labels) == count
    assert value(page, "frame_latency_seconds_count", **labels) == 9
    assert value(page, "frame_latency_seconds_sum", **labels) == 1.5


def test_no_frame_is_missing_among_its_reasons(page: dict[str, Family]) -> None:
    reasons = [
        sample.labels["reason"]
        for sample in page["camera_app_frames_shed"].samples
        if sample.labels["camera"] == "front"
    ]
    assert sorted(reasons) == sorted(reason.value for reason in ShedReason)
    shed = sum(value(page, "frames_shed_total", camera="front", reason=one) for one in reasons)
    looked = value(page, "frames_looked_at_total", camera="front")
    under_way = value(page, "frames_under_way", camera="front")
    assert value(page, "frames_captured_total", camera="front") == looked + shed + under_way


def test_what_nobody_knows_is_not_told_as_zero(page: dict[str, Family]) -> None:
    processes = [one.labels["process"] for one in page["camera_app_process_memory_bytes"].samples]
    assert processes == ["service"]
    cold = replace(
        figures.FIGURES, executor=replace(figures.FIGURES.executor, pressure=figures.Pressure())
    )
    assert list(families(scrape(cold))["camera_app_temperature_celsius"].samples) == []


def test_without_a_broker_nothing_is_told_of_one() -> None:
    page = families(scrape(without_broker()))
    for name in ("broker_state", "delivery_lag_seconds", "changes_in_flight"):
        assert list(page[PREFIX + name].samples) == []
    assert value(page, "outbox_changes") == 4


def awkward_names() -> Iterator[str]:
    yield from ('front"door', "back\\yard", "new\nline", "köln")


def test_any_name_survives_the_way_to_prometheus() -> None:
    cameras = dict.fromkeys(awkward_names(), figures.CAMERA)
    page = families(scrape(replace(figures.FIGURES, cameras=cameras)))
    told = [one.labels["camera"] for one in page["camera_app_frames_captured"].samples]
    assert told == list(awkward_names())
