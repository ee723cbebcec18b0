"""The command's inside against a real mosquitto and a real camera's publisher, cut at will."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_app.capture.backoff import BackOff
from camera_app.clock import SystemClock
from camera_app.subscriber import BrokerAddress, FileSink, ForwardSink, Subscriber, Wishes
from tests.publish.conftest import Camera, make_change
from tests.publish.conftest import Subscriber as Reader
from tests.publish.mosquitto import LIMIT_S, Mosquitto
from tests.waiting import wait_until

Brokers = Callable[..., Mosquitto]
Cameras = Callable[..., Camera]
Readers = Callable[..., Reader]


class Follower:
    """A subscriber on a thread of its own, writing to a file."""

    def __init__(self, folder: Path, port: int, **wishes: Any) -> None:
        self.out = folder / "out.jsonl"
        self._stopping = threading.Event()
        sink = wishes.pop("sink", None) or FileSink(self.out)
        self.subscriber = Subscriber(
            BrokerAddress("127.0.0.1", port),
            Wishes(**wishes),
            sink,
            folder / "state",
            SystemClock(),
            BackOff(random=lambda: 1.0, first_s=0.02, cap_s=0.1),
        )
        self._thread = threading.Thread(target=self.subscriber.run, args=(self._stopping,))
        self._thread.start()

    def seqs(self) -> list[int]:
        return seqs(self.out)

    def wait_for(self, count: int) -> None:
        assert wait_until(lambda: len(self.seqs()) >= count), self.seqs()

    def wait_until_done(self) -> None:
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(LIMIT_S)


def seqs(out: Path) -> list[int]:
    text = out.read_text() if out.exists() else ""
    return [json.loads(line)["seq"] for line in text.splitlines() if line.endswith("}")]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def start(port: int, **wishes: Any) -> Follower:
        folder = wishes.pop("folder", tmp_path)
        folder.mkdir(exist_ok=True)
        follower = Follower(folder, port, **wishes)
        made.append(follower)
        return follower

    yield start
    for follower in made:
        follower.stop()


def commit(cam: Camera, first: int, last: int, **options: Any) -> None:
    changes = [make_change(n, **options) for n in range(first, last + 1)]
    cam.store.commit(changes).wait(LIMIT_S)


def running_camera(camera: Cameras, port: int, count: int = 0) -> Camera:
    """Return a camera that tells, as one that sees would."""
    cam = camera(port)
    cam.board.put("camera_app/cam1/front/availability", b"online")
    cam.publisher.start()
    if count:
        commit(cam, 1, count)
        assert cam.publisher.wait_drained(LIMIT_S)
    return cam


Followers = Callable[..., Follower]


def test_what_happens_from_now_on_is_given_out_once_and_in_order(
    broker: Brokers, camera: Cameras, follow: Followers
) -> None:
    port = broker().port
    cam = running_camera(camera, port, 50)
    follower = follow(port)
    assert wait_until(lambda: follower.subscriber.stats.asked > 0)
    assert wait_until(lambda: '"cam1/front": 50' in (follower.out.parent / "state").read_text())

    commit(cam, 51, 90)

    follower.wait_for(40)
    assert follower.seqs() == list(range(51, 91))


def test_a_new_subscriber_can_have_all_that_is_still_kept(
    broker: Brokers, camera: Cameras, follow: Followers
) -> None:
    port = broker().port
    running_camera(camera, port, 350)

    follower = follow(port, from_start=True, is_once=True)

    follower.wait_until_done()
    assert follower.seqs() == list(range(1, 351))


def test_who_was_away_is_told_what_it_missed_once(
    broker: Brokers, camera: Cameras, follow: Followers
) -> None:
    port = broker().port
    cam = running_camera(camera, port, 20)
    follow(port, from_start=True, is_once=True).wait_until_done()
    commit(cam, 21, 1700)
    assert cam.publisher.wait_drained(LIMIT_S)

    again = follow(port, is_once=True)

    again.wait_until_done()
    assert again.seqs() == list(range(1, 1701))
    assert again.subscriber.stats.given == 1680


def test_a_broker_that_is_killed_leaves_no_hole(
    broker: Brokers, camera: Cameras, follow: Followers
) -> None:
    """What it had acknowledged to the camera and not told us died with it; the camera has it."""
    running = broker()
    cam = running_camera(camera, running.port, 10)
    follower = follow(running.port, from_start=True)
    follower.wait_for(10)
    for first in (11, 61, 111):
        commit(cam, first, first + 49)
        running.kill()
        running.start()

    follower.wait_for(160)
    assert follower.seqs() == list(range(1, 161))


def test_a_gap_is_given_out_in_the_place_of_what_is_gone(
    broker: Brokers, camera: Cameras, follow: Followers
) -> None:
    port = broker().port
    cam = running_camera(camera, port)
    commit(cam, 1, 3, age_s=100 * 86_400.0)  # older than the owner keeps events
    commit(cam, 4, 6)
    assert wait_until(lambda: cam.store.stats().removed == 3)

    follower = follow(port, from_start=True, is_once=True)

    follower.wait_until_done()
    lines = [json.loads(line) for line in follower.out.read_text().splitlines()]
    assert [(line["type"], line["seq"]) for line in lines] == [
        ("gap", 3),
        ("started", 4),
        ("started", 5),
        ("started", 6),
    ]
    assert follower.subscriber.stats.missing == 3


def test_a_ledger_that_was_begun_anew_is_noticed_and_followed(
    broker: Brokers, camera: Cameras, follow: Followers, tmp_path: Path
) -> None:
    port = broker().port
    cam = running_camera(camera, port, 30)
    follow(port, from_start=True, is_once=True).wait_until_done()
    cam.publisher.stop()
    cam.store.stop()
    for file in tmp_path.glob("events.db*"):
        file.unlink()
    running_camera(camera, port, 4)

    again = follow(port, is_once=True)

    again.wait_until_done()
    assert again.seqs() == [*range(1, 31), 1, 2, 3, 4]


def test_lines_can_be_forwarded_to_another_topic(
    broker: Brokers, camera: Cameras, follow: Followers, subscribe: Readers
) -> None:
    port = broker().port
    reader = subscribe(port, "archive/events", is_checked=False)
    running_camera(camera, port, 130)

    follow(port, from_start=True, is_once=True, sink=ForwardSink("archive/events"))

    assert reader.wait_for(lambda got: len(got) >= 130)
    assert [message.json["seq"] for message in reader.messages] == list(range(1, 131))


def test_a_group_shares_the_work_and_each_change_goes_to_one_of_it(
    broker: Brokers, camera: Cameras, follow: Followers, tmp_path: Path
) -> None:
    running = broker()
    members = [follow(running.port, folder=tmp_path / str(n), group="hall") for n in range(3)]
    assert wait_until(lambda: running.log().count("$share/hall") >= 3)
    cam = running_camera(camera, running.port)

    commit(cam, 1, 300)

    assert wait_until(lambda: sum(len(member.seqs()) for member in members) >= 300)
    told = [member.seqs() for member in members]
    assert sorted(seq for one in told for seq in one) == list(range(1, 301))
    assert all(one == sorted(one) and one for one in told)


def test_each_line_is_in_the_file_once_however_often_the_command_is_killed(
    broker: Brokers, camera: Cameras, tmp_path: Path
) -> None:
    port = broker().port
    cam = running_camera(camera, port, 3)
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    words = ["--state", str(state), "--out", str(out), "--port", str(port), "--from", "start"]
    command = [sys.executable, "-m", "camera_app", "subscribe", "--host", "127.0.0.1", *words]
    first = 4
    for enough in (100, 900, 1500):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        commit(cam, first, first + 699)
        first += 700
        assert wait_until(lambda n=enough: len(seqs(out)) >= n)
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)

    done = subprocess.run([*command, "--once"], check=False, capture_output=True, timeout=60)

    assert done.returncode == 0, done.stderr.decode()
    assert seqs(out) == list(range(1, first))


def test_a_broker_that_does_not_let_us_in_is_said(broker: Brokers, tmp_path: Path) -> None:
    port = broker(allow_anonymous="false").port
    command = [sys.executable, "-m", "camera_app", "subscribe", "--host", "127.0.0.1"]
    words = ["--port", str(port), "--state", str(tmp_path / "state")]

    done = subprocess.run([*command, *words], check=False, capture_output=True, timeout=60)

    assert done.returncode == 1
    assert "does not let us in" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
