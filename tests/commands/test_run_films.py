"""Films of the service as an owner runs it: made, killed in the middle, switched, and private."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from paho.mqtt import publish

from camera_app.store import EventQueries, StoredFilm
from tests.capture.conftest import RtspServer, _gstreamer_server, rtsp_server
from tests.commands.test_run import Service, Subscriber, broker
from tests.publish.mosquitto import Mosquitto
from tests.waiting import wait_until

__all__ = ["_gstreamer_server", "broker", "rtsp_server"]  # fixtures

pytestmark = pytest.mark.shared
LIMIT_S = 60.0


class Filming:
    """A service with one camera that films whoever walks by."""

    def __init__(self, folder: Path, shared: Path, port: int, more: str = "") -> None:
        self.service = Service(folder, shared)
        clip = shared / "clips" / "one_by_one_person.mp4"
        self.service.config.write_text(
            f"""
            device_id = "desk"
            [data]
            folder = "{folder / "data"}"
            [mqtt]
            host = "127.0.0.1"
            port = {port}
            [camera.porch]
            source = "{clip}?loop=1"
            [camera.porch.recording]
            enabled = true
            before_s = 3
            after_s = 1
            {more}
            """
        )
        self.port = port
        self.folder = folder / "data" / "films" / "porch"

    def start(self) -> None:
        self.service.start()
        self.service.wait_for("camera porch delivers")

    def is_filming(self) -> bool:
        parts = list(self.folder.glob("*.part")) if self.folder.exists() else []
        return any(part.stat().st_size > 50_000 for part in parts)

    def films(self) -> list[StoredFilm]:
        events = self.service.events()
        with EventQueries(self.folder.parents[1] / "events.db") as queries:
            found = {film.name: film for one in events for film in queries.films(one.event_id)}
        return sorted(found.values(), key=lambda film: film.began_wall_ns)

    def set(self, setting: str, value: str) -> None:
        topic = f"camera_app/desk/porch/{setting}/set"
        publish.single(topic, value, qos=1, hostname="127.0.0.1", port=self.port)


@pytest.fixture
def filming(tmp_path: Path, shared: Path, broker: Mosquitto) -> Iterator[Filming]:
    one = Filming(tmp_path, shared, broker.port)
    yield one
    one.service.end(signal.SIGKILL)


def test_films_are_made_of_the_stream_that_is_meant_for_them(
    tmp_path: Path, shared: Path, broker: Mosquitto, rtsp_server: RtspServer
) -> None:
    """A clip is looked at; the other stream has other pictures, of another size."""
    films = f'source = "rtsp://127.0.0.1:{rtsp_server.port}/live"'
    one = Filming(tmp_path, shared, broker.port, films)
    owner = Subscriber(broker.port)
    try:
        one.start()
        owner.wait_for(lambda topic, payload: topic == "porch/event" and b'"film"' in payload)
        # The stream goes: the camera sees on, and says what it lacks.
        rtsp_server.kill()
        owner.wait_for(lambda topic, payload: topic == "status" and b'"no_stream"' in payload)
        assert wait_until(lambda: bool(one.films()), LIMIT_S)
    finally:
        one.service.end(signal.SIGTERM)
    for film in one.films():
        with av.open(str(one.folder.parent / film.name)) as shown:
            assert (shown.streams.video[0].width, shown.streams.video[0].height) == (320, 240)


def pictures(path: Path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_a_service_that_is_killed_in_the_middle_of_a_film_has_it_after_its_restart(
    filming: Filming,
) -> None:
    filming.start()
    assert wait_until(filming.is_filming, LIMIT_S)
    filming.service.end(signal.SIGKILL)
    (left,) = filming.folder.glob("*.part")
    assert pictures(left) >= 20  # as it lies there
    filming.start()
    assert wait_until(lambda: bool(filming.films()), LIMIT_S)
    film = filming.films()[0]
    path = filming.folder.parent / film.name
    assert (film.is_whole, path.name) == (False, left.name.removesuffix(".part"))
    assert not left.exists()
    lasts_s = (film.ended_wall_ns - film.began_wall_ns) / 1e9
    assert pictures(path) == pytest.approx(lasts_s * 10, abs=3)
    event = next(one for one in filming.service.events() if film.name in one.films)
    # It begins before its event by what is asked, as far as the service had run so long.
    assert film.began_wall_ns <= event.started_wall_ns
    assert path.stat().st_mode & 0o777 == 0o600
    assert filming.service.end(signal.SIGTERM) == 0


def test_films_are_told_and_switched_over_mqtt_and_privacy_ends_them(filming: Filming) -> None:
    owner = Subscriber(filming.port)
    filming.start()
    owner.wait_for(lambda topic, payload: (topic, payload) == ("porch/recording", b"ON"))
    owner.wait_for(lambda topic, payload: topic == "porch/event" and b'"film"' in payload)
    told = [json.loads(payload) for topic, payload in owner.messages if topic == "porch/event"]
    name = next(one["film"] for one in told if "film" in one)
    assert name.startswith("porch/")
    # Privacy: the film ends at once, and nothing is written while it lasts.
    assert wait_until(filming.is_filming, LIMIT_S)
    filming.set("privacy", "ON")
    assert wait_until(lambda: not list(filming.folder.glob("*.part")), LIMIT_S)
    path = filming.folder.parent / name
    assert wait_until(path.exists)
    size = path.stat().st_size
    owner.wait_for(lambda topic, payload: (topic, payload) == ("porch/privacy", b"ON"))
    filming.set("privacy", "OFF")
    owner.wait_for(lambda topic, payload: (topic, payload) == ("porch/privacy", b"OFF"))
    opened_ns = filming.folder.stat().st_mtime_ns
    assert wait_until(filming.is_filming, LIMIT_S)
    # Off by the hub: it ends, and stays off over a restart.
    filming.set("recording", "OFF")
    assert wait_until(lambda: not list(filming.folder.glob("*.part")), LIMIT_S)
    assert wait_until(lambda: len(filming.films()) == 2, LIMIT_S)
    first, second = filming.films()
    assert (first.name, path.stat().st_size) == (name, size)
    # What was before privacy is not in what came after it.
    assert second.began_wall_ns > opened_ns - 1_000_000_000
    assert filming.service.end(signal.SIGTERM) == 0
    filming.start()
    owner.messages.clear()
    filming.set("snapshots", "OFF")
    owner.wait_for(lambda topic, _: topic == "porch/snapshots")
    filming.service.end(signal.SIGTERM)
    kept = json.loads((filming.folder.parents[1] / "settings.json").read_text())
    assert kept["cameras"]["porch"]["recording"] == {"instead_of": True, "value": False}
    assert len(list(filming.folder.iterdir())) == 2
    owner.close()
