"""What differs between two configurations."""

from __future__ import annotations

import pytest

from camera_app.config import CameraSettings, Config, parse_config
from camera_app.control import Effect, changes, needing_restart
from camera_app.control.changes import FEED_KEYS, ORDER_KEYS, RESTART_KEYS

FRONT = '[camera.front]\nsource = "rtsp://me:geheim@cam/1"\n'
ZONE = '[[camera.front.zones]]\nname = "{}"\npolygon = [[0, 0], [1, 0], [1, {}]]\n'


def words(before: str, after: str) -> list[str]:
    return [str(change) for change in changes(parse_config(before), parse_config(after))]


def test_what_is_written_and_what_is_the_default_are_one() -> None:
    assert words(FRONT, FRONT + "fps = 10.0\nevents.min_score = 0.5\n") == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (FRONT, FRONT + "fps = 5", ["camera.front.fps: 10 becomes 5"]),
        (FRONT, FRONT + "detection = false", ["camera.front.detection: on becomes off"]),
        (FRONT, FRONT + 'model = "face"', ["camera.front.model: [] becomes [face]"]),
        (FRONT, FRONT + '[camera.side]\nsource = "synthetic:"', ["camera.side is new"]),
        (FRONT + ZONE.format("a", 1), FRONT, ["camera.front.zones.a is gone"]),
        (
            FRONT + ZONE.format("a", 1) + ZONE.format("b", 1),
            FRONT + ZONE.format("a", 0.5) + ZONE.format("c", 1),
            [
                "camera.front.zones.a.polygon: [[0, 0], [1, 0], [1, 1]] becomes "
                "[[0, 0], [1, 0], [1, 0.5]]",
                "camera.front.zones.b is gone",
                "camera.front.zones.c is new",
            ],
        ),
        (
            "device_id = 'a'\n[mqtt]\nport = 1\n" + FRONT,
            "device_id = 'b'\n" + FRONT,
            ["device_id: a becomes b", "mqtt.port: 1 becomes 1883"],
        ),
    ],
)
def test_changes_are_told_in_words(before: str, after: str, told: list[str]) -> None:
    assert words(before, after) == told


def test_no_password_of_an_address_is_told() -> None:
    (told,) = words(FRONT, FRONT.replace("geheim", "anders"))
    assert "geheim" not in told
    assert "anders" not in told


@pytest.mark.parametrize(
    ("after", "effect"),
    [
        (FRONT + "fps = 5", Effect.OPENS_ANEW),
        (FRONT + "tracking.lost_s = 9", Effect.LOOKS_ANEW),
        (FRONT + "snapshots.enabled = false", Effect.AT_ONCE),
        (FRONT + "snapshots.quality = 20", Effect.LOOKS_ANEW),
        (FRONT + "enabled = false", Effect.CAMERA_REMOVED),
        (FRONT + '[camera.side]\nsource = "synthetic:"', Effect.CAMERA_ADDED),
        ("[mqtt]\nport = 1\n" + FRONT, Effect.RECONNECTS),
        ("[mqtt]\nbase_topic = 'x'\n" + FRONT, Effect.RESTART),
        ("[inference]\ncpu_seats = 2\n" + FRONT, Effect.NETWORKS_ANEW),
        ("[retention]\nmax_days = 2\n" + FRONT, Effect.AT_ONCE),
    ],
)
def test_each_change_says_what_it_takes(after: str, effect: Effect) -> None:
    (change,) = changes(parse_config(FRONT), parse_config(after))
    assert change.effect is effect
    assert needing_restart([change]) == ((change.where,) if effect is Effect.RESTART else ())


def test_the_keys_that_are_told_apart_exist() -> None:
    """A key that is renamed in the configuration must be renamed here."""
    for key in (*FEED_KEYS, *ORDER_KEYS):
        require_key(CameraSettings, key)
    for key in RESTART_KEYS:
        require_key(Config, key)


def require_key(model: type, key: str) -> None:
    name, _, rest = key.partition(".")
    assert name in model.model_fields, key  # type: ignore[attr-defined]
    if rest:
        require_key(model.model_fields[name].annotation, rest)  # type: ignore[attr-defined]
