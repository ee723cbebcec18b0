"""Tracks keep their numbers, live and die by seconds, and nothing can confuse the tracker."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_app.config import TrackingSettings
from camera_app.tracking import Tracker, visible
from camera_app.tracking.tracker import MAX_DETECTIONS, MAX_TRACKS
from camera_app.values import Box, Detection, Observation, Track, TrackState
from tests.tracking.scenes import (
    NS,
    SIZE,
    WHOLE,
    Walk,
    film,
    look,
    person,
    seen,
    times,
    track_at,
    tracked,
)

FRAME_RATES = [10.0, 5.0, 10 / 3]


def walker(speed: float, start: float = 100.0, y: float = 300.0) -> Walk:
    return lambda time_s: person(start + speed * time_s, y)


# -- becoming a track


def test_one_sight_is_tentative_and_a_few_more_confirm_it() -> None:
    states = [tracks[0].state for tracks in tracked(film([walker(60)], 1.0))]

    assert states[0] is TrackState.TENTATIVE
    needed = TrackingSettings().confirm_hits
    assert states[needed - 1 :] == [TrackState.CONFIRMED] * (len(states) - needed + 1)


def test_a_track_says_what_is_known_of_it() -> None:
    tracks = tracked(film([walker(60)], 2.0))[-1]

    (track,) = tracks
    assert track.track_id == 1
    assert track.label == "person"
    assert track.score == 0.8
    assert (track.first_seen_ns, track.last_seen_ns) == (0, 2 * NS)
    assert track.hits == 21
    assert track.box.iou(person(220)) > 0.9
    assert track.velocity_x_px_s == pytest.approx(60, rel=0.2)
    assert track.velocity_y_px_s == pytest.approx(0, abs=1)


@pytest.mark.parametrize("score", [0.0, 0.05, 0.3, 0.49])
def test_a_weak_detection_starts_no_track(score: float) -> None:
    assert tracked([look(0.0, seen(person(100), score))]) == [()]


def test_something_that_keeps_scoring_low_is_never_confirmed() -> None:
    """A bush that once scores enough to be noticed stays tentative however long it stands."""
    bush = [look(t, seen(person(100), 0.62 if t == 0 else 0.45)) for t in times(10.0, 10)]

    states = {track.state for tracks in tracked(bush) for track in tracks}

    assert states == {TrackState.TENTATIVE}


def test_a_weak_detection_goes_on_with_a_track_that_is_there() -> None:
    strong = film([walker(60)], 1.0)
    weak = [look(t, seen(person(100 + 60 * t), 0.2)) for t in (1.1, 1.2, 1.3)]

    (track,) = tracked(strong + weak)[-1]

    assert (track.state, track.hits, track.score) == (TrackState.CONFIRMED, 14, 0.2)


# -- two people, shed frames, hidden people


def crossing(until_s: float, fps: float) -> list[Observation]:
    """Two walk toward and past each other, one nearer to the camera than the other."""
    return film([walker(80, 100, 300), walker(-80, 740, 340)], until_s, fps)


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_who_meets_and_walks_on_keeps_the_number(fps: float) -> None:
    history = tracked(crossing(8.0, fps))

    first, last = history[0], history[-1]
    right, left = track_at(first, person(100, 300)), track_at(first, person(740, 340))
    assert track_at(last, person(740, 300)).track_id == right.track_id
    assert track_at(last, person(100, 340)).track_id == left.track_id
    assert {track.track_id for tracks in history for track in tracks} == {1, 2}


def test_shedding_frames_at_random_changes_no_number() -> None:
    frames = crossing(8.0, 10)
    kept = [frame for frame in frames if random.Random(frame.at_ns).random() < 0.4]

    ends = [
        [(t.track_id, t.box.centre.x > 400) for t in tracked(some)[-1]] for some in (frames, kept)
    ]

    assert ends[0] == ends[1]


@pytest.mark.parametrize("fps", FRAME_RATES)
@pytest.mark.parametrize("hidden_s", [0.5, 1.0])
def test_who_is_hidden_for_a_second_keeps_the_number(fps: float, hidden_s: float) -> None:
    def behind_a_lamp_post(time_s: float) -> Box | None:
        return None if 2.0 < time_s < 2.0 + hidden_s else person(100 + 60 * time_s)

    history = tracked(film([behind_a_lamp_post], 5.0, fps))

    assert {track.track_id for tracks in history for track in tracks} == {1}
    assert history[-1][0].state is TrackState.CONFIRMED


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_who_stands_still_and_is_not_seen_for_a_while_keeps_the_number(fps: float) -> None:
    gone = TrackingSettings().lost_s - 0.4

    def stander(time_s: float) -> Box | None:
        return None if 3.0 < time_s < 3.0 + gone else person(500, 360, height=600)

    history = tracked(film([stander], 8.0, fps))

    assert {track.track_id for tracks in history for track in tracks} == {1}


def test_who_comes_from_elsewhere_is_somebody_else() -> None:
    """One leaves at the right; a second later one comes in at the left."""
    leaving = film([lambda t: person(1200 + 60 * t) if t < 1 else None], 2.0)
    coming = [look(2.0 + t, seen(person(30 + 60 * t))) for t in times(1.0, 10)]

    history = tracked(leaving + coming)

    assert [track.track_id for track in history[-1] if track.state is TrackState.CONFIRMED] == [2]


def test_the_number_of_a_track_that_is_over_is_not_given_again() -> None:
    frames = film([lambda t: person(640) if t <= 1.0 else None], 5.0)
    frames += [look(5.1, seen(person(640)))]

    assert [track.track_id for track in tracked(frames)[-1]] == [2]


def test_a_box_that_may_hold_two_people_moves_a_track_less() -> None:
    """One detection where two were believed: it may be either, or both of them merged."""

    def moved_by(*others: Box) -> float:
        frames = film([lambda _, box=box: box for box in (person(600), *others)], 1.0)
        frames += [look(1.1, seen(person(610)))]
        return track_at(tracked(frames)[-1], person(600)).box.centre.x - 600

    assert 0 < moved_by(person(632)) < 0.7 * moved_by()


# -- being lost, being forgotten


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_a_lost_track_is_over_after_its_time_whatever_the_frame_rate(fps: float) -> None:
    lost_s = 2.0
    frames = film([lambda t: person(640) if t <= 3.0 else None], 8.0, fps)
    history = tracked(frames, TrackingSettings(lost_s=lost_s))

    for frame, tracks in zip(frames, history, strict=True):
        (last_s, time_s) = (math.floor(3.0 * fps + 1e-9) / fps, frame.at_ns / NS)
        if last_s < time_s < last_s + lost_s - 1e-6:
            assert [track.state for track in tracks] == [TrackState.LOST]
        if time_s > last_s + lost_s + 1e-6:
            assert tracks == ()


def test_a_tentative_track_is_forgotten_after_its_time() -> None:
    settings = TrackingSettings(tentative_s=0.5)
    frames = [look(0.0, seen(person(100))), *(look(t) for t in times(1.0, 10)[1:])]

    history = zip(frames, tracked(frames, settings), strict=True)
    alive = [frame.at_ns / NS for frame, tracks in history if tracks]

    assert alive == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_where_nobody_looked_nothing_is_missed() -> None:
    """Only the left half is looked at for a minute; the person stands in the right one."""
    left = Box(0, 0, 640, 720)
    frames = film([lambda _: person(1000)], 1.0)
    frames += [look(1.0 + t, looked_at=(left,)) for t in times(60.0, 2)[1:]]

    (track,) = tracked(frames)[-1]

    assert (track.state, track.last_seen_ns) == (TrackState.CONFIRMED, NS)
    assert track.box.iou(person(1000)) > 0.8


def test_a_look_after_a_long_pause_ends_nothing_by_itself() -> None:
    """Nobody looked for a minute; one look that finds nothing is one miss, not a minute of it."""
    frames = film([lambda _: person(1000)], 1.0)
    frames += [look(1.0 + t, looked_at=()) for t in times(60.0, 1)[1:]]

    history = tracked([*frames, look(61.1), look(61.2, seen(person(1000)))])

    assert history[-2][0].state is TrackState.LOST
    assert [(t.track_id, t.state) for t in history[-1]] == [(1, TrackState.CONFIRMED)]


def test_looking_in_vain_again_after_a_pause_ends_it_in_time() -> None:
    frames = film([lambda _: person(1000)], 1.0) + [look(30.0 + t) for t in times(4.0, 10)]

    assert tracked(frames)[-1] == ()


def test_a_track_that_nobody_ever_looks_for_again_ends_at_last() -> None:
    settings = TrackingSettings(unwatched_s=20.0)
    frames = film([lambda _: person(1000)], 1.0)
    frames += [look(1.0 + t, looked_at=()) for t in times(21.0, 1)[1:]]

    alive = [len(tracks) for tracks in tracked(frames, settings)[11:]]

    assert alive == [1] * 19 + [0] * 2


def test_who_walked_out_of_the_picture_is_not_waited_for_as_unwatched() -> None:
    frames = film([lambda t: person(1180 + 80 * t) if t <= 1.0 else None], 6.0)

    assert tracked(frames)[-1] == ()


# -- classes and doubles


def test_who_is_found_well_does_not_take_a_weak_detection_beside_it() -> None:
    frames = film([lambda _: person(640)], 1.0)
    frames += [look(1.1, seen(person(642)), seen(person(665), 0.2))]

    (track,) = tracked(frames)[-1]

    assert (track.score, track.hits) == (0.8, 12)
    assert track.box.centre.x == pytest.approx(641, abs=1.5)


def test_a_part_of_somebody_who_was_found_is_nobody_new() -> None:
    """A network often reports the upper half beside the whole; they overlap by a half."""
    whole = person(640, 300)
    half = Box(whole.left, whole.top, whole.right, whole.centre.y)
    frames = [look(t, seen(whole, 0.9), seen(half, 0.8)) for t in times(1.0, 10)[1:]]
    frames.insert(0, look(0.0, seen(whole)))

    assert [[t.track_id for t in tracks] for tracks in tracked(frames)] == [[1]] * 11


def test_of_two_that_overlap_each_goes_on_with_its_own_class() -> None:
    """By place alone the dog's detection would be the person's, and the other way round."""
    frames = [look(t, seen(person(600)), seen(person(630), label="dog")) for t in times(1.0, 10)]
    frames += [look(1.1, seen(person(618), 0.9), seen(person(612), 0.7, "dog"))]

    tracks = tracked(frames)[-1]

    assert {(track.label, track.score) for track in tracks} == {("person", 0.9), ("dog", 0.7)}


def test_a_flickering_class_is_one_track_named_by_the_majority() -> None:
    labels = ["car", "truck", "car", "car", "truck", "car", "car", "truck"]
    frames = [
        look(t / 10, seen(Box(100 + 5 * t, 200, 300 + 5 * t, 320), label=label))
        for t, label in enumerate(labels)
    ]

    (track,) = tracked(frames)[-1]

    assert (track.track_id, track.label, track.hits) == (1, "car", 8)


def test_a_wrong_first_class_is_outvoted() -> None:
    frames = [
        look(t / 10, seen(Box(100, 200, 300, 320), label=label))
        for t, label in enumerate(["truck", "car", "car", "car"])
    ]

    assert tracked(frames)[-1][0].label == "car"


def test_a_rider_does_not_become_the_bicycle() -> None:
    rider, bicycle = Box(100, 100, 160, 260), Box(90, 180, 180, 290)
    both = [look(t, seen(rider), seen(bicycle, label="bicycle")) for t in times(1.0, 10)]
    hidden = [look(1.0 + t, seen(bicycle, label="bicycle")) for t in times(0.5, 10)[1:]]

    tracks = tracked(both + hidden)[-1]

    assert [(t.label, t.state) for t in tracks] == [
        ("person", TrackState.LOST),
        ("bicycle", TrackState.CONFIRMED),
    ]


@pytest.mark.parametrize(
    ("kinds", "labels"),
    [((), {"person"}), ((("person",), ("face",)), {"person", "face"})],
)
def test_a_face_that_fills_the_picture_goes_on_with_a_person_only_if_one_network_finds_both(
    kinds: tuple[tuple[str, ...], ...], labels: set[str]
) -> None:
    """Somebody steps up to the camera: the person is found no more, only the face."""
    tracker = Tracker(TrackingSettings(), kinds)
    close = Box(400, 100, 700, 500)
    for frame in range(5):
        tracker.update(look(frame / 10, seen(close)))

    tracks = tracker.update(look(0.5, seen(close, label="face")))

    assert {track.label for track in tracks} == labels


@pytest.mark.parametrize("shift", [0.0, 2.0, 4.0])
def test_one_object_found_in_two_regions_is_one_track(shift: float) -> None:
    frames = [
        look(t, seen(person(300), 0.8), seen(person(300 + shift), 0.75)) for t in times(1.0, 10)
    ]

    assert [[t.track_id for t in tracks] for tracks in tracked(frames)] == [[1]] * 11


# -- any input


def test_time_does_not_go_back() -> None:
    tracker = Tracker(TrackingSettings())
    tracker.update(look(1.0))

    with pytest.raises(ValueError, match="comes after"):
        tracker.update(look(0.9))


@pytest.mark.parametrize(
    "box",
    [
        Box(10, 10, 10, 50),
        Box(50, 10, 10, 50),
        Box(math.nan, 10, 50, 50),
        Box(10, 10, math.inf, 50),
        Box(-math.inf, 10, 20, 50),
        Box(10, 10, 20, math.nan),
    ],
)
def test_a_box_that_is_none_is_no_detection(box: Box) -> None:
    frames = [look(t, seen(box, 0.9), seen(person(600))) for t in times(0.5, 10)]

    assert [[t.track_id for t in tracks] for tracks in tracked(frames)] == [[1]] * 6


def test_a_score_that_is_no_number_is_no_detection() -> None:
    assert tracked([look(0.0, seen(person(100), math.nan))]) == [()]


def test_nothing_seen_gives_no_tracks() -> None:
    assert tracked([look(t) for t in times(1.0, 10)]) == [()] * 11


def test_a_flood_of_detections_is_bounded() -> None:
    """A broken model may find thousands of things everywhere; memory and time stay bounded."""
    source = random.Random(5)

    def flood(time_s: float) -> Observation:
        boxes = [person(source.uniform(0, 1280), source.uniform(0, 720)) for _ in range(3000)]
        return look(time_s, *(seen(box, source.uniform(0.5, 1.0)) for box in boxes))

    counts = [len(tracks) for tracks in tracked(flood(t / 10) for t in range(6))]

    assert counts[0] <= MAX_DETECTIONS
    assert max(counts) <= MAX_TRACKS


coordinates = st.floats(-50, 1300, allow_nan=False)
sizes = st.floats(0.5, 400, allow_nan=False)
detections = st.builds(
    lambda x, y, w, h, score, label: Detection(Box(x, y, x + w, y + h), label, score),
    coordinates,
    coordinates,
    sizes,
    sizes,
    st.sampled_from([0.05, 0.2, 0.45, 0.55, 0.7, 0.7, 0.9]),
    st.sampled_from(["person", "car"]),
)
regions = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), coordinates, coordinates, sizes, sizes
)
looks = st.lists(
    st.tuples(
        st.integers(0, 3 * NS),
        st.lists(detections, max_size=12),
        st.one_of(st.just((WHOLE,)), st.just(()), st.tuples(regions), st.tuples(regions, regions)),
    ),
    min_size=1,
    max_size=12,
)


def observed(steps: list[tuple[int, list[Detection], tuple[Box, ...]]]) -> list[Observation]:
    at_ns, observations = 0, []
    for pause_ns, found, looked_at in steps:
        at_ns += pause_ns
        observations.append(Observation(at_ns, SIZE, looked_at, tuple(found)))
    return observations


@given(looks)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_the_tracks_make_sense(
    steps: list[tuple[int, list[Detection], tuple[Box, ...]]],
) -> None:
    observations = observed(steps)
    born: dict[int, int] = {}
    dead: set[int] = set()
    for observation, tracks in zip(observations, tracked(observations), strict=True):
        ids = [track.track_id for track in tracks]
        assert ids == sorted(set(ids)), "ordered by number, each number once"
        assert not dead & set(ids), "a number is never used again"
        dead |= born.keys() - set(ids)
        for track in tracks:
            assert born.setdefault(track.track_id, track.first_seen_ns) == track.first_seen_ns
            _assert_sensible(track, observation)


def _assert_sensible(track: Track, observation: Observation) -> None:
    box = track.box
    assert 0 <= box.left <= box.right <= SIZE.width
    assert 0 <= box.top <= box.bottom <= SIZE.height
    assert math.isfinite(track.velocity_x_px_s)
    assert math.isfinite(track.velocity_y_px_s)
    assert track.first_seen_ns <= track.last_seen_ns <= observation.at_ns
    assert track.hits >= 1


@given(looks, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_detections_does_not_matter(
    steps: list[tuple[int, list[Detection], tuple[Box, ...]]], source: random.Random
) -> None:
    shuffled = [
        (pause_ns, source.sample(found, len(found)), looked_at)
        for pause_ns, found, looked_at in steps
    ]

    assert tracked(observed(shuffled)) == tracked(observed(steps))


@given(st.lists(detections, max_size=15), st.lists(detections, max_size=15))
@settings(max_examples=100, deadline=None)
def test_no_detection_goes_to_two_tracks(first: list[Detection], second: list[Detection]) -> None:
    tracker = Tracker(TrackingSettings(merge_overlap=1.0))
    before = tracker.update(Observation(0, SIZE, (WHOLE,), tuple(first)))
    after = tracker.update(Observation(NS // 10, SIZE, (WHOLE,), tuple(second)))

    hits = sum(track.hits for track in after)
    assert hits <= len(before) + len(second)
    assert sum(track.last_seen_ns == NS // 10 for track in after) <= len(second)


# -- what is shown


def test_confirmed_tracks_are_visible_and_lost_ones_for_a_moment() -> None:
    frames = film([lambda t: person(640) if t <= 1.0 else None], 2.0)

    history = zip(frames, tracked(frames), strict=True)
    shown = [len(visible(tracks, frame.at_ns, 0.3)) for frame, tracks in history]

    hidden_at_first = TrackingSettings().confirm_hits - 1
    assert shown == [0] * hidden_at_first + [1] * (14 - hidden_at_first) + [0] * 7
