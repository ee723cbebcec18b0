"""Where the camera looks, and when it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.clock import nanoseconds
from camera_app.config import MotionSettings, RegionSettings
from camera_app.pipeline.looking import Looker, LookPlan, ShedReason, even_region, merge_overlapping
from camera_app.scheduling.load import Worth
from camera_app.values import Box, Motion, Region, Size, Track, TrackState

FULL_HD = Size(1920, 1080)
SMALL = Size(320, 240)
INPUT = Size(256, 256)
STILL = Motion((), 0.0, False)


def moving(*boxes: Box) -> Motion:
    return Motion(boxes, 0.01, False)


def track(state: TrackState, seen_s: float = 0.0, speed_x: float = 0.0) -> Track:
    box = Box(900, 500, 1000, 700)
    seen_ns = nanoseconds(seen_s)
    return Track(1, "person", box, 0.8, state, 0, seen_ns, 5, velocity_x_px_s=speed_x)


def looker(**regions: object) -> Looker:
    return Looker(MotionSettings(), RegionSettings(**regions), INPUT)  # type: ignore[arg-type]


def plan_at(
    one: Looker, time_s: float, motion: Motion | None, *tracks: Track, size: Size = FULL_HD
) -> LookPlan:
    plan = one.plan(nanoseconds(time_s), size, motion, tracks)
    one.note_concluded(has_cut=False)
    return plan


def test_the_first_frame_is_looked_at_whole() -> None:
    assert plan_at(looker(), 0.0, STILL).regions == (Region.whole(FULL_HD),)


def test_a_still_frame_is_shed_and_says_so() -> None:
    one = looker()
    plan_at(one, 0.0, STILL)
    assert plan_at(one, 0.1, STILL) == LookPlan((), ShedReason.STILL)


def test_a_still_scene_is_looked_at_again_after_the_recheck_time() -> None:
    one = looker()
    plan_at(one, 0.0, STILL)
    assert plan_at(one, 4.9, STILL).shed is ShedReason.STILL
    assert plan_at(one, 5.0, STILL).regions == (Region.whole(FULL_HD),)


@pytest.mark.parametrize("state", [TrackState.TENTATIVE, TrackState.LOST])
def test_what_is_in_doubt_is_looked_at_though_nothing_moves(state: TrackState) -> None:
    """A person who has just left must be missed a few times before the event can end."""
    one = looker()
    plan_at(one, 0.0, STILL)
    assert plan_at(one, 0.1, STILL, track(state)).regions
    assert not plan_at(one, 0.2, STILL, track(TrackState.CONFIRMED)).regions


def test_a_track_that_hangs_on_a_weak_detection_is_looked_at_though_nothing_moves() -> None:
    """A thing of low score where somebody has left once kept an event open to the next visit."""
    one = looker()
    plan_at(one, 0.0, STILL)
    assert plan_at(one, 0.1, STILL, replace(track(TrackState.CONFIRMED), score=0.3)).regions


@given(
    looked_s=st.floats(0.0, 100.0),
    later_s=st.floats(0.0, 10.0),
    state=st.sampled_from(TrackState),
    score=st.floats(0.0, 1.0),
    is_given_up=st.booleans(),
)
def test_a_still_frame_before_the_told_time_would_have_been_shed(
    looked_s: float, later_s: float, state: TrackState, score: float, is_given_up: bool
) -> None:
    """Whoever turns such frames away without a plan does what the plan would have said."""
    one = looker()
    plan_at(one, looked_s, STILL)
    if is_given_up:
        one.note_given_up()
    tracks = [replace(track(state), score=score)]
    is_before = nanoseconds(looked_s + later_s) < one.still_until_ns(tracks)
    plan = plan_at(one, looked_s + later_s, STILL, *tracks)
    assert is_before == (plan.shed is ShedReason.STILL)


def test_a_small_motion_in_a_large_frame_is_cropped() -> None:
    one = looker()
    plan_at(one, 0.0, STILL)
    (region,) = plan_at(one, 0.1, moving(Box(900, 500, 960, 600))).regions
    assert 200 <= region.width <= 202  # 100 px and half of that on either side, made even
    assert region.box.left <= 870
    assert region.box.right >= 990


def test_a_crop_is_never_enlarged_beyond_the_zoom_limit() -> None:
    one = looker(max_zoom=1.0)
    plan_at(one, 0.0, STILL)
    (region,) = plan_at(one, 0.1, moving(Box(900, 500, 910, 510))).regions
    assert 256 <= region.width <= 258  # made even outward


def test_a_small_frame_is_looked_at_whole() -> None:
    """A crop of 200 out of 320 pixels would show 1.6 times as much, of 260 only 1.2 times."""
    one = looker()
    plan_at(one, 0.0, STILL, size=SMALL)
    (region,) = plan_at(one, 0.1, moving(Box(100, 50, 160, 180)), size=SMALL).regions
    assert region == Region.whole(SMALL)


def test_too_many_places_mean_the_whole_frame() -> None:
    one = looker(max_per_frame=2)
    plan_at(one, 0.0, STILL)
    boxes = [Box(x, 100, x + 50, 150) for x in (100, 800, 1500)]
    assert plan_at(one, 0.1, moving(*boxes)).regions == (Region.whole(FULL_HD),)


def test_while_something_moves_the_whole_frame_has_its_turn() -> None:
    one = looker(whole_every_s=1.0)
    motion = moving(Box(900, 500, 960, 600))
    whole = [
        n for n in range(25) if plan_at(one, n / 10, motion).regions == (Region.whole(FULL_HD),)
    ]
    assert whole == [0, 10, 20]


def test_a_moving_track_is_cropped_where_it_is_expected() -> None:
    one = looker()
    plan_at(one, 0.0, STILL)
    runner = track(TrackState.LOST, seen_s=0.0, speed_x=400.0)
    (region,) = plan_at(one, 0.5, STILL, runner).regions
    assert region.box.centre.x == pytest.approx(950 + 200, abs=2)


def test_a_motion_on_somebody_brings_all_of_them_into_the_crop() -> None:
    """A waving hand moves, its owner stands still; a crop of the hand would cut the person."""
    one = looker()
    plan_at(one, 0.0, STILL)
    hand = Box(990, 560, 1010, 580)
    (region,) = plan_at(one, 0.1, moving(hand), track(TrackState.CONFIRMED)).regions
    assert region.box.intersection(Box(900, 500, 1000, 700)) == 100 * 200


def test_nothing_is_cropped_before_the_first_conclusion_nor_after_a_cut() -> None:
    one, motion = looker(), moving(Box(900, 500, 960, 600))
    whole = (Region.whole(FULL_HD),)
    assert one.plan(0, FULL_HD, STILL, ()).regions == whole
    assert one.plan(nanoseconds(0.1), FULL_HD, motion, ()).regions == whole
    one.note_concluded(has_cut=False)
    assert one.plan(nanoseconds(0.2), FULL_HD, motion, ()).regions != whole
    one.note_concluded(has_cut=True)
    assert one.plan(nanoseconds(0.3), FULL_HD, motion, ()).regions == whole


def test_a_scene_change_and_a_gate_that_is_off_mean_the_whole_frame() -> None:
    one = looker()
    plan_at(one, 0.0, STILL)
    assert plan_at(one, 0.1, Motion((), 0.9, True)).regions == (Region.whole(FULL_HD),)
    assert plan_at(one, 0.2, None).regions == (Region.whole(FULL_HD),)


BOXES = st.tuples(
    st.floats(0, 1900), st.floats(0, 1060), st.floats(1, 1920), st.floats(1, 1080)
).map(lambda n: Box(n[0], n[1], n[0] + n[2], n[1] + n[3]).clipped(FULL_HD))


@given(st.lists(BOXES, max_size=12), st.floats(1, 4), st.integers(1, 4))
def test_regions_lie_in_the_frame_and_cover_what_moves(
    boxes: list[Box], zoom: float, most: int
) -> None:
    one = looker(max_zoom=zoom, max_per_frame=most)
    plan_at(one, 0.0, STILL)
    plan = plan_at(one, 0.1, moving(*boxes))
    if not boxes:
        assert plan.shed is ShedReason.STILL
        return
    assert 1 <= len(plan.regions) <= most
    for region in plan.regions:
        assert region.box.clipped(FULL_HD) == region.box
    for box in boxes:
        covered = any(region.box.intersection(box) >= box.area - 1e-6 for region in plan.regions)
        assert covered, f"{box} in none of {plan.regions}"


@given(st.lists(BOXES, max_size=10))
def test_merged_boxes_do_not_overlap(boxes: list[Box]) -> None:
    merged = merge_overlapping(boxes)
    for number, box in enumerate(merged):
        assert all(box.intersection(other) == 0 for other in merged[number + 1 :])


@given(BOXES)
def test_an_even_region_covers_its_box(box: Box) -> None:
    if box.area == 0:
        return
    assert even_region(box, FULL_HD).box.intersection(box) == pytest.approx(box.area)


def test_each_region_comes_with_what_it_is_worth() -> None:
    one = looker()
    assert plan_at(one, 0.0, STILL).worths == (Worth.MOTION,)
    somebody = track(TrackState.TENTATIVE, 0.1)
    plan = plan_at(one, 0.2, moving(Box(100, 100, 140, 140)), somebody)
    assert plan.worths == (Worth.MOTION, Worth.TRACK)
    assert [region.y < 400 for region in plan.regions] == [True, False]


def test_a_look_that_was_given_up_is_made_up_for_at_once() -> None:
    """The scene falls still just when a network fails: whoever came in must still be seen."""
    one = looker()
    one.plan(0, FULL_HD, STILL, ())
    one.note_given_up()
    assert plan_at(one, 0.1, STILL).regions == (Region.whole(FULL_HD),)
    assert plan_at(one, 0.2, STILL).shed is ShedReason.STILL
