"""Films as they lie on the disk: whole, cut off, and given up."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from camera_app.capture import film_file
from camera_app.capture.encoding import PictureEncoder, frame_of
from camera_app.capture.film_file import FilmFile
from camera_app.capture.pieces import Piece
from camera_app.capture.wire import unfinished
from camera_app.clock import NS_PER_S
from camera_app.media.films import settle
from camera_app.values import Yuv420
from tests.capture.conftest import luma_of


def pieces(count: int, *, fps: int = 10, size: tuple[int, int] = (64, 48)) -> Iterator[Piece]:
    """Flat pictures, each brighter than the one before, compressed."""
    encoder = PictureEncoder(fps)
    width, height = size
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    for number in range(count):
        picture = Yuv420(np.full((height, width), luma_of(number), np.uint8), chroma, chroma)
        yield from encoder.pieces(frame_of(picture), number * NS_PER_S // fps)


def brightness(path: Path) -> list[int]:
    """Return the mean luma of every picture of a film, rounded to what `luma_of` steps by."""
    with av.open(str(path)) as film:
        means = [frame.to_ndarray()[: frame.height].mean() for frame in film.decode(video=0)]
    return [round((mean - 40) / 8) % 24 for mean in means]


def test_a_film_is_a_plain_mp4_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "films" / "front" / "one.mp4"
    made = list(pieces(45))
    film = FilmFile(path, made[0].make)
    film.open()
    for one in made:
        film.write(one)
    assert unfinished(path).exists()
    film.finish()
    assert brightness(path) == [number % 24 for number in range(45)]
    with av.open(str(path)) as opened:
        assert opened.duration == 4_500_000
        assert [float(one.pts * one.time_base) for one in opened.demux(video=0) if one.size] == [
            number / 10 for number in range(45)
        ]
    assert b"moof" not in path.read_bytes()[:64]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [folder.stat().st_mode & 0o777 for folder in path.parents[:2]] == [0o700, 0o700]
    assert not unfinished(path).exists()


def test_each_fragment_is_brought_to_the_disk_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut takes what the kernel has not written; a kill does not show that."""
    synced: list[int] = []
    path = tmp_path / "a.mp4"
    monkeypatch.setattr(
        film_file.os, "fdatasync", lambda _: synced.append(unfinished(path).stat().st_size)
    )
    made = list(pieces(90))
    film = FilmFile(path, made[0].make)
    film.open()
    for one in made:
        film.write(one)
    # Nine seconds, a key picture every two: the fragment that goes on is not there yet.
    assert len(synced) == 4
    assert synced == sorted(set(synced))
    assert synced[-1] == unfinished(path).stat().st_size
    film.finish()
    assert len(synced) == 5


def test_a_film_that_begins_late_in_a_stream_begins_at_zero(tmp_path: Path) -> None:
    path = tmp_path / "late.mp4"
    made = list(pieces(60))[20:]
    film = FilmFile(path, made[0].make)
    film.open()
    for one in made:
        film.write(one)
    film.finish()
    assert (film.begins_ns, film.ends_ns, film.pictures) == (2 * NS_PER_S, 5.9 * NS_PER_S, 40)
    with av.open(str(path)) as opened:
        assert next(opened.demux(video=0)).pts == 0


REPOSITORY = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from camera_app.capture.film_file import FilmFile
from tests.capture.test_film_file import pieces
film, film_pieces = None, pieces(10_000)
for one in film_pieces:
    if film is None:
        film = FilmFile(Path(sys.argv[1]), one.make)
        film.open()
    film.write(one)
    print(film.pictures, flush=True)
    if film.pictures >= 75:
        sys.stdin.read()
"""


def test_a_writer_that_is_killed_leaves_all_but_the_last_seconds(tmp_path: Path) -> None:
    path = tmp_path / "killed.mp4"
    command = [sys.executable, "-c", WRITER, str(path), str(REPOSITORY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert any(line.strip() == b"75" for line in writer.stdout)
        writer.send_signal(signal.SIGKILL)
    # As it lies there, without being mended: a fragment of two seconds is lost at most.
    assert brightness(unfinished(path))[:55] == [number % 24 for number in range(55)]
    found = settle(unfinished(path))
    assert found is not None
    assert found[0] == path
    assert not found[1].is_whole
    assert 5.5 <= found[1].lasts_s <= 7.5
    whole = brightness(path)
    assert whole == [number % 24 for number in range(len(whole))]
    assert len(whole) == round(found[1].lasts_s * 10)


def test_a_film_that_is_given_up_before_its_first_fragment_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    first = next(pieces(1))
    film = FilmFile(path, first.make)
    film.open()
    film.write(first)
    film.give_up()
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_is_given_up_later_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "some.mp4"
    made = list(pieces(50))
    film = FilmFile(path, made[0].make)
    film.open()
    for one in made:
        film.write(one)
    assert film.is_begun
    before = unfinished(path).stat().st_size
    film.give_up()
    del film
    assert unfinished(path).stat().st_size == before  # nothing is written any more, not by the end
    assert len(brightness(unfinished(path))) >= 40


def test_a_film_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kept")
    path = tmp_path / "a.mp4"
    unfinished(path).symlink_to(tmp_path / "secret")
    with pytest.raises(FileExistsError):
        FilmFile(path, next(pieces(1)).make).open()
    assert (tmp_path / "secret").read_text() == "kept"


def test_a_film_that_somebody_left_unfinished_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    unfinished(path).write_bytes(b"what a killed child left")
    film = FilmFile(path, next(pieces(1)).make)
    with pytest.raises(FileExistsError):
        film.open()
    film.give_up()
    assert unfinished(path).read_bytes() == b"what a killed child left"
