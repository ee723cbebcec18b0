"""The page that Prometheus reads, in its text format. Pure, but for the library that writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from camera_app.health.metrics.catalogue import CATALOGUE, Kind, Metric, Scrape
from camera_app.histogram import Distribution

# What every version of Prometheus knows; the names need nothing newer.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_FAMILIES: dict[Kind, type[CounterMetricFamily | GaugeMetricFamily]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
}


def metrics_page(scrape: Scrape, catalogue: Sequence[Metric] = CATALOGUE) -> bytes:
    """Return every metric of one moment."""
    registry = CollectorRegistry()
    registry.register(_Moment(scrape, catalogue))
    return generate_latest(registry)


class _Moment(Collector):
    """The metrics of one moment, as the library asks for them."""

    def __init__(self, scrape: Scrape, catalogue: Sequence[Metric]) -> None:
        self._scrape = scrape
        self._catalogue = catalogue

    def collect(self) -> Iterator[Family]:
        return (_family(metric, self._scrape) for metric in self._catalogue)

    def describe(self) -> Iterable[Family]:
        return ()  # else all would be collected twice


def _family(metric: Metric, scrape: Scrape) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in metric.samples(scrape):
            assert isinstance(value, Distribution)
            histogram.add_metric(labels, _buckets(value), value.total)
        return histogram
    family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
    for labels, value in metric.samples(scrape):
        assert not isinstance(value, Distribution)
        family.add_metric(labels, value)
    return family


def _buckets(distribution: Distribution) -> list[tuple[str, float]]:
    """Return the buckets as Prometheus counts them: each with all below it."""
    ends = [*(f"{bound:g}" for bound in distribution.bounds), "+Inf"]
    return list(zip(ends, map(float, accumulate(distribution.counts)), strict=True))
