"""The words of `sd_notify`, on real sockets."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from camera_app.health import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A service manager's end, and its address as it hands it out."""
    is_path = request.param == "path"
    address = str(tmp_path / "notify") if is_path else f"@camera-app-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5.0)
        bound.bind(address if is_path else "\0" + address[1:])
        yield address, bound


def test_each_message_is_one_datagram_of_words(manager: tuple[str, socket.socket]) -> None:
    address, heard = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    notifier.ready()
    notifier.feed()
    notifier.status("Watching 2 cameras\nwith  a line end in it")
    notifier.stopping()
    assert [heard.recv(4096) for _ in range(4)] == [
        b"READY=1",
        b"WATCHDOG=1",
        b"STATUS=Watching 2 cameras with a line end in it",
        b"STOPPING=1",
    ]


def test_reloading_says_when_on_the_clock_that_systemd_compares_with(
    manager: tuple[str, socket.socket],
) -> None:
    address, heard = manager
    before_us = time.monotonic_ns() // 1000
    Notifier(address).reloading()
    first, stamp, sign = heard.recv(4096).decode().split("\n")
    assert (first, sign) == ("RELOADING=1", "WATCHDOG=1")
    name, _, at_us = stamp.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before_us <= int(at_us) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    ("environ", "expected_s"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),  # whoever is asked
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),  # another process is
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_by_the_process_that_is_asked_to(
    environ: dict[str, str], expected_s: float | None
) -> None:
    environ = {"NOTIFY_SOCKET": "/run/systemd/notify", **environ}
    assert Notifier.from_environment(environ, pid=7).watchdog_s == expected_s


def test_without_a_manager_nothing_is_said_and_nothing_fails() -> None:
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "30000000"})
    notifier.ready()
    assert notifier.watchdog_s is None


@pytest.mark.parametrize("address", ["vsock:2:1234", "notify"])
def test_an_address_of_another_kind_is_told_and_passed_over(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    Notifier.from_environment({"NOTIFY_SOCKET": address}).ready()
    assert "NOTIFY_SOCKET is not understood" in caplog.text


def test_a_manager_that_is_gone_costs_a_line_in_the_log_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Notifier(str(tmp_path / "gone")).ready()
    assert "cannot be told READY=1" in caplog.text
