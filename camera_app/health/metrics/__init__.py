"""What Prometheus reads: which metrics there are, the page that has them, and who serves it.

Imported only where metrics are wanted: what it needs costs memory.
"""

from camera_app.health.metrics.catalogue import CATALOGUE, Kind, Metric, Scrape
from camera_app.health.metrics.page import metrics_page
from camera_app.health.metrics.server import MetricsServer

__all__ = ["CATALOGUE", "Kind", "Metric", "MetricsServer", "Scrape", "metrics_page"]
