"""The metrics of the service as an owner runs it, over HTTP, by Prometheus' own parser."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from camera_app.config import load_config
from camera_app.demo.broker import free_port
from camera_app.errors import ConfigError
from tests.commands.test_run import Service
from tests.publish.mosquitto import Mosquitto
from tests.tools.test_dashboard import asked_metrics
from tests.waiting import wait_until

LIMIT_S = 60.0
# What an idle machine without an Edge TPU or a thermal sensor has nothing to tell of.
ABSENT_HERE = {
    "camera_app_temperature_celsius",
    "camera_app_device_temperature_celsius",
}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Page:
    """One page: values by name and labels."""

    def __init__(self, text: str) -> None:
        self.series: Series = {}
        self.kinds: dict[str, str] = {}
        family: Family
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self.series[sample.name, frozenset(sample.labels.items())] = sample.value
                self.kinds[sample.name] = family.type

    def value(self, name: str, **labels: str) -> float:
        return self.series[f"camera_app_{name}", frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        return sum(
            value
            for (told, own), value in self.series.items()
            if told == f"camera_app_{name}" and labels.items() <= dict(own).items()
        )


class Rig:
    """A service with a broker, a clip as camera, and metrics."""

    def __init__(self, folder: Path, shared: Path, broker: Mosquitto) -> None:
        self.service = Service(folder, shared)
        self.service.configure(broker.port)
        self.port = free_port()
        text = self.service.config.read_text()
        clip = text.partition('source = "')[2].partition('"')[0]
        self.service.config.write_text(
            f"""{text}
            [camera.yard]
            source = "{clip}"
            fps = 30
            [metrics]
            listen = "127.0.0.1:{self.port}"
            """
        )

    @property
    def pid(self) -> int:
        assert self.service._process is not None
        return self.service._process.pid

    def read(self) -> Page:
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return Page(answer.read().decode())

    def wait_for(self, holds: Callable[[Page], bool]) -> Page:
        pages: list[Page] = []

        def is_so() -> bool:
            pages[:] = [self.read()]
            return holds(pages[0])

        assert wait_until(is_so, LIMIT_S), self.service.output
        return pages[0]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"), {})
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def rig(tmp_path: Path, shared: Path, broker: Mosquitto) -> Iterator[Rig]:
    rig = Rig(tmp_path, shared, broker)
    rig.service.start()
    rig.service.wait_for("metrics are at")
    yield rig
    rig.service.end(signal.SIGKILL)


def kernel_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line[7:]) for line in lines if line.startswith("wchar: "))


@pytest.mark.shared
def test_the_service_tells_the_truth_of_itself(rig: Rig) -> None:
    """One run for all of it: it takes seconds to begin."""
    page = rig.wait_for(
        lambda page: (
            page.value("changes_acknowledged_total") >= 2
            and page.value("snapshots_total", camera="porch") >= 1
            and page.value("frames_looked_at_total", camera="yard") >= 10
        )
    )
    no_frame_is_missing(page)
    every_metric_of_the_dashboard_is_there(page)
    the_steps_of_the_frames_are_there(page)
    the_bytes_are_those_of_the_kernel(rig)
    delivery_is_told(page)
    nothing_counts_backwards(rig, page)


def no_frame_is_missing(page: Page) -> None:
    for camera in ("porch", "yard"):
        accounted = (
            page.value("frames_looked_at_total", camera=camera)
            + page.total("frames_shed_total", camera=camera)
            + page.value("frames_under_way", camera=camera)
        )
        assert page.value("frames_captured_total", camera=camera) == accounted > 0


def every_metric_of_the_dashboard_is_there(page: Page) -> None:
    told = {name for name, _ in page.series}
    assert sorted(asked_metrics() - told - ABSENT_HERE) == []


def the_steps_of_the_frames_are_there(page: Page) -> None:
    looked_at = page.value("frames_looked_at_total", camera="porch")
    # One may be between its conclusion and the end of its last step.
    assert looked_at - page.value("frame_latency_seconds_count", camera="porch") in {0, 1}
    total_s = page.value("frame_latency_seconds_sum", camera="porch")
    in_steps_s = page.total("frame_step_seconds_sum", camera="porch")
    assert 0 < total_s <= in_steps_s * 1.01
    invoked = page.value("device_step_seconds_count", device="cpu", kind="cpu", step="invoke")
    assert invoked == pytest.approx(
        page.value("device_answers_total", device="cpu", kind="cpu"), abs=4
    )


def the_bytes_are_those_of_the_kernel(rig: Rig) -> None:
    before = kernel_bytes(rig.pid)
    page = rig.wait_for(lambda page: page.value("ready") == 1)
    after = kernel_bytes(rig.pid)
    told = page.value("process_written_bytes_total", process="service")
    # A page that was made just before is given again.
    assert before - 100_000 <= told <= after
    database = page.value("written_bytes_total", part="database")
    snapshots = page.value("written_bytes_total", part="snapshots")
    files = (rig.service.folder / "data" / "snapshots").rglob("*.jpg")
    on_disk = sum(file.stat().st_size for file in files)
    assert snapshots == pytest.approx(on_disk, rel=0.5)
    assert snapshots > 0
    # At the least what lies there now; at the most all that the process wrote.
    assert 4096 <= database <= told - snapshots
    assert psutil.Process(rig.pid).num_threads() == pytest.approx(
        page.value("process_threads", process="service"), abs=2
    )


def delivery_is_told(page: Page) -> None:
    acknowledged = page.value("changes_acknowledged_total")
    assert page.value("delivery_lag_seconds_count") == pytest.approx(acknowledged, abs=1)
    assert page.value("commit_seconds_count") >= 1
    assert page.value("broker_state", state="connected") == 1


def nothing_counts_backwards(rig: Rig, before: Page) -> None:
    after = rig.wait_for(
        lambda page: (
            page.value("frames_captured_total", camera="porch")
            > before.value("frames_captured_total", camera="porch")
        )
    )
    backwards = [
        name
        for name, value in before.series.items()
        if before.kinds[name[0]] in {"counter", "histogram"} and after.series[name] < value
    ]
    assert backwards == []
    assert set(before.series) <= set(after.series)


def test_nothing_listens_unless_it_is_wanted(tmp_path: Path, shared: Path) -> None:
    service = Service(tmp_path, shared)
    service.configure(free_port(), source="synthetic:", model="person_small")
    service.start()
    try:
        service.wait_for("READY")
        assert service._process is not None
        process = psutil.Process(service._process.pid)
        family = [process, *process.children(recursive=True)]
        listening = [
            one for each in family for one in each.net_connections() if one.status == "LISTEN"
        ]
        assert listening == []
    finally:
        service.end(signal.SIGKILL)


@pytest.mark.parametrize(
    "listen", ["9477", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "300.1.1.1:9477", "hub:80"]
)
def test_an_address_that_is_none_is_refused_with_what_it_should_be(
    listen: str, tmp_path: Path, shared: Path
) -> None:
    service = Service(tmp_path, shared)
    service.configure(free_port(), source="synthetic:")
    text = service.config.read_text()
    service.config.write_text(f'{text}\n[metrics]\nlisten = "{listen}"\n')
    with pytest.raises(ConfigError, match=r"line [0-9]+: metrics\.listen"):
        load_config(service.config)
