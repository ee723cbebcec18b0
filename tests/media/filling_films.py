"""Run by test_space.py on a file system of eight megabytes, given as argument.

Films are made while the disk fills: by themselves, with the guard looking, and without it.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from camera_app.capture import FilmNews, FilmOrder, FilmWish
from camera_app.capture.filming import FilmDesk, FilmMeans
from camera_app.capture.wire import unfinished
from camera_app.clock import NS_PER_S
from camera_app.media import SpaceGuard
from camera_app.media.films import settle
from tests.capture.test_film_file import brightness, pieces
from tests.waiting import wait_until

RESERVE = 4_000_000
# So much stands behind each picture: a disk of eight megabytes is full after eighty.
PADDING = b"\0\0\0\1\x0c" + b"\xff" * 100_000  # a unit of H.264 that decoders pass over


class Filming:
    """A camera that sends ten pictures a second, and films them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = FilmDesk(FilmMeans(before_s=1.0), is_masked=False)
        self.desk._note_opened(True)
        self.desk.obey(FilmOrder(True))
        self.news: list[FilmNews] = []
        self._pieces = pieces(10_000)
        self._at_ns = 0

    def film(self, name: str) -> Path:
        path = self.folder / name
        wish = FilmWish(str(path), self._at_ns, self._at_ns + 3600 * NS_PER_S, goes_on=True)
        self.desk.obey(FilmOrder(True, wish))
        return path

    def run(self, count: int) -> None:
        for _ in range(count):
            one = next(self._pieces)
            self._at_ns = one.at_ns
            self.desk.add([replace(one, data=one.data + PADDING)])
            wait_until(lambda: not self.desk._writer._waiting)

    def stop(self) -> None:
        self.desk.obey(FilmOrder(True))

    def end_of(self, path: Path) -> FilmNews:
        def has_come() -> bool:
            self.news += self.desk.news()
            return any(one.path == str(path) and one.why for one in self.news)

        assert wait_until(has_come), self.news
        return next(one for one in self.news if one.path == str(path) and one.why)


def main(folder: Path) -> None:
    logging.basicConfig(level="CRITICAL")
    films, stills, gone = folder / "films" / "front", folder / "stills", list[str]()
    stills.mkdir()
    (stills / "a.jpg").write_bytes(bytes(1000))
    camera = Filming(films)

    def look() -> str:
        return f"{guard.look().level.value} {guard.takes_films} {guard.takes_snapshots}"

    guard = SpaceGuard(
        folder, RESERVE, [stills], [films], lambda paths: gone.extend(path.name for path in paths)
    )
    first = camera.film("1.mp4")
    camera.run(30)
    camera.stop()
    print("first", camera.end_of(first).why, look())
    os.utime(first, (1, 1))
    second = camera.film("2.mp4")
    camera.run(20)
    print("less", look(), "gone:", gone)  # the oldest went, not the one that is being written
    camera.stop()
    print("second", camera.end_of(second).why, len(brightness(second)))
    print("room", look(), "gone:", gone)

    # Nobody looks in time: the film finds the disk full itself.
    third = camera.film("3.mp4")
    camera.run(90)
    news = camera.end_of(third)
    print("full", news.why, news.is_kept, unfinished(third).exists())
    found = settle(unfinished(third))
    assert found is not None
    shown = brightness(found[0])
    print("mended", len(shown) >= 20, len(shown) == round(found[1].lasts_s * 10))
    look()
    print("again", look(), "still:", (stills / "a.jpg").exists())
    fourth = camera.film("4.mp4")
    camera.run(20)
    camera.stop()
    print("fourth", camera.end_of(fourth).why)
    camera.desk.close()


main(Path(sys.argv[1]))
