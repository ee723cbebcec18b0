"""An owner commands a running camera over a real broker."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from camera_app.app import App
from camera_app.clock import NS_PER_S
from camera_app.control.kept import KEPT_NAME
from camera_app.errors import CommandRefused
from camera_app.publish.commands import BURST, PER_S
from camera_app.scheduling import Answer, CpuSeats, Demand
from camera_app.store.timekeeping import KernelTime
from tests.control.conftest import Owner, Started
from tests.publish.mosquitto import Mosquitto
from tests.waiting import wait_until


def watch(app: App) -> dict[str, int]:
    return dict(app.figures().cameras["front"].watch.counts.shed)


def test_the_settings_are_told_from_the_start(started: Started, owner: Owner) -> None:
    started()
    owner.wait_newest("front/detection", b"ON")
    owner.wait_newest("front/privacy", b"OFF")
    owner.wait_newest("front/snapshots", b"ON")
    owner.wait_newest("front/threshold", b"0.5")
    assert owner.on("camera_app/cam1/front/threshold")[0].is_retained


def test_detection_is_switched_off_and_on_again(started: Started, owner: Owner) -> None:
    app = started()
    owner.wait_newest("front/availability", b"online")
    result = owner.ask("front/detection", "OFF")
    assert (result["accepted"], result["state"], result["error"]) == (True, "OFF", "")
    assert (result["camera"], result["command"]) == ("front", "detection")
    owner.wait_newest("front/detection", b"OFF")
    assert wait_until(lambda: watch(app).get("paused", 0) > 2)
    assert owner.newest("front/availability") == b"online"

    assert owner.ask("front/detection", "ON")["state"] == "ON"
    looked_at = app.figures().cameras["front"].watch.counts.looked_at
    assert wait_until(lambda: app.figures().cameras["front"].watch.counts.looked_at > looked_at)


def test_privacy_closes_the_camera_and_opens_it_again(started: Started, owner: Owner) -> None:
    app = started()
    owner.wait_newest("front/availability", b"online")
    assert owner.ask("front/privacy", "ON")["accepted"]
    owner.wait_newest("front/availability", b"offline")
    source = app.figures().cameras["front"].source
    assert source.state == "stopped"
    assert owner.ask("front/snapshot_now", "PRESS")["error"] == "the camera has no picture now"

    assert owner.ask("front/privacy", "OFF")["accepted"]
    owner.wait_newest("front/availability", b"online")


def test_a_camera_that_was_switched_off_stays_off_over_a_restart(
    started: Started, owner: Owner
) -> None:
    started()
    assert owner.ask("front/privacy", "ON")["accepted"]
    assert owner.ask("front/threshold", "0.8")["accepted"]
    app = started()
    owner.wait_newest("front/privacy", b"ON")
    owner.wait_newest("front/threshold", b"0.8")
    owner.wait_newest("front/availability", b"offline")
    assert app.figures().cameras["front"].source.state == "not started"
    assert app.figures().cameras["front"].watch.counts.captured == 0


def test_a_smaller_model_is_chosen_kept_and_given_up_again(
    started: Started, owner: Owner, asked: Counter[str]
) -> None:
    model = "[camera.front.motion]\nenabled = false\n"
    started(camera='model = "person_large"\n' + model)
    owner.wait_newest("front/variant", b"person_large")
    assert owner.ask("front/variant", "person_small")["state"] == "person_small"
    assert wait_until(lambda: asked["person_small"] > 2)
    refused = owner.ask("front/variant", "face")
    assert not refused["accepted"]
    assert refused["error"] == "expected one of: person_large, person_small"

    started(camera='model = "person_large"\n' + model)
    asked.clear()
    owner.wait_newest("front/variant", b"person_small")
    assert wait_until(lambda: asked["person_small"] > 2)
    assert asked["person_large"] == 0
    assert owner.ask("front/variant", "person_large")["state"] == "person_large"
    assert wait_until(lambda: asked["person_large"] > 2)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each pack is asked; it is asked all the same."""
    counts: Counter[str] = Counter()
    submit = CpuSeats.submit

    def counted(seats: CpuSeats, demand: Demand, answer: Answer | None = None) -> Answer:
        counts[demand.model] += 1
        return submit(seats, demand, answer)

    monkeypatch.setattr(CpuSeats, "submit", counted)
    return counts


def test_a_camera_without_a_choice_refuses_one(started: Started, owner: Owner) -> None:
    started()  # person_small has no smaller one, and finds no faces
    for setting, text in (("variant", "person_small"), ("faces", "OFF")):
        result = owner.ask(f"front/{setting}", text)
        assert (result["accepted"], result["state"]) == (False, "")
        assert result["error"] == "this camera has nothing to choose from there"
        assert owner.newest(f"front/{setting}") is None


def test_faces_are_switched_off_and_on_again(
    started: Started, owner: Owner, asked: Counter[str]
) -> None:
    started(camera='model = ["person_small", "face"]\n[camera.front.motion]\nenabled = false\n')
    owner.wait_newest("front/faces", b"ON")
    assert wait_until(lambda: asked["face"] > 2)
    assert owner.ask("front/faces", "OFF")["state"] == "OFF"
    owner.wait_newest("front/faces", b"OFF")
    before, people = asked["face"], asked["person_small"]
    assert wait_until(lambda: asked["person_small"] > people + 4)
    assert asked["face"] <= before + 1  # one may have been under way
    assert owner.ask("front/faces", "ON")["accepted"]
    assert wait_until(lambda: asked["face"] > before + 2)


PROFILES = """
[profile.away]
detection = true
threshold = 0.4
[profile.home]
cameras = ["front"]
privacy = true
"""


def test_a_profile_sets_all_that_it_names_and_is_told(started: Started, owner: Owner) -> None:
    app = started(PROFILES)
    owner.wait_newest("profile", b"configured")
    assert owner.ask("profile", "away")["state"] == "away"
    owner.wait_newest("front/threshold", b"0.4")
    owner.wait_newest("profile", b"away")
    assert owner.ask("front/threshold", "0.6")["accepted"]
    owner.wait_newest("profile", b"custom")
    assert owner.ask("profile", "home")["state"] == "home"
    owner.wait_newest("front/privacy", b"ON")
    assert wait_until(lambda: app.figures().cameras["front"].source.state == "stopped")

    started(PROFILES)
    owner.wait_newest("profile", b"home")
    owner.wait_newest("front/privacy", b"ON")
    assert owner.ask("profile", "configured")["state"] == "configured"
    owner.wait_newest("front/privacy", b"OFF")
    owner.wait_newest("front/threshold", b"0.5")


def test_a_profile_that_is_none_changes_nothing(started: Started, owner: Owner) -> None:
    started(PROFILES)
    result = owner.ask("profile", "holiday")
    assert not result["accepted"]
    assert result["error"] == "there is no such profile; known here: away, home, configured"
    assert owner.ask("profile", "../../etc")["error"] == "expected the name of a profile"
    assert owner.newest("profile") == b"configured"


def test_the_file_wins_where_the_owner_changed_it_since(started: Started, owner: Owner) -> None:
    started()
    assert owner.ask("front/threshold", "0.8")["accepted"]
    started(camera="events.min_score = 0.3")
    owner.wait_newest("front/threshold", b"0.3")


def test_a_damaged_file_costs_what_was_set_and_no_more(
    started: Started, owner: Owner, tmp_path: Path
) -> None:
    started()
    assert owner.ask("front/threshold", "0.8")["accepted"]
    (tmp_path / "data" / KEPT_NAME).write_bytes(b"\x00\xff{")
    started()
    owner.wait_newest("front/threshold", b"0.5")


def test_what_cannot_be_kept_is_done_and_said(
    started: Started, owner: Owner, tmp_path: Path
) -> None:
    """A full disk must not keep an owner from closing a camera."""
    started()
    owner.wait_newest("front/privacy", b"OFF")
    (tmp_path / "data" / f"{KEPT_NAME}.part").mkdir()
    result = owner.ask("front/privacy", "ON")
    assert not result["accepted"]
    assert "will not outlive a restart" in result["error"]
    assert result["state"] == "ON"
    owner.wait_newest("front/availability", b"offline")


REFUSED = [
    ("front/threshold", "1.5", "less than or equal to 1"),
    ("front/threshold", "high", "expected a decimal number"),
    ("front/detection", "maybe", "expected ON or OFF"),
    ("front/source", "rtsp://elsewhere", "there is no such command"),
    ("front/threshold", "0.5" + "0" * 100, "longer than"),
    ("side/detection", "OFF", "there is no such camera"),
    ("restart", "now", "expected PRESS"),
]


def test_what_is_refused_changes_nothing_and_says_why(started: Started, owner: Owner) -> None:
    started()
    owner.wait_newest("front/threshold", b"0.5")
    for place, payload, why in REFUSED:
        result = owner.ask(place, payload)
        assert not result["accepted"], (place, payload)
        assert why in result["error"]
    assert owner.newest("front/threshold") == b"0.5"
    assert owner.newest("front/detection") == b"ON"


def test_a_flood_is_refused_and_the_camera_goes_on(started: Started, owner: Owner) -> None:
    app = started()
    owner.wait_newest("front/availability", b"online")
    began_s = time.monotonic()
    for number in range(10 * BURST):
        owner.command("front/threshold", "0.6" if number % 2 else "0.7")
    # They are heard in order: once a later one is obeyed, the flood is over.
    assert wait_until(lambda: is_obeyed(owner, "front/threshold", "0.9"))
    assert any("too many" in result["error"] for result in owner.results())
    heard = BURST + PER_S * (time.monotonic() - began_s) + 1
    assert len(owner.results()) <= 2 * heard  # each that is heard may be followed by one refusal
    captured = app.figures().cameras["front"].watch.counts.captured
    assert wait_until(lambda: app.figures().cameras["front"].watch.counts.captured > captured)


def is_obeyed(owner: Owner, place: str, payload: str) -> bool:
    owner.command(place, payload)
    return any(result["state"] == payload for result in owner.results())


def test_a_still_is_taken_when_asked(started: Started, owner: Owner, tmp_path: Path) -> None:
    app = started()
    assert wait_until(lambda: app.figures().cameras["front"].watch.counts.captured > 0)
    assert owner.ask("front/snapshot_now", "PRESS")["accepted"]
    (still,) = (tmp_path / "data" / "snapshots" / "front").glob("asked-*.jpg")
    assert still.read_bytes()[:3] == b"\xff\xd8\xff"
    assert owner.newest("front/snapshot") is None  # no picture leaves the device unasked
    assert "just now" in owner.ask("front/snapshot_now", "PRESS")["error"]


def test_a_picture_kept_before_the_date_was_known_is_dated_anew(
    started: Started, owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As films are; it would go before pictures that are older."""
    monkeypatch.setattr(KernelTime, "uncertainty_s", lambda _: None)
    app = started()
    assert wait_until(lambda: app.figures().cameras["front"].source.is_delivering)
    assert owner.ask("front/snapshot_now", "PRESS")["accepted"]
    (still,) = (tmp_path / "data" / "snapshots" / "front").glob("asked-*.jpg")
    written_ns = still.stat().st_mtime_ns
    os.utime(still, ns=(0, 0))  # as a clock would have it that has just begun
    monkeypatch.setattr(KernelTime, "uncertainty_s", lambda _: 0.1)
    assert wait_until(lambda: abs(still.stat().st_mtime_ns - written_ns) < NS_PER_S)


def test_a_still_that_has_no_space_is_shown_and_refused(
    started: Started, owner: Owner, tmp_path: Path
) -> None:
    """So much is to be kept free that no disk has it: events are worth more than stills."""
    app = started(mqtt="snapshots = true", data="reserve_megabytes = 1e9")
    assert wait_until(lambda: app.figures().cameras["front"].watch.counts.captured > 0)
    assert wait_until(lambda: app.figures().space.level == "no_snapshots")
    result = owner.ask("front/snapshot_now", "PRESS")
    assert not result["accepted"]
    assert result["error"] == (
        "the picture is shown, and not kept: the disk has no space for stills"
    )
    assert not list((tmp_path / "data").rglob("*.jpg"))
    assert owner.wait_for(
        lambda _: (owner.newest("front/snapshot") or b"").startswith(b"\xff\xd8\xff")
    )


def test_privacy_takes_the_pictures_back_that_the_broker_kept(
    started: Started, owner: Owner, broker: Mosquitto
) -> None:
    """Also one that an earlier run had left there, and for good: none comes after."""
    started(mqtt="snapshots = true")
    owner.tell("camera_app/cam1/front/person/snapshot", "an old picture", retain=True)
    owner.wait_newest("front/availability", b"online")
    assert owner.ask("front/snapshot_now", "PRESS")["accepted"]
    assert owner.wait_for(lambda _: bool(owner.newest("front/snapshot")))
    assert owner.ask("front/privacy", "ON")["accepted"]
    owner.wait_newest("front/snapshot", b"")
    owner.wait_newest("front/person/snapshot", b"")
    late = Owner(broker.port)
    try:
        assert late.wait_for(lambda _: late.newest("front/availability") == b"offline")
        assert late.newest("front/snapshot") is None
        assert late.newest("front/person/snapshot") is None
    finally:
        late.close()


def test_a_self_test_tells_that_all_is_well(started: Started, owner: Owner) -> None:
    started()
    owner.wait_newest("front/availability", b"online")
    assert owner.ask("self_test", "PRESS")["accepted"]
    told = owner.newest("self_test")
    assert told is not None
    assert json.loads(told)["findings"] == []
    assert json.loads(told)["passed"] is True


def test_a_word_to_an_edge_tpu_that_is_not_there_is_refused(started: Started, owner: Owner) -> None:
    """And the camera looks on, on what it has."""
    app = started()
    owner.wait_newest("front/availability", b"online")
    result = owner.ask("try_edgetpu", "usb:9-1")
    assert not result["accepted"]
    assert "usb:9-1" in result["error"]
    assert "no Edge TPU is in this place" in result["error"]
    captured = app.figures().cameras["front"].watch.counts.captured
    assert wait_until(lambda: app.figures().cameras["front"].watch.counts.captured > captured)


def test_a_restart_is_asked_of_whoever_can(started: Started, owner: Owner) -> None:
    asked: list[int] = []
    started(restart=lambda: asked.append(1))
    owner.wait_newest("front/detection", b"ON")
    assert owner.ask("restart", "PRESS")["accepted"]
    assert "just now" in owner.ask("restart", "PRESS")["error"]
    assert asked == [1]


def test_a_restart_that_cannot_be_is_refused(started: Started, owner: Owner) -> None:
    def refuse() -> None:
        raise CommandRefused("the configuration file is wrong: camera.front.fps")

    started(restart=refuse)
    owner.wait_newest("front/detection", b"ON")
    assert "camera.front.fps" in owner.ask("restart", "PRESS")["error"]


def test_a_command_that_was_retained_is_not_carried_out_at_the_next_start(
    started: Started, owner: Owner
) -> None:
    asked: list[int] = []
    owner.command("restart", "PRESS", retain=True)
    owner.command("front/detection", "OFF", retain=True)
    started(restart=lambda: asked.append(1))
    owner.wait_newest("front/detection", b"ON")
    assert owner.ask("front/threshold", "0.6")["accepted"]  # those before were heard by then
    assert owner.newest("front/detection") == b"ON"
    assert not asked


def test_without_commands_nothing_is_heard_and_the_file_alone_holds(
    started: Started, owner: Owner, broker: Mosquitto
) -> None:
    started()
    assert owner.ask("front/threshold", "0.8")["accepted"]
    heard = broker.log().count("camera_app/cam1/+/set")
    assert heard
    app = started("[commands]\nenabled = false")
    assert wait_until(lambda: app.figures().cameras["front"].watch.counts.captured > 0)
    assert broker.log().count("camera_app/cam1/+/set") == heard
    owner.command("front/detection", "OFF")
    captured = app.figures().cameras["front"].watch.counts.captured
    assert wait_until(lambda: app.figures().cameras["front"].watch.counts.captured > captured + 3)
    assert "paused" not in watch(app)
