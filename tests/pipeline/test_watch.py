"""One camera from frames to events, driven by hand."""

from __future__ import annotations

import numpy as np

from camera_app.clock import nanoseconds
from camera_app.config import CameraSettings, EventSettings, MotionSettings
from camera_app.pipeline import CameraWatch, ShedReason
from camera_app.values import Box, Detection, EventChange, Frame, FrameCounts, Region, Size, Yuv420

VGA = Size(640, 480)
BOX = Box(100, 100, 160, 220)


def frame(number: int, size: Size = VGA) -> Frame:
    luma = np.full((size.height, size.width), 100, np.uint8)
    chroma = np.full((size.height // 2, size.width // 2), 128, np.uint8)
    return Frame("front", number, nanoseconds(number / 10), Yuv420(luma, chroma, chroma))


def watch(*, is_gated: bool = False) -> CameraWatch:
    settings = CameraSettings(
        source="test",
        motion=MotionSettings(enabled=is_gated),
        events=EventSettings(min_seen_s=0.2),
    )
    ids = iter(range(100))
    return CameraWatch("front", settings, Size(256, 256), lambda _: f"e{next(ids)}")


def see(one: CameraWatch, shot: Frame, *boxes: Box) -> list[EventChange]:
    regions = one.plan(shot).regions
    found = [Detection(box, "person", 0.9) for box in boxes]
    return one.conclude(shot, [(region, found) for region in regions], shot.captured_ns)


def test_a_frame_without_motion_is_shed_and_counted() -> None:
    one = watch(is_gated=True)
    assert one.plan(frame(0)).regions == (Region(0, 0, 640, 480),)
    one.conclude(frame(0), [(Region(0, 0, 640, 480), [])], 0)
    shed = [one.plan(frame(number)).shed for number in range(1, 11)]
    assert shed == [ShedReason.STILL] * 10
    assert one.counts == FrameCounts(captured=11, looked_at=1, shed={"still": 10})
    assert one.counts.is_conserved


def test_a_change_of_size_ends_what_is_open_and_goes_on_with_new_numbers() -> None:
    one = watch()
    for number in range(5):
        see(one, frame(number), BOX)
    old = {track.track_id for track in one.tracks}
    small = Size(320, 240)
    (ended,) = see(one, frame(5, small), Box(50, 50, 80, 110))
    assert (ended.reason, ended.event.frame_size) == ("resolution_changed", VGA)
    changes = [c for n in range(6, 11) for c in see(one, frame(n, small), Box(50, 50, 80, 110))]
    assert [(c.change, c.event.frame_size) for c in changes] == [("started", small)]
    assert not old & {track.track_id for track in one.tracks}


def test_classes_that_nobody_asked_for_are_not_followed() -> None:
    one = watch()
    shot = frame(0)
    found = [Detection(BOX, "person", 0.9), Detection(Box(300, 50, 400, 90), "car", 0.9)]
    one.plan(shot)
    one.conclude(shot, [(Region.whole(VGA), found)], 0)
    assert [track.label for track in one.tracks] == ["person"]


def test_a_person_who_is_lost_does_not_go_on_as_the_face_in_their_place() -> None:
    """Two networks, and somebody who steps up to the camera until only their face is to be seen."""
    settings = CameraSettings(source="test", motion=MotionSettings(enabled=False))
    ids = iter(range(100))
    size = Size(256, 256)
    one = CameraWatch("front", settings, size, lambda _: f"e{next(ids)}", (("person",), ("face",)))
    for number in range(8):
        found = Detection(BOX, "person" if number < 5 else "face", 0.9)
        shot = frame(number)
        one.plan(shot)
        one.conclude(shot, [(Region.whole(VGA), [found])], shot.captured_ns)
    assert [(track.label, track.hits) for track in one.tracks] == [("person", 5), ("face", 3)]
    assert one.observation is not None
    assert one.observation.detections == (found,)


def moving(number: int, *, is_dark: bool = False) -> Frame:
    """Return a frame in which a bright patch moves from left to right; or all of it is dark."""
    shot = frame(number)
    shot.picture.luma[:] = 20 if is_dark else 100
    shot.picture.luma[100:200, 20 * number : 20 * number + 80] = 220
    return shot


def test_motion_is_on_at_once_and_off_after_a_while_without() -> None:
    settings = CameraSettings(source="test", motion=MotionSettings(hold_s=2.0, background_s=0.5))
    one = CameraWatch("front", settings, Size(256, 256), lambda _: "e")
    one.plan(frame(0))
    assert one.is_moving(nanoseconds(0.0)) is False  # all is new, and nothing moves
    for number in (1, 2, 3):
        one.plan(moving(number))
        assert one.is_moving(nanoseconds(number / 10)) is True
    one.plan(frame(4))
    assert one.is_moving(nanoseconds(0.3 + 2.0)) is True
    assert one.is_moving(nanoseconds(0.3 + 2.1)) is False


def test_a_lamp_is_no_motion() -> None:
    one = watch(is_gated=True)
    one.plan(frame(0))
    one.plan(moving(1, is_dark=True))
    assert one.is_moving(nanoseconds(0.1)) is False


def test_nothing_is_said_of_motion_where_no_gate_looks_or_nobody_watches() -> None:
    assert watch().is_moving(0) is None
    one = watch(is_gated=True)
    one.plan(frame(0))
    one.plan(moving(1))
    one.begin_anew(nanoseconds(0.2), nanoseconds(0.2), "paused")
    assert one.is_moving(nanoseconds(0.2)) is False
