"""What the torture tests share, and how many of their cases are tried.

All of them with `make torture`; every so-many-th in the ordinary run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import pytest

from tests.publish.mosquitto import Mosquitto
from tests.torture.listener import Listener
from tests.torture.nursery import Nursery

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="try every case: minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if is_long(config):
        return
    skip = pytest.mark.skip(reason="takes minutes: make torture")
    for item in items:
        if item.get_closest_marker("torture"):  # the folder has that name, too
            item.add_marker(skip)


def is_long(config: pytest.Config) -> bool:
    return bool(config.getoption("--torture", default=False))


class Choice:
    """Which of many cases are tried."""

    def __init__(self, is_long: bool) -> None:
        self.is_long = is_long

    def of(self, cases: Sequence[T], at_most: int) -> list[T]:
        """Return all cases, or so many of them, evenly spread."""
        if self.is_long or len(cases) <= at_most:
            return list(cases)
        return [cases[len(cases) * n // at_most] for n in range(at_most)]


@pytest.fixture(scope="session")
def choice(request: pytest.FixtureRequest) -> Choice:
    return Choice(is_long(request.config))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"), {})
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with Listener(broker.port) as listener:
        yield listener


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery
