"""Replay with persons' and faces' networks at once, on a film that needs nothing from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from camera_app.config import CameraSettings, EventSettings
from camera_app.demo import make_film
from camera_app.models import find_models
from camera_app.replay import ReplayHooks, ReplayRequest, ReplaySummary, Watched, run_replay
from tools.bench.determinism import busy_cores

pytest.importorskip("skimage", reason="the scene is made from what scikit-image carries")
pytest.importorskip("matplotlib", reason="the scene is made from what matplotlib carries")

BOTH = ("person_large", "face")
SETTINGS = CameraSettings(source="replay")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("scene")).clip


def replay(
    clip: Path,
    *names: str,
    out: Path | None = None,
    seats: int = 0,
    labels: tuple[str, ...] | None = None,
    hooks: ReplayHooks | None = None,
) -> ReplaySummary:
    settings = SETTINGS
    if labels is not None:
        settings = SETTINGS.model_copy(update={"events": EventSettings(labels=labels)})
    request = ReplayRequest(
        (clip,), settings, find_models(names), out, seats=seats, has_tracks=out is not None
    )
    return run_replay(request, hooks)


def test_persons_and_faces_are_the_same_every_time_idle_busy_and_with_other_seats(
    clip: Path, tmp_path: Path
) -> None:
    def digest(seats: int) -> tuple[str, str]:
        summary = replay(clip, *BOTH, out=tmp_path, seats=seats)
        return summary.events_sha256, (tmp_path / "tracks.txt").read_text()

    digests = {digest(seats) for seats in (1, 2, 3)}
    with busy_cores(os.cpu_count() or 1):
        digests.add(digest(2))
    assert len(digests) == 1


def test_the_second_model_adds_its_events_and_the_summary_names_both(clip: Path) -> None:
    alone, both = replay(clip, "person_large"), replay(clip, *BOTH)
    [of_person, of_face] = (find_models([name]).digest for name in BOTH)

    assert (alone.events, both.events) == (4, 8)
    assert (alone.model, both.model) == ("person_large", "person_large + face")
    assert alone.model_sha256 == of_person
    assert both.model_sha256 not in {of_person, of_face}


def test_labels_choose_from_all_that_the_models_find(clip: Path) -> None:
    assert replay(clip, *BOTH, labels=("face",)).events == 4
    assert replay(clip, *BOTH, labels=()).events == 8
    assert replay(clip, *BOTH, labels=("dog",)).events == 0


def test_who_listens_hears_of_every_frame_what_was_found_and_followed(clip: Path) -> None:
    heard: list[Watched] = []
    summary = replay(clip, *BOTH, hooks=ReplayHooks(watched=heard.append))

    assert [watched.frame.sequence for watched in heard] == list(range(summary.frames))
    looked = [watched.observation for watched in heard if watched.observation is not None]
    assert len(looked) == summary.looked_at < summary.frames
    assert {one.label for look in looked for one in look.detections} == {"person", "face"}
    for watched in heard:
        if watched.observation is not None:
            assert watched.observation.at_ns == watched.frame.captured_ns
