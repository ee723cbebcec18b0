"""The thread that serves the metrics: real sockets, slow clients, crowds, a port that is taken."""

from __future__ import annotations

import logging
import os
import resource
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.capture.backoff import BackOff
from camera_app.clock import ManualClock, SystemClock
from camera_app.config import MetricsSettings
from camera_app.demo.broker import free_port
from camera_app.health.metrics import MetricsServer
from camera_app.health.metrics.server import (
    CLIENT_LIMIT_S,
    CLIENTS_AT_MOST,
    PAGE_AGE_S,
    ROUND_REST_S,
    TICK_S,
)
from camera_app.logs import keep_secret
from tests.health.metrics.figures import FIGURES
from tests.waiting import wait_until

LIMIT_S = 10.0


class Rig:
    """A server, its clock, and somebody who reads it."""

    def __init__(self, port: int) -> None:
        self.figures = FIGURES
        self.made = 0
        self.clock = ManualClock(10**12, 10**18)
        self.settings = MetricsSettings(listen=f"127.0.0.1:{port}")
        soon = BackOff(first_s=0.01, cap_s=0.02, random=lambda: 0.5)
        self.server = MetricsServer(self.settings, self._read, self.clock, back_off=soon)

    def _read(self) -> object:
        self.made += 1
        return self.figures

    def begin(self) -> None:
        self.server.start()
        assert wait_until(lambda: self.server.address is not None)

    def connect(self) -> socket.socket:
        assert self.server.address is not None
        return socket.create_connection(self.server.address, LIMIT_S)

    def get(self, path: str) -> tuple[int, bytes]:
        assert self.server.address is not None
        url = "http://{}:{}{}".format(*self.server.address, path)
        try:
            with urllib.request.urlopen(url, timeout=LIMIT_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig(free_port())
    yield rig
    rig.server.stop()


def test_metrics_and_readiness_are_told_and_nothing_else(rig: Rig) -> None:
    rig.begin()
    status, page = rig.get("/metrics")
    assert status == 200
    assert b'camera_app_frames_captured_total{camera="front"} 100.0\n' in page
    assert rig.get("/other")[0] == 404


def test_who_is_not_ready_says_why_and_no_secret(rig: Rig) -> None:
    keep_secret("in-last-error-31")
    publisher = replace(
        FIGURES.publisher,
        is_connected=False,
        state="unreachable",
        last_error="mqtt://u:hunter2@hub in-last-error-31",
    )
    rig.figures = replace(FIGURES, publisher=publisher)
    rig.begin()
    status, text = rig.get("/ready")
    assert status == 503
    assert text == b"not ready\nbroker: unreachable: mqtt://u:***@hub ***\n"
    rig.figures = FIGURES
    rig.clock.advance(PAGE_AGE_S)
    assert rig.get("/ready") == (200, b"ready\n")


@pytest.mark.parametrize("path", ["/metrics", "/ready"])
def test_who_asks_often_gets_the_same_page(rig: Rig, path: str) -> None:
    rig.begin()
    pages = {rig.get(path) for _ in range(5)}
    assert (len(pages), rig.made) == (1, 1)
    rig.clock.advance(PAGE_AGE_S)
    rig.get(path)
    assert rig.made == 2


def test_a_crowd_has_so_many_rounds_a_second_and_no_more(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come, and in however small pieces they ask."""
    rests: list[float] = []
    monkeypatch.setattr(rig.server, "rest", rests.append)
    rig.begin()
    with closing(rig.connect()) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, byte in enumerate(b"GET /ready"):
            assert wait_until(lambda number=number: len(rests) > number)  # he came, or spoke
            slow.send(bytes([byte]))
    assert set(rests) == {ROUND_REST_S}


def test_it_waits_when_nobody_can_be_let_in(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one at the door stays there, and would be asked in again at once, for ever."""
    rests: list[float] = []
    rest = rig.server.rest

    def noted(rest_s: float) -> None:
        rests.append(rest_s)
        rest(min(rest_s, ROUND_REST_S))

    monkeypatch.setattr(rig.server, "rest", noted)
    rig.begin()
    assert rig.server.address is not None
    with socket.socket() as caller:
        caller.settimeout(LIMIT_S)
        with no_more_files():
            caller.connect(rig.server.address)
            assert wait_until(lambda: rests.count(TICK_S) >= 2)
        caller.sendall(b"GET /ready HTTP/1.1\r\n\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.1 200 OK")


@contextmanager
def no_more_files() -> Iterator[None]:
    """Have this process at the limit of what it may have open."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open() as newest:
        limit = newest.fileno()  # the lowest that is free once this is closed
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


def test_a_page_that_cannot_be_made_says_no_more_than_that(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.figures = None
    rig.begin()
    status, text = rig.get("/metrics")
    assert (status, text) == (500, b"the metrics cannot be put together; the log says why\n")
    assert "AttributeError" in caplog.text
    rig.figures = FIGURES
    rig.clock.advance(1.0)
    assert rig.get("/metrics")[0] == 200


def test_one_who_says_nothing_is_hung_up_on_when_his_time_is_over(rig: Rig) -> None:
    rig.begin()
    with closing(rig.connect()) as silent:
        assert rig.get("/ready")[0] == 200  # he is in nobody's way
        rig.clock.advance(CLIENT_LIMIT_S + 0.1)
        assert silent.recv(100) == b""


def test_one_who_takes_nothing_is_hung_up_on_too(rig: Rig) -> None:
    cameras = {f"camera{number}": FIGURES.cameras["front"] for number in range(400)}
    rig.figures = replace(FIGURES, cameras=cameras)  # more than a socket's buffer takes
    rig.begin()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(LIMIT_S)
        assert rig.server.address is not None
        slow.connect(rig.server.address)
        slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert wait_until(lambda: rig.made == 1)
        assert rig.get("/ready")[0] == 200
        rig.clock.advance(CLIENT_LIMIT_S + 0.1)
        got = b"".join(iter(lambda: slow.recv(65536), b""))
    _, whole = rig.get("/metrics")
    assert 0 < len(got) < len(whole)


def test_a_crowd_of_silent_ones_keeps_nobody_out(rig: Rig) -> None:
    rig.begin()
    with ExitStack() as stack:
        crowd = [stack.enter_context(closing(rig.connect())) for _ in range(5 * CLIENTS_AT_MOST)]
        assert rig.get("/ready")[0] == 200
        assert crowd[0].recv(100) == b""  # he came first


def test_many_at_once_are_all_answered(rig: Rig) -> None:
    rig.begin()
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(rig.get("/metrics")[0]))
        for _ in range(CLIENTS_AT_MOST)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert answers == [200] * CLIENTS_AT_MOST


def test_a_port_that_is_taken_is_told_and_had_when_it_is_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        rig = Rig(port)
        try:
            rig.server.start()
            told = f"nothing can listen on 127.0.0.1:{port}: Address already in use"
            assert wait_until(lambda: told in caplog.text)
            assert rig.server.is_running
            assert rig.server.trouble == told
            other.close()
            assert wait_until(lambda: rig.server.address is not None)
            assert rig.server.trouble == ""
            assert rig.get("/ready")[0] == 200
        finally:
            rig.server.stop()


def test_an_address_of_another_machine_is_told(caplog: pytest.LogCaptureFixture) -> None:
    settings = MetricsSettings(listen="192.0.2.1:9477")  # of a network for examples
    server = MetricsServer(settings, lambda: FIGURES, SystemClock())
    server.start()
    try:
        assert wait_until(lambda: "Give listen in [metrics] an address of this" in caplog.text)
    finally:
        server.stop()


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_being_open_to_others_is_said_loudly(
    host: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = MetricsServer(
        MetricsSettings(listen=f"{host}:{free_port()}"), lambda: FIGURES, SystemClock()
    )
    server.start()
    try:
        assert wait_until(lambda: "metrics are at" in caplog.text)
        assert wait_until(lambda: ("everybody who reaches" in caplog.text) == warns)
    finally:
        server.stop()


def test_it_stops_with_clients_waiting_and_the_port_is_free_at_once(rig: Rig) -> None:
    rig.begin()
    with closing(rig.connect()) as silent:
        silent.sendall(b"GET /met")
        rig.server.stop()
        assert not rig.server.is_running
        rig.begin()  # a second time, on the same port
        assert rig.get("/ready")[0] == 200
