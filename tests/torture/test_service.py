"""The whole service, with a camera and networks, killed as it runs; then the checker judges."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.test_run import Service
from tests.publish.mosquitto import Mosquitto
from tests.torture.checker import Heard
from tests.torture.listener import Listener
from tests.torture.nursery import findings

DEVICE = "desk"  # as the service of the tests is called
LIMIT_S = 60.0


@pytest.fixture
def service(tmp_path: Path, shared: Path) -> Iterator[Service]:
    service = Service(tmp_path, shared)
    yield service
    service.end(signal.SIGKILL)


def told(heard: list[Heard]) -> int:
    return sum(one.topic == f"camera_app/{DEVICE}/porch/event" for one in heard)


@pytest.mark.torture
@pytest.mark.shared
@pytest.mark.parametrize("more", [1, 2, 3])
def test_the_whole_service_is_killed_at_its_first_messages_and_nothing_is_lost(
    service: Service, broker: Mosquitto, tmp_path: Path, more: int
) -> None:
    """Killed thrice, each time when so many more have come; each start ends what was open."""
    service.configure(broker.port)
    with Listener(broker.port, f"camera_app/{DEVICE}/#", name="witness") as listener:
        for _ in range(3):
            before = told(listener.of(DEVICE))
            service.start()
            assert listener.wait_for(lambda heard, n=before: told(heard) >= n + more, LIMIT_S)
            assert service.end(signal.SIGKILL) == -signal.SIGKILL
        service.start()
        service.wait_for("READY")
        assert service.end(signal.SIGTERM) == 0
        assert findings(tmp_path / "data", listener, DEVICE) == []
        kinds = {one.payload["reason"] for one in listener.of(DEVICE) if is_change(one)}
    assert "interrupted" in kinds


def is_change(heard: Heard) -> bool:
    return heard.topic.endswith("/porch/event")
