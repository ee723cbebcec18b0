"""A running camera is led to another configuration, wholly or not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

import pytest

from camera_app.app import App
from camera_app.assembly import STEPS
from camera_app.assembly.delivery import Delivery
from camera_app.assembly.devices import Succession
from camera_app.capture import LiveSource
from camera_app.control import Steering
from camera_app.errors import CameraAppError, ModelError, NeedsRestart, SourceError
from camera_app.health import Heartbeat
from camera_app.media import SpaceGuard
from camera_app.pipeline import CameraWorker
from camera_app.publish import Hub, Publisher, StateBoard
from camera_app.scheduling import CpuSeats
from camera_app.store import EventStore
from tests.assembly.conftest import Rig, camera, child_of, has_child, wait_until
from tests.control.conftest import Owner
from tests.publish.mosquitto import Mosquitto

FRONT, SIDE = camera("front"), camera("side")


@dataclass(frozen=True)
class State:
    """What must be as it was where a change was rolled back."""

    cameras: frozenset[str]
    config: object
    threads: tuple[str, ...]


def state(app: App) -> State:
    names = sorted(thread.name for thread in threading.enumerate() if "camera-app" in thread.name)
    return State(frozenset(app.figures().cameras), app.config, tuple(names))


def worker_of(camera: str) -> threading.Thread:
    """Return the thread that looks at a camera's frames and counts them, from its start on."""
    (thread,) = [one for one in threading.enumerate() if one.name == f"camera-app {camera}"]
    return thread


def test_a_camera_that_does_not_change_runs_on_while_others_come_and_go(rig: Rig) -> None:
    """Its child, its frames, its counts and its open events are untouched."""
    app = rig.start(FRONT)
    rig.wait_looking("front")
    child, captured = child_of("front"), rig.watch("front").counts.captured

    found, notes = app.change(rig.config(FRONT + SIDE))
    assert [str(change) for change in found] == ["camera.side is new"]
    assert notes == ()
    rig.wait_looking("side")

    app.change(rig.config(FRONT + camera("side", "priority = 3")))
    app.change(rig.config(FRONT))
    assert set(app.figures().cameras) == {"front"}
    assert not has_child("side")
    rig.wait_looking("front")
    assert child_of("front") == child
    assert rig.source("front").restarts == 0
    assert rig.watch("front").counts.captured > captured


@pytest.mark.parametrize(
    ("more", "keeps_source", "keeps_counts"),
    [
        ("priority = 3", True, True),
        ("events.min_score = 0.9", True, True),
        ("detection = false", True, True),
        ("tracking.lost_s = 9", True, False),
        ('zones = [{name = "door", polygon = [[0, 0], [1, 0], [1, 1]]}]', True, False),
        ("deadline_s = 9", False, False),
        ("privacy_masks = [{polygon = [[0, 0], [1, 0], [1, 1]]}]", False, False),
    ],
)
def test_a_camera_that_changes_keeps_what_it_can(
    rig: Rig, more: str, keeps_source: bool, keeps_counts: bool
) -> None:
    app = rig.start(FRONT)
    assert wait_until(lambda: rig.watch("front").counts.captured > 3)
    child, worker = child_of("front"), worker_of("front")
    captured = rig.watch("front").counts.captured
    app.change(rig.config(camera("front", more)))
    assert (worker_of("front") is worker) == keeps_counts
    assert not keeps_counts or rig.watch("front").counts.captured >= captured
    assert wait_until(lambda: rig.source("front").is_delivering)
    assert (child_of("front") == child) == keeps_source
    after = rig.watch("front").counts.captured
    assert wait_until(lambda: rig.watch("front").counts.captured > after)


def test_another_model_is_loaded_beside_the_one_that_looks(rig: Rig) -> None:
    app = rig.start(FRONT)
    rig.wait_looking("front")
    child, answers = child_of("front"), app.figures().executor.seats.looks
    app.change(rig.config(FRONT + camera("side", 'model = ["person_small", "face"]')))
    rig.wait_looking("front")
    rig.wait_looking("side")
    assert child_of("front") == child
    assert "face" in app.figures().executor.devices[0].service_ms
    assert answers > 0


def test_what_differs_in_nothing_changes_nothing(rig: Rig) -> None:
    app = rig.start(FRONT)
    steps: list[str] = []
    assert app.change(rig.config(camera("front", "priority = 1.0")), steps.append) == ((), ())
    assert not steps


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('[mqtt]\nenabled = false\nbase_topic = "other"', "mqtt.base_topic"),
        ('[mqtt]\nenabled = false\ncompat = "frigate"', "mqtt.compat"),
        ('[log]\nformat = "json"', "log.format"),
    ],
)
def test_what_cannot_change_is_refused_with_all_the_rest(rig: Rig, more: str, key: str) -> None:
    app = rig.start(FRONT)
    before = state(app)
    with pytest.raises(NeedsRestart, match=key):
        app.change(rig.config(FRONT + SIDE, more))
    assert state(app) == before


def test_a_model_that_is_not_there_leaves_all_as_it_was(rig: Rig) -> None:
    app = rig.start(FRONT)
    before = state(app)
    with pytest.raises(ModelError, match="no_such_model"):
        app.change(rig.config(FRONT + camera("side", 'model = "no_such_model"')))
    assert state(app) == before


def test_a_source_that_is_refused_leaves_all_as_it_was(rig: Rig) -> None:
    """Also the camera whose own source was to be another one: it has its old one back."""
    app = rig.start(FRONT + SIDE)
    rig.wait_looking("front")
    nothing = rig.folder / "nothing.mp4"
    nothing.write_bytes(b"no film at all")
    before = state(app)
    with pytest.raises(SourceError):
        app.change(rig.config(camera("side") + camera("front", source=str(nothing))))
    rig.wait_looking("front")
    rig.wait_looking("side")
    assert state(app) == before


def test_a_camera_that_is_away_is_taken_on_with_a_note(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera_app.assembly.transition.SOURCE_LIMIT_S", 0.2)
    app = rig.start(FRONT)
    away = camera("side", source="v4l2:/dev/video99")
    _, notes = app.change(rig.config(FRONT + away))
    assert len(notes) == 1
    assert notes[0].startswith("camera.side brings no pictures yet")
    assert set(app.figures().cameras) == {"front", "side"}


# What is changed at once where every step is made to fail: a camera comes, one goes, one gets
# another source, one other rules, one a mere order; another model, another way to the broker.
BEFORE = FRONT + SIDE + camera("gone") + camera("ruled") + camera("told")
AFTER = (
    FRONT
    + camera("side", "deadline_s = 9")
    + camera("new", 'model = "face"')
    + camera("ruled", "tracking.lost_s = 9")
    + camera("told", "events.min_score = 0.9")
)


ALL_BEFORE = ("front", "side", "gone", "ruled", "told")

# What a transition calls once and that may raise, in the order of the calls.
FALLIBLE = (
    (CpuSeats, "start"),
    (LiveSource, "start"),
    (Publisher, "start"),
    (Steering, "let_go"),
    (Steering, "set_to"),
    (CameraWorker, "start"),
    (Steering, "take_over"),
    (Steering, "keep_in"),
    (EventStore, "retain"),
    (SpaceGuard, "change"),
    (Heartbeat, "tell_status_every"),
    (Hub, "start"),
)


class Fault(CameraAppError):
    """What a test has put in the way."""


def require_unchanged(rig: Rig, before: State, child: int) -> None:
    for name in ALL_BEFORE:
        rig.wait_looking(name)
    assert wait_until(lambda: state(rig.running) == before), (state(rig.running), before)
    assert child_of("front") == child


def test_a_fault_at_or_inside_any_step_leads_back_to_what_was(
    rig: Rig, broker: Mosquitto, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    after = rig.config(AFTER, mqtt + "keepalive_s = 60\n[retention]\nmax_days = 3\n")
    app = rig.start(BEFORE, mqtt)
    for name in ALL_BEFORE:
        rig.wait_looking(name)
    owner.wait_newest("gone/availability", b"online")
    before, child = state(app), child_of("front")

    for step in STEPS:
        with pytest.raises(Fault):
            app.change(after, partial(fail_at, step))
        require_unchanged(rig, before, child)
    for kind, method in FALLIBLE:
        with monkeypatch.context() as patch:
            patch.setattr(kind, method, failing_once(getattr(kind, method)))
            with pytest.raises(Fault):
                app.change(after)
        require_unchanged(rig, before, child)
    assert owner.ask("gone/threshold", "0.7")["accepted"]
    owner.wait_newest("gone/availability", b"online")

    app.change(after)  # and what was in the way is so no more
    assert set(app.figures().cameras) == {"front", "side", "new", "ruled", "told"}
    rig.wait_looking("new")
    assert child_of("front") == child
    owner.wait_newest("gone/availability", b"")
    owner.wait_newest("told/threshold", b"0.9")
    assert "no such camera" in owner.ask("gone/threshold", "0.7")["error"]


@pytest.mark.parametrize(
    ("kind", "method", "what"),
    [
        (Delivery, "announce", "announcing the cameras"),
        (Succession, "conclude", "ending what looked before"),
        (StateBoard, "retire", "taking cameras back that went"),
    ],
)
def test_a_fault_after_the_change_is_a_note_for_it_is_in_force(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, kind: type, method: str, what: str
) -> None:
    app = rig.start(FRONT + camera("gone"))
    monkeypatch.setattr(kind, method, failing_once(getattr(kind, method)))
    _, notes = app.change(rig.config(FRONT))
    (note,) = notes
    assert note.startswith(f"{what} failed (a fault that a test has put here)")
    assert set(app.figures().cameras) == {"front"}


def fail_at(failing: str, step: str) -> None:
    if step == failing:
        raise Fault("a fault that a test has put here")


def failing_once(right: Callable[..., object]) -> Callable[..., object]:
    """Return what fails when it is called first, and does what it should from then on."""
    calls = count()

    def called(*arguments: object, **options: object) -> object:
        if not next(calls):
            raise Fault("a fault that a test has put here")
        return right(*arguments, **options)

    return called


def test_steps_are_told_each_in_its_turn(rig: Rig) -> None:
    app = rig.start(FRONT)
    steps: list[str] = []
    app.change(rig.config(FRONT + SIDE), steps.append)
    assert tuple(steps) == STEPS


def test_a_broker_that_does_not_take_us_is_not_exchanged_for_one_that_does(
    rig: Rig, broker: Mosquitto, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera_app.assembly.transition.BROKER_LIMIT_S", 0.5)
    right = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    app = rig.start(FRONT, right)
    owner.wait_newest("availability", b"online")
    with pytest.raises(CameraAppError):
        app.change(rig.config(FRONT, '[mqtt]\nhost = "127.0.0.1"\nport = 1\n'))
    assert wait_until(lambda: bool((p := app.figures().publisher) and p.is_connected))
    assert wait_until(lambda: broker.log().count("camera_app/cam1/+/+/set (QoS 1)") == 2)
    assert owner.ask("front/threshold", "0.7")["accepted"]


def test_home_assistant_learns_of_a_camera_that_came_and_of_one_that_went(
    rig: Rig, broker: Mosquitto, owner: Owner
) -> None:
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    app = rig.start(FRONT, mqtt)
    announced = "homeassistant/device/cam1/config"

    def keys() -> set[str]:
        told = owner.on(announced)
        return set(told[-1].json["components"]) if told else set()

    assert owner.wait_for(lambda _: "cam1_front_sees" in keys())
    app.change(rig.config(SIDE, mqtt))
    assert owner.wait_for(lambda _: "cam1_side_sees" in keys() - {"cam1_front_sees"})
    assert owner.wait_for(
        lambda _: any(
            message.json["components"].get("cam1_front_sees") == {"platform": "binary_sensor"}
            for message in owner.on(announced)
        )
    )
    assert owner.wait_for(lambda _: "cam1_front_sees" not in keys())


def test_nothing_of_a_camera_that_went_stays_at_the_broker_without_discovery_either(
    rig: Rig, broker: Mosquitto, owner: Owner
) -> None:
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    mqtt += '[home_assistant]\ndiscovery = "off"\n'
    app = rig.start(FRONT + SIDE, mqtt)
    for topic in ("availability", "threshold", "person"):
        assert owner.wait_for(lambda _, topic=topic: bool(owner.newest(f"side/{topic}")))
    app.change(rig.config(FRONT, mqtt))
    for topic in ("availability", "threshold", "person"):
        owner.wait_newest(f"side/{topic}", b"")
    owner.wait_newest("front/availability", b"online")


def test_what_is_set_over_mqtt_is_refused_while_cameras_change(
    rig: Rig, broker: Mosquitto, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera_app.control.steering.HELD_LIMIT_S", 0.05)
    app = rig.start(FRONT, f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n')
    results: list[str] = []

    def told(step: str) -> None:
        if step == "networks":
            results.append(owner.ask("front/threshold", "0.7")["error"])

    owner.wait_newest("front/threshold", b"0.5")
    more = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    app.change(rig.config(FRONT + SIDE, more), told)
    assert "being changed" in results[0]
    assert owner.ask("front/threshold", "0.7")["accepted"]


def test_what_was_set_over_mqtt_outlives_a_change_of_something_else(
    rig: Rig, broker: Mosquitto, owner: Owner
) -> None:
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    app = rig.start(FRONT, mqtt)
    owner.wait_newest("front/privacy", b"OFF")
    assert owner.ask("front/privacy", "ON")["accepted"]
    app.change(rig.config(camera("front", "tracking.lost_s = 9") + SIDE, mqtt))
    assert not has_child("front")
    rig.wait_looking("side")
    assert owner.ask("front/privacy", "OFF")["accepted"]
    assert wait_until(lambda: rig.source("front").is_delivering)


def test_the_level_of_the_log_changes_at_once(rig: Rig) -> None:
    app = rig.start(FRONT)
    before = logging.getLogger().level
    try:
        app.change(rig.config(FRONT, '[log]\nlevel = "error"'))
        assert logging.getLogger().level == logging.ERROR
    finally:
        logging.getLogger().setLevel(before)
