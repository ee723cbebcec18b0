"""Recorded clips give the events that a person reads off them, every time the same."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tomllib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from camera_app.config import CameraSettings, MaskSettings, MotionSettings, RegionSettings
from camera_app.errors import SourceError, StoreError
from camera_app.models import find_models
from camera_app.replay import ReplayRequest, ReplaySummary, run_replay
from camera_app.store import EventFilter, EventQueries
from tests.conftest import SHARED
from tools.bench.determinism import busy_cores

MODELS = ["person_large"]
SETTINGS = CameraSettings(source="replay")

pytestmark = pytest.mark.shared


def replay(clip: Path, out: Path | None = None, **how: object) -> ReplaySummary:
    settings = how.pop("settings", SETTINGS)
    models = find_models(how.pop("models", MODELS))  # type: ignore[arg-type]
    return run_replay(
        ReplayRequest((clip,), settings, models, out, **how)  # type: ignore[arg-type]
    )


def events_of(out: Path) -> dict[str, list[dict[str, object]]]:
    """Return the changes of the log by event."""
    events: dict[str, list[dict[str, object]]] = {}
    for line in (out / "events.jsonl").read_text().splitlines():
        change = json.loads(line)
        events.setdefault(change["event_id"], []).append(change)
    return events


def seconds_of(stamp: object) -> float:
    """Return a stamp of a replay as seconds of the clip, which begins in 1970."""
    minutes, seconds = str(stamp)[14:-1].split(":")
    return int(minutes) * 60 + float(seconds)


def visits(shared: Path) -> tuple[list[tuple[float, float]], float]:
    """Return the visits that were read by eye, in seconds, and how far off an event may be."""
    manifest = tomllib.loads((shared / "clips" / "MANIFEST.toml").read_text())
    (clip,) = [c for c in manifest["clip"] if c["file"] == "one_by_one_person.mp4"]
    fps = clip["fps"]
    return [(a / fps, b / fps) for a, b in clip["present"]], clip["tolerance"] / fps + 1.0


@pytest.mark.parametrize(
    "model",
    [
        "yolox_nano_person_256",
        "yolox_nano_coco_320",
        "yolox_nano_coco_416",
        "person_large",
        "person_small",
    ],
)
def test_six_visits_are_six_events_when_they_were(shared: Path, tmp_path: Path, model: str) -> None:
    summary = replay(shared / "clips" / "one_by_one_person.mp4", tmp_path, models=[model])
    expected, tolerance_s = visits(shared)
    assert summary.events == len(expected) == 6
    for changes, (start_s, end_s) in zip(events_of(tmp_path).values(), expected, strict=True):
        assert [changes[0]["type"], changes[-1]["type"]] == ["started", "ended"]
        assert seconds_of(changes[0]["started_at"]) == pytest.approx(start_s, abs=tolerance_s)
        assert seconds_of(changes[-1]["ended_at"]) == pytest.approx(end_s, abs=tolerance_s)


def test_every_frame_is_looked_at_or_shed_for_a_reason(shared: Path, tmp_path: Path) -> None:
    summary = replay(shared / "clips" / "one_by_one_person.mp4")
    assert summary.frames == 1394
    assert summary.frames == summary.looked_at + sum(summary.shed.values())
    assert summary.shed["still"] > 0


def test_the_database_holds_what_the_log_says(shared: Path, tmp_path: Path) -> None:
    summary = replay(shared / "clips" / "signers" / "help.mkv", tmp_path)
    log = (tmp_path / "events.jsonl").read_bytes()
    assert hashlib.sha256(log).hexdigest() == summary.events_sha256
    with EventQueries(tmp_path / "events.db") as queries:
        events = list(queries.events(EventFilter()))
        kept = [change.record for event in events for change in queries.changes(event.event_id)]
    assert sorted(kept) == sorted(log.decode().splitlines())
    assert {event.event_id for event in events} == set(events_of(tmp_path))


def test_snapshots_film_and_tracks_are_written(shared: Path, tmp_path: Path) -> None:
    summary = replay(
        shared / "clips" / "signers" / "help.mkv", tmp_path, is_annotated=True, has_tracks=True
    )
    assert {path.stem for path in (tmp_path / "snapshots").iterdir()} == set(events_of(tmp_path))
    assert (tmp_path / "annotated.mp4").stat().st_size > 10_000
    lines = (tmp_path / "tracks.txt").read_text().splitlines()
    frames = [int(line.split(",")[0]) for line in lines]
    assert frames == sorted(frames)
    assert 1 <= frames[0] <= frames[-1] <= summary.frames


def write_far_scene(shared: Path, path: Path) -> None:
    """Put the people of a clip, a quarter of their size, into a large grey picture."""
    with av.open(str(shared / "clips" / "one_by_one_person.mp4")) as source:
        frames = [frame for _, frame in zip(range(260), source.decode(video=0), strict=False)]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number, frame in enumerate(frames):
            canvas = np.full((1080, 1920, 3), 128, np.uint8)
            small = frame.reformat(width=192, height=108, format="bgr24").to_ndarray()
            canvas[600:708, 1200:1392] = small
            picture = av.VideoFrame.from_ndarray(canvas, format="bgr24")
            picture.pts, picture.time_base = number, Fraction(1, 10)
            film.mux(stream.encode(picture))
        film.mux(stream.encode())


@pytest.fixture(scope="module")
def far_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in which what is looked at hangs on what was found before: crops follow tracks."""
    clip = tmp_path_factory.mktemp("far") / "far.mp4"
    write_far_scene(SHARED, clip)
    return clip


def test_the_same_clip_gives_the_same_events_idle_busy_and_with_other_seats(
    far_scene: Path, tmp_path: Path
) -> None:
    """Seats change which network finishes first; a busy machine changes when.

    Compared are the tracks of every frame: an event log rounds small differences away.
    """

    def digest(seats: int) -> tuple[str, str]:
        summary = replay(far_scene, tmp_path, seats=seats, has_tracks=True)
        return summary.events_sha256, (tmp_path / "tracks.txt").read_text()

    digests = {digest(seats) for seats in (1, 2, 3)}
    with busy_cores(os.cpu_count() or 1):
        digests.add(digest(2))
    assert len(digests) == 1


def test_other_settings_give_other_events(shared: Path) -> None:
    clip = shared / "clips" / "signers" / "help.mkv"
    off = SETTINGS.model_copy(update={"motion": MotionSettings(enabled=False)})
    assert replay(clip).config_sha256 != replay(clip, settings=off).config_sha256


def test_what_is_masked_is_not_seen(shared: Path, tmp_path: Path) -> None:
    clip = shared / "clips" / "signers" / "help.mkv"
    everything = MaskSettings(polygon=((0, 0), (1, 0), (1, 1), (0, 1)))
    masked = SETTINGS.model_copy(update={"privacy_masks": (everything,)})
    assert replay(clip).events == 1
    assert replay(clip, tmp_path, settings=masked).events == 0


def test_a_clip_that_is_none_says_so(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a film")
    with pytest.raises(SourceError, match=r"notes\.mp4"):
        replay(text)
    with pytest.raises(SourceError, match=r"absent\.mp4"):
        replay(tmp_path / "absent.mp4")


def test_a_clip_that_is_none_leaves_an_earlier_replay_alone(shared: Path, tmp_path: Path) -> None:
    replay(shared / "clips" / "signers" / "help.mkv", tmp_path)
    before = (tmp_path / "events.jsonl").read_text()
    with pytest.raises(SourceError):
        replay(tmp_path / "absent.mp4", tmp_path)
    assert (tmp_path / "events.jsonl").read_text() == before


def test_a_folder_that_cannot_be_written_says_so(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="--out"):
        replay(shared / "clips" / "signers" / "help.mkv", tmp_path / "file" / "out")


def test_an_earlier_replay_in_the_folder_is_replaced(shared: Path, tmp_path: Path) -> None:
    clip = shared / "clips" / "signers" / "help.mkv"
    (tmp_path / "mine.txt").write_text("keep me")
    first, second = replay(clip, tmp_path), replay(clip, tmp_path)
    assert first.events_sha256 == second.events_sha256
    assert len(events_of(tmp_path)) == 1
    assert (tmp_path / "mine.txt").exists()


def test_crops_let_a_small_network_see_somebody_far_away(far_scene: Path) -> None:
    """A person of 80 pixels in a picture of 1080 is 11 pixels high to a network of 256."""
    whole = SETTINGS.model_copy(update={"regions": RegionSettings(mode="whole")})
    assert replay(far_scene, settings=whole).events == 0
    assert (
        replay(far_scene).events == 2
    )  # the first visit, and the second, which the clip cuts short


def frames_in(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_clip_whose_resolution_changes_half_way_is_played_to_its_end(
    shared: Path, tmp_path: Path
) -> None:
    """Two clips of different size, one after the other in one MPEG transport stream."""
    parts = []
    for name, size in (("help.mkv", "640x480"), ("eat.mkv", "320x240")):
        part = tmp_path / f"{size}.ts"
        source = shared / "clips" / "signers" / name
        words = ["ffmpeg", "-v", "error", "-i", str(source), "-an", "-s", size, str(part)]
        subprocess.run(words, check=True)
        parts.append(part)
    clip = tmp_path / "both.ts"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    summary = replay(clip, tmp_path / "out")
    assert summary.frames == frames_in(clip) > 100
    sizes = [changes[0]["frame_size"] for changes in events_of(tmp_path / "out").values()]
    assert sizes == [[640, 480], [320, 240]]
