from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from camera_app.capture import ClipReader
from camera_app.capture.masks import LUMA_FLAT
from camera_app.errors import SourceLost, SourceUnsupported
from camera_app.values import Frame, Size

MakeClip = Callable[..., Path]
MS = 1_000_000


def read(path: Path) -> tuple[list[Frame], str]:
    with ClipReader(path, "front") as clip:
        return list(clip.frames()), clip.warning


def stamps_ms(frames: list[Frame]) -> list[int]:
    return [frame.captured_ns // MS for frame in frames]


def is_in_order(frames: list[Frame]) -> bool:
    """Made clips grow brighter from picture to picture, for 24 of them."""
    means = [float(frame.picture.luma.mean()) for frame in frames]
    return all(after > before + 4 for before, after in itertools.pairwise(means))


def test_every_frame_comes_once_in_order_with_the_clips_own_time(make_clip: MakeClip) -> None:
    frames, warning = read(make_clip("plain.mp4"))
    assert stamps_ms(frames) == list(range(0, 2000, 100))
    assert [frame.sequence for frame in frames] == list(range(20))
    assert {frame.camera for frame in frames} == {"front"}
    assert is_in_order(frames)
    assert warning == ""


def test_a_clip_says_what_it_is(make_clip: MakeClip) -> None:
    with ClipReader(make_clip("plain.mp4")) as clip:
        info = clip.open()
    assert info.size == Size(64, 48)
    assert info.fps == pytest.approx(10.0, rel=0.06)
    assert info.frame_count == 20
    assert info.duration_s == pytest.approx(2.0, abs=0.11)


def test_b_frames_come_in_the_order_they_are_shown(make_clip: MakeClip) -> None:
    path = make_clip("b.mp4", options={"bf": "3", "b-adapt": "0", "g": "20"})
    frames, _ = read(path)
    assert stamps_ms(frames) == list(range(0, 2000, 100))
    assert is_in_order(frames)


@pytest.mark.parametrize("name", ["variable.mp4", "variable.mkv"])
def test_a_variable_frame_rate_keeps_its_time_stamps(make_clip: MakeClip, name: str) -> None:
    stamps = [0, 33, 66, 100, 400, 401, 500, 1500, 1533, 1700]
    frames, _ = read(make_clip(name, stamps_ms=stamps, options={"bf": "2"}))
    assert stamps_ms(frames) == stamps
    assert is_in_order(frames)


def test_time_begins_at_the_first_frame(make_clip: MakeClip) -> None:
    frames, _ = read(make_clip("late.mkv", stamps_ms=[5000, 5100, 5300]))
    assert stamps_ms(frames) == [0, 100, 300]


def test_a_clip_cut_short_brings_what_it_has_and_says_so(make_clip: MakeClip) -> None:
    whole = make_clip(
        "whole.mp4",
        size=(320, 240),
        stamps_ms=range(0, 6000, 100),
        options={"movflags": "faststart"},
    )
    _faststart(whole)
    cut = whole.with_name("cut.mp4")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    frames, warning = read(cut)
    assert 0 < len(frames) < 60
    assert is_in_order(frames[:20])
    assert warning == f"is cut short: {len(frames)} of 60 frames are there"


def _faststart(path: Path) -> None:
    """Put the index first, so that a clip cut at the end still has it."""
    moved = path.with_name("moved.mp4")
    with (
        av.open(str(path)) as source,
        av.open(str(moved), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    moved.replace(path)


def test_a_stream_cut_short_says_so_too(make_clip: MakeClip) -> None:
    """Matroska declares how long it lasts, not how many pictures it has."""
    whole = make_clip("whole.mkv", size=(320, 240), stamps_ms=range(0, 6000, 100))
    cut = whole.with_name("cut.mkv")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames, warning = read(cut)
    assert 0 < len(frames) < 50
    assert warning.startswith("is cut short: ")
    assert warning.endswith(" of 6.0 s are there")


def test_damage_in_the_middle_costs_frames_and_is_told(make_clip: MakeClip) -> None:
    path = make_clip(
        "damaged.ts", size=(320, 240), stamps_ms=range(0, 4000, 100), options={"g": "10"}
    )
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    for at in range(middle, middle + 2000, 7):
        data[at] ^= 0xFF
    path.write_bytes(data)
    frames, _ = read(path)
    assert 20 <= len(frames) <= 40
    assert frames[-1].captured_ns > 3_500 * MS  # it goes on behind the damage


def test_a_resolution_that_changes_half_way_shows_in_the_frames(make_clip: MakeClip) -> None:
    small = make_clip("small.h264", stamps_ms=range(0, 1000, 100))
    large = make_clip("large.h264", size=(128, 96), stamps_ms=range(0, 1000, 100))
    both = small.with_name("both.h264")
    both.write_bytes(small.read_bytes() + large.read_bytes())
    frames, _ = read(both)
    assert [frame.size for frame in frames] == [Size(64, 48)] * 10 + [Size(128, 96)] * 10
    times = [frame.captured_ns for frame in frames]
    assert times == sorted(set(times))


def test_a_clip_that_is_not_there_names_itself_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceLost) as caught:
        ClipReader(tmp_path / "none.mp4").open()
    assert str(caught.value) == f"{tmp_path}/none.mp4: is not there. Check the path."


@pytest.mark.parametrize("content", [b"", b"not a video at all\n" * 100, bytes(5000)])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fake.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceUnsupported) as caught:
        ClipReader(path).open()
    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_a_clip_without_its_index_is_refused(make_clip: MakeClip) -> None:
    whole = make_clip("whole.mp4", size=(320, 240))
    data = whole.read_bytes()
    whole.write_bytes(data[: data.index(b"moov") + 20])
    with pytest.raises(SourceUnsupported):
        ClipReader(whole).open()


def test_a_clip_of_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceUnsupported, match="has no video"):
        ClipReader(path).open()


def test_a_clip_none_of_whose_pictures_decodes_is_refused(make_clip: MakeClip) -> None:
    path = make_clip("plain.mkv")
    emptied = path.with_name("emptied.mkv")
    with av.open(str(path)) as source, av.open(str(emptied), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for index in range(10):
            packet = av.Packet(bytes(200))
            packet.stream, packet.pts, packet.dts = stream, index * 100, index * 100
            target.mux(packet)
    with pytest.raises(SourceUnsupported, match="no picture that can be decoded"):
        read(emptied)


def test_a_folder_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(SourceLost):
        ClipReader(tmp_path).open()


def test_masks_are_painted_before_a_frame_leaves(make_clip: MakeClip) -> None:
    mask = SimpleNamespace(polygon=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
    with ClipReader(make_clip("plain.mp4"), masks=[mask]) as clip:
        for frame in clip.frames():
            assert (frame.picture.luma[:, :32] == LUMA_FLAT).all()
            assert (frame.picture.luma[:, 34:] > 36).all()


def test_masks_do_not_disturb_the_decoder(make_clip: MakeClip) -> None:
    """Painting into a decoded picture would smear into those that are predicted from it."""
    path = make_clip("plain.mp4", options={"g": "100"})
    mask = SimpleNamespace(polygon=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
    with ClipReader(path, masks=[mask]) as clip:
        masked = [frame.picture.luma[:, 34:].copy() for frame in clip.frames()]
    plain, _ = read(path)
    for one, other in zip(masked, plain, strict=True):
        assert (one == other.picture.luma[:, 34:]).all()


def test_a_held_frame_stays_what_it_was(make_clip: MakeClip) -> None:
    frames, _ = read(make_clip("plain.mp4"))
    assert is_in_order(frames)  # all of them are held at once, long after they were decoded


def test_closing_twice_does_no_harm(make_clip: MakeClip) -> None:
    clip = ClipReader(make_clip("plain.mp4"))
    clip.close()
    clip.open()
    clip.close()
    clip.close()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        ("one_by_one_person.mp4", 1394, Size(768, 432)),
        ("cars_from_above.mp4", 377, Size(768, 432)),
        ("signers/again.mkv", 77, Size(640, 480)),
    ],
)
def test_shared_clips_have_the_frames_that_their_manifest_says(
    shared: Path, name: str, count: int, size: Size
) -> None:
    frames = 0
    with ClipReader(shared / "clips" / name) as clip:
        for frame in clip.frames():
            frames += 1
            assert frame.size == size
    assert (frames, clip.warning) == (count, "")
