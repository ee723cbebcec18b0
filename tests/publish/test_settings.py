"""What can be set over MQTT, and what of it outlives a restart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.config import CameraSettings, EventSettings, SnapshotSettings
from camera_app.errors import CommandRefused
from camera_app.publish.settings import (
    SETTINGS,
    Kept,
    KeptSettings,
    parsed,
    read_kept,
    state_of,
    value_of,
    with_kept,
    with_value,
)

FRONT = CameraSettings(source="synthetic:")
VARIANTS = ("person_large", "person_small")


@pytest.mark.parametrize(
    ("name", "text", "state"),
    [
        ("detection", "OFF", "OFF"),
        ("privacy", "ON", "ON"),
        ("snapshots", "OFF", "OFF"),
        ("recording", "ON", "ON"),
        ("threshold", "0.75", "0.75"),
        ("threshold", "1", "1"),
        ("threshold", "0", "0"),
        ("faces", "OFF", "OFF"),
        ("variant", "person_small", "person_small"),
        ("variant", "person_large", "person_large"),
    ],
)
def test_a_setting_takes_its_value_and_touches_nothing_else(
    name: str, text: str, state: str
) -> None:
    changed = with_value(FRONT, name, parsed(name, text, VARIANTS))
    assert state_of(changed, name, VARIANTS) == state
    assert with_value(changed, name, value_of(FRONT, name)) == FRONT
    assert all(state_of(changed, other) == state_of(FRONT, other) for other in {*SETTINGS} - {name})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("detection", "on"),
        ("detection", "1"),
        ("detection", ""),
        ("detection", "ON "),
        ("privacy", "0.5"),
        ("threshold", "ON"),
        ("threshold", ""),
        ("threshold", "nan"),
        ("threshold", "inf"),
        ("threshold", "1e-3"),
        ("threshold", "0x1"),
        ("threshold", "0.5;reboot"),
        ("faces", "0"),
        ("variant", ""),
        ("variant", "person_tiny"),
        ("variant", "../person_small"),
        ("threshold", "\uff19"),  # a digit, and not ours
    ],
)
def test_a_text_that_means_no_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(CommandRefused, match="expected"):
        parsed(name, text, VARIANTS)


@pytest.mark.parametrize("text", ["1.01", "-0.1", "99"])
def test_the_range_is_that_of_the_configuration(text: str) -> None:
    with pytest.raises(CommandRefused, match="less than or equal to 1|greater than or equal to 0"):
        with_value(FRONT, "threshold", parsed("threshold", text))


@given(st.sampled_from(sorted(SETTINGS)), st.text(max_size=30))
def test_no_text_does_anything_but_set_or_be_refused(name: str, text: str) -> None:
    try:
        changed = with_value(FRONT, name, parsed(name, text))
    except CommandRefused:
        return
    assert CameraSettings.model_validate(changed.model_dump()) == changed
    assert text in ("ON", "OFF") or 0.0 <= float(text) <= 1.0


def test_what_was_set_is_kept_as_it_was() -> None:
    kept = KeptSettings().with_value("front", "detection", False, True)
    kept = kept.with_value("front", "threshold", 0.75, 0.5).with_value(
        "back", "privacy", True, False
    )
    assert read_kept(kept.as_json()) == kept
    cameras, still, notes = with_kept({"front": FRONT, "back": FRONT}, kept)
    assert (still, notes) == (kept, [])
    assert not cameras["front"].detection
    assert cameras["front"].events == EventSettings(min_score=0.75)
    assert cameras["back"].privacy


def test_what_is_set_back_to_what_the_file_says_is_not_kept() -> None:
    kept = KeptSettings().with_value("front", "detection", False, True)
    assert kept.with_value("front", "detection", True, True) == KeptSettings()


def test_a_file_that_was_changed_since_wins() -> None:
    kept = KeptSettings().with_value("front", "snapshots", False, True)
    mended = FRONT.model_copy(update={"snapshots": SnapshotSettings(enabled=False)})
    cameras, still, notes = with_kept({"front": mended}, kept)
    assert cameras == {"front": mended}
    assert still == KeptSettings()
    assert "says otherwise" in notes[0]


@pytest.mark.parametrize(
    "kept",
    [
        KeptSettings({"gone": {"detection": Kept(False, True)}}),
        KeptSettings({"front": {"gone": Kept(False, True)}}),
        KeptSettings({"front": {"threshold": Kept(7.0, 0.5)}}),
    ],
)
def test_what_cannot_be_any_more_is_dropped_and_said(kept: KeptSettings) -> None:
    cameras, still, notes = with_kept({"front": FRONT}, kept)
    assert cameras == {"front": FRONT}
    assert still == KeptSettings()
    assert len(notes) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"schema": 2}',
        '{"schema": 1}',
        '{"schema": 1, "cameras": {"front": 7}}',
        '{"schema": 1, "cameras": {"front": {"detection": false}}}',
        '{"schema": 1, "cameras": {"front": {"detection": {"value": "OFF", "instead_of": 1}}}}',
    ],
)
def test_a_file_that_keeps_no_settings_is_known_as_such(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_kept(text)


def test_films_are_not_switched_on_where_they_cannot_be_made() -> None:
    plain = {"source": "picamera:0", "recording": {"method": "copy"}}
    camera = CameraSettings.model_validate(plain)
    assert not camera.can_record
    with pytest.raises(CommandRefused, match='recording.method "copy" cannot be'):
        with_value(camera, "recording", True)
    assert not with_value(camera, "recording", False).recording.enabled
