"""What of a film is whole, wherever it was cut off."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import av
import pytest

from camera_app.capture.film_file import FilmFile
from camera_app.capture.wire import unfinished
from camera_app.media.mp4 import NotPlayable, playable
from tests.capture.test_film_file import brightness, pieces


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film of nine seconds whose writer never came back."""
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    made = list(pieces(90))
    film = FilmFile(path, made[0].make)
    film.open()
    for one in made:
        film.write(one)
    return unfinished(path).read_bytes()


def test_wherever_a_film_is_cut_off_what_is_said_to_be_whole_plays(
    cut_off: bytes, tmp_path: Path
) -> None:
    seen = set()
    for length in range(len(cut_off)):
        try:
            found = playable(io.BytesIO(cut_off[:length]))
        except NotPlayable:
            assert not seen  # once there is something, more bytes do not take it away
            continue
        assert found.size_bytes <= length
        assert not found.is_whole
        seen.add((found.size_bytes, found.lasts_s))
    assert len(seen) >= 3
    path = tmp_path / "cut.mp4"
    for size_bytes, lasts_s in seen:
        path.write_bytes(cut_off[:size_bytes])
        shown = brightness(path)
        assert shown == [number % 24 for number in range(len(shown))]
        assert len(shown) == pytest.approx(lasts_s * 10, abs=1)


@pytest.mark.parametrize("seed", range(20))
def test_damage_is_no_crash_and_no_endless_search(cut_off: bytes, seed: int) -> None:
    damaged = bytearray(cut_off)
    for step in range(200):
        damaged[(seed * 7919 + step * 104_729) % len(damaged)] ^= 1 + (seed + step) % 255
    with contextlib.suppress(NotPlayable):
        assert playable(io.BytesIO(bytes(damaged))).size_bytes <= len(damaged)


def test_a_finished_film_is_whole_and_as_long_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    made = list(pieces(45))
    film = FilmFile(path, made[0].make)
    film.open()
    for one in made:
        film.write(one)
    film.finish()
    with path.open("rb") as file:
        found = playable(file)
    with av.open(str(path)) as opened:
        assert opened.duration is not None
        assert found.lasts_s == pytest.approx(opened.duration / av.time_base, abs=0.01)
    assert (found.is_whole, found.size_bytes) == (True, path.stat().st_size)


@pytest.mark.parametrize("data", [b"", b"no film", bytes(100), b"\0\0\0\x08moov" * 3])
def test_what_is_no_film_is_not_playable(data: bytes) -> None:
    with pytest.raises(NotPlayable):
        playable(io.BytesIO(data))
