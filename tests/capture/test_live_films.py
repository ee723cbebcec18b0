"""Films of live sources: real children, real streams, real kills, and masks."""

from __future__ import annotations

import hashlib
import os
import queue
import signal
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from camera_app.capture import (
    FilmEnd,
    FilmNews,
    FilmOrder,
    FilmSource,
    FilmWish,
    LiveSource,
    unfinished,
)
from camera_app.capture.backoff import BackOff
from camera_app.capture.thinning import Thinner
from camera_app.clock import NS_PER_S, SystemClock, nanoseconds
from camera_app.config import CameraSettings
from camera_app.media.films import settle
from camera_app.threads import LatestBox
from camera_app.values import Frame, Size
from tests.capture.conftest import RtspServer, luma_of
from tests.capture.watched import child_pid_of
from tests.waiting import wait_until

LIMIT_S = 30.0
MASKED = {"polygon": [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]}


class Filmed:
    """A live source that makes films, with all that it tells of them."""

    def __init__(self, source: str, folder: Path, **settings: object) -> None:
        self.box: LatestBox[Frame] = LatestBox()
        self.news: queue.Queue[FilmNews | None] = queue.Queue()
        self.clock = SystemClock()
        self._folder = folder
        options = {"source": source, "fps": 50, "recording": {"before_s": 2.0}, **settings}
        self.source = LiveSource(
            "front",
            CameraSettings.model_validate(options),
            self.clock,
            self.box,
            on_film=self.news.put,
            back_off=BackOff(random=lambda: 0.01),
        )

    def path(self, name: str) -> Path:
        return self._folder / "films" / "front" / name

    def keep(self) -> None:
        """Keep the last seconds, and see the camera until it has some."""
        self.source.film(FilmOrder(True))

    def film(self, name: str, *, before_s: float, after_s: float, goes_on: bool = False) -> int:
        """Have a film made of what is around now, which is returned."""
        now_ns = self.clock.monotonic_ns()
        wish = FilmWish(
            str(self.path(name)),
            now_ns - nanoseconds(before_s),
            now_ns + nanoseconds(after_s),
            goes_on=goes_on,
        )
        self.source.film(FilmOrder(True, wish))
        return now_ns

    def watch(self, seconds: float) -> list[tuple[int, np.ndarray]]:
        """Take frames until so much time has passed in them.

        Returns:
            When each was captured, and its luma.
        """
        seen = [_seen(self.frame())]
        while seen[-1][0] < seen[0][0] + nanoseconds(seconds):
            seen.append(_seen(self.frame()))
        return seen

    def frame(self) -> Frame:
        frame = self.box.take(LIMIT_S)
        assert frame is not None, self.source.stats().state
        return frame

    def told(self, why: str) -> FilmNews:
        while (news := self.news.get(timeout=LIMIT_S)) is None or news.why != why:
            pass
        return news

    @property
    def child_pid(self) -> int:
        return child_pid_of(self.source)


@pytest.fixture
def filmed(tmp_path: Path) -> Iterator[Callable[..., Filmed]]:
    started: list[Filmed] = []

    def start(source: str, **settings: object) -> Filmed:
        one = Filmed(source, tmp_path, **settings)
        started.append(one)
        one.keep()
        one.source.start()
        return one

    yield start
    for one in started:
        one.source.stop()


def lumas(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray()[: frame.height, : frame.width] for frame in film.decode(video=0)]


def keys(path: Path) -> list[int]:
    """Return which pictures of a film are key pictures; one without B pictures."""
    with av.open(str(path)) as film:
        packets = [packet for packet in film.demux(video=0) if packet.size]
    return [place for place, packet in enumerate(packets) if packet.is_keyframe]


def number(luma: np.ndarray) -> int:
    """Return which picture of a made clip it is; see `luma_of`."""
    return round((luma.mean() - 40) / 8)


def numbers(path: Path) -> list[int]:
    """Return which picture of a made clip each picture of a film is."""
    return [number(luma) for luma in lumas(path)]


def _seen(frame: Frame) -> tuple[int, np.ndarray]:
    return frame.captured_ns, frame.picture.luma.copy()


def places_of(film: list[np.ndarray], seen: list[np.ndarray]) -> list[int]:
    """Return which pictures of a film are those that were seen; they must all be there."""
    found = {_mark(luma): place for place, luma in enumerate(film)}
    assert len(found) == len(film), "else a picture does not tell which one it is"
    return [found[_mark(luma)] for luma in seen]


def _mark(luma: np.ndarray) -> str:
    return hashlib.sha256(luma.tobytes()).hexdigest()[:8]


def seconds_of(path: Path) -> float:
    """Return how long ffprobe takes a film to be: a player that shares nothing with us."""
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]
    done = subprocess.run([*command, str(path)], capture_output=True, check=True, text=True)
    return float(done.stdout)


def test_a_film_of_a_stream_holds_what_was_before(
    rtsp_server: RtspServer, filmed: Callable[..., Filmed]
) -> None:
    """It is held against what was seen, for a stream may falter on a busy machine."""
    film = filmed(f"rtsp://127.0.0.1:{rtsp_server.port}/live")
    seen = film.watch(3.2)  # several key pictures
    now_ns = film.film("a.mp4", before_s=1.5, after_s=1.0)
    seen += film.watch(1.2)
    news = film.told(FilmEnd.OVER)
    from_ns, until_ns = now_ns - 1.5 * NS_PER_S, now_ns + NS_PER_S
    assert news.begins_ns <= from_ns < until_ns - NS_PER_S < news.ends_ns <= until_ns
    assert news.left_out == 0
    shown = lumas(film.path("a.mp4"))
    assert len(shown) == news.pictures
    wanted = [luma for at_ns, luma in seen if from_ns <= at_ns <= until_ns]
    places = places_of(shown, wanted)
    assert places == sorted(places)
    # It begins with the last key picture that was there by then: none before the next was seen
    # in time. So what is in it of earlier pictures lies before its second key picture.
    earlier = [luma for at_ns, luma in seen if news.begins_ns <= at_ns < from_ns]
    assert all(place < keys(film.path("a.mp4"))[1] for place in places_of(shown, earlier))
    assert all((before != after).any() for before, after in pairwise(shown))
    # Fifteen a second as the camera sends them, whenever they came.
    assert seconds_of(film.path("a.mp4")) == pytest.approx(len(shown) / 15, abs=0.2)


class SecondStream:
    """A camera that is looked at in one stream and filmed in another."""

    def __init__(self, looked_at: str, filmed: str, folder: Path) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self.box: LatestBox[Frame] = LatestBox()
        self.news: queue.Queue[FilmNews | None] = queue.Queue()
        self.is_there: list[bool] = []
        settings = CameraSettings.model_validate(
            {
                "source": looked_at,
                "fps": 20,
                "deadline_s": 1.0,
                "recording": {"before_s": 1.0, "source": filmed},
            }
        )
        back_off = BackOff(random=lambda: 0.01)
        self.films = FilmSource(
            "front",
            settings,
            self.clock,
            on_change=self.is_there.append,
            on_film=self.news.put,
            back_off=back_off,
        )
        self.source = LiveSource(
            "front", settings, self.clock, self.box, back_off=back_off, beside=self.films
        )

    def film(self, name: str, *, after_s: float, goes_on: bool = False) -> Path:
        now_ns = self.clock.monotonic_ns()
        path = self.folder / name
        until_ns = now_ns + nanoseconds(after_s)
        wish = FilmWish(str(path), now_ns - NS_PER_S, until_ns, goes_on=goes_on)
        self.films.film(FilmOrder(True, wish))
        return path

    def told(self, *why: str) -> FilmNews:
        while (news := self.news.get(timeout=LIMIT_S)) is None or news.why not in why:
            pass
        return news


@pytest.fixture
def second_stream(rtsp_server: RtspServer, tmp_path: Path) -> Iterator[SecondStream]:
    stream = f"rtsp://127.0.0.1:{rtsp_server.port}/live"
    one = SecondStream("synthetic:?width=64&height=48&fps=20", stream, tmp_path / "films")
    one.source.start()
    yield one
    one.source.stop()
    assert not one.films.is_running


def test_films_are_made_of_the_other_stream_as_it_comes(second_stream: SecondStream) -> None:
    """The small one is looked at; the film has size and rate of the one that nobody looks at."""
    second_stream.films.film(FilmOrder(True))
    assert wait_until(lambda: second_stream.is_there == [True], LIMIT_S)
    looked_at = second_stream.box.take(LIMIT_S)
    assert looked_at is not None
    assert looked_at.size == Size(64, 48)
    path = second_stream.film("a.mp4", after_s=1.5)
    news = second_stream.told(FilmEnd.OVER)
    shown = lumas(path)
    assert len(shown) == news.pictures > 10
    assert shown[0].shape == (240, 320)
    assert second_stream.films.stats().frames == 0
    assert second_stream.films.stats().dropped["thinned"] > 0


def test_the_other_stream_is_read_only_while_films_are_wanted(
    second_stream: SecondStream, rtsp_server: RtspServer
) -> None:
    assert second_stream.box.take(LIMIT_S) is not None
    assert second_stream.films.stats().restarts == 0
    assert second_stream.films._child is None
    second_stream.films.film(FilmOrder(True))
    assert wait_until(lambda: second_stream.is_there == [True], LIMIT_S)
    path = second_stream.film("a.mp4", after_s=60.0, goes_on=True)
    second_stream.told("")
    second_stream.films.film(FilmOrder(False))
    second_stream.told(FilmEnd.STOPPED, FilmEnd.SOURCE)
    assert len(lumas(path)) > 10
    assert wait_until(lambda: second_stream.films._child is None, LIMIT_S)
    assert second_stream.is_there == [True, False]
    assert second_stream.films.stats().lost == {}


def test_a_stream_for_films_that_is_lost_costs_no_picture_and_is_opened_again(
    second_stream: SecondStream, rtsp_server: RtspServer
) -> None:
    second_stream.films.film(FilmOrder(True))
    assert wait_until(lambda: second_stream.is_there == [True], LIMIT_S)
    rtsp_server.kill()
    assert wait_until(lambda: second_stream.is_there[-1] is False, LIMIT_S)
    assert second_stream.source.stats().is_delivering
    assert second_stream.source.stats().lost == {}
    rtsp_server.start()
    assert wait_until(lambda: second_stream.is_there[-1] is True, LIMIT_S)
    path = second_stream.film("b.mp4", after_s=1.0)
    second_stream.told(FilmEnd.OVER)
    assert len(lumas(path)) > 5


def test_what_was_before_is_told_by_the_pictures_themselves(
    make_clip: Callable[..., Path], filmed: Callable[..., Filmed]
) -> None:
    """Each picture of the clip is brighter than the one before: 24 of them, over and over."""
    options = {"g": "5", "bf": "2"}
    clip = make_clip("steps.mp4", stamps_ms=tuple(range(0, 2400, 100)), options=options)
    film = filmed(f"{clip}?loop=1")
    seen = film.watch(2.0)
    asked_ns = film.film("a.mp4", before_s=1.0, after_s=0.5)
    film.told(FilmEnd.OVER)
    shown = numbers(film.path("a.mp4"))
    assert shown == [(shown[0] + index) % 24 for index in range(len(shown))]
    # What was before, on a machine of whatever speed, is what was seen in that second.
    before = [number(luma) for at_ns, luma in seen if at_ns >= asked_ns - NS_PER_S]
    # It begins with the key picture before that: few pictures earlier, not 23 later.
    ahead = (shown[0] - before[0] + 12) % 24 - 12
    # A clip is read ahead of what is shown, for the pictures that are told from later ones.
    assert ahead <= 3
    assert len(shown) > (before[-1] - shown[0]) % 24


def test_a_child_that_is_killed_in_the_middle_leaves_a_film_that_plays(
    make_clip: Callable[..., Path], filmed: Callable[..., Filmed]
) -> None:
    # Without B pictures: one that is shown before the last whole fragment ends may come after it.
    options = {"g": "5", "bf": "0"}
    clip = make_clip("steps.mp4", stamps_ms=tuple(range(0, 2400, 100)), options=options)
    film = filmed(f"{clip}?loop=1")
    film.watch(2.0)
    film.film("a.mp4", before_s=1.5, after_s=60.0, goes_on=True)
    film.told("")
    film.watch(1.0)
    os.kill(film.child_pid, signal.SIGKILL)
    while film.news.get(timeout=LIMIT_S) is not None:
        pass
    # The next child goes on with the same camera, and another film.
    film.keep()
    film.watch(0.5)
    film.film("b.mp4", before_s=0.0, after_s=1.0)
    film.told(FilmEnd.OVER)
    assert settle(unfinished(film.path("a.mp4"))) is not None
    for name, least in (("a.mp4", 15), ("b.mp4", 5)):
        shown = numbers(film.path(name))
        assert len(shown) >= least, name
        assert shown == [(shown[0] + index) % 24 for index in range(len(shown))]
        assert seconds_of(film.path(name)) == pytest.approx(len(shown) / 10, abs=0.4)


def test_a_stream_that_is_cut_and_comes_back_goes_on_in_another_film(
    rtsp_server: RtspServer, filmed: Callable[..., Filmed]
) -> None:
    film = filmed(f"rtsp://127.0.0.1:{rtsp_server.port}/live", deadline_s=3.0)
    film.watch(2.5)
    film.film("a.mp4", before_s=2.0, after_s=60.0, goes_on=True)
    film.told("")
    rtsp_server.kill()
    film.keep()
    assert wait_until(lambda: not film.source.stats().is_delivering)
    rtsp_server.start()
    assert wait_until(lambda: film.source.stats().is_delivering)
    film.film("b.mp4", before_s=0.0, after_s=2.0)
    assert film.told(FilmEnd.OVER).path == str(film.path("b.mp4"))
    assert len(lumas(film.path("b.mp4"))) >= 10
    first = film.path("a.mp4")
    if not first.exists():  # the child was ended by its deadline, in the middle of the film
        settle(unfinished(first))
    assert whole_pictures(first) >= 10


def whole_pictures(path: Path) -> int:
    """Return how many pictures a player shows; the last may be cut, as its stream was."""
    shown, broken = 0, 0
    with av.open(str(path)) as film:
        for packet in film.demux(video=0):
            try:
                shown += len(packet.decode())
            except av.error.InvalidDataError:
                broken += 1
    assert broken <= 1
    return shown


def test_another_size_in_the_stream_begins_another_film(
    make_clip: Callable[..., Path], tmp_path: Path, filmed: Callable[..., Filmed]
) -> None:
    """Two pieces of transport stream, one behind the other, as a camera that is set anew."""
    stamps, options = tuple(range(0, 2400, 100)), {"g": "5", "bf": "0"}
    small = make_clip("small.ts", stamps_ms=stamps, options=options).read_bytes()
    large = make_clip("large.ts", stamps_ms=stamps, size=(96, 64), options=options).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large)
    film = filmed(f"{tmp_path / 'both.ts'}?loop=1")
    film.watch(0.5)
    now_ns = film.film("a.mp4", before_s=5.0, after_s=60.0, goes_on=True)
    news = film.told(FilmEnd.CHANGED)
    wish = FilmWish(str(film.path("b.mp4")), news.ends_ns, now_ns + 60 * NS_PER_S, follows=True)
    film.source.film(FilmOrder(True, wish))
    second = film.told(FilmEnd.CHANGED)  # the clip begins again
    assert second.begins_ns == news.ends_ns  # no picture is missing between them
    for name, size in (("a.mp4", (48, 64)), ("b.mp4", (64, 96))):
        assert {luma.shape for luma in lumas(film.path(name))} == {size}
    assert numbers(film.path("b.mp4")) == list(range(24))


@pytest.mark.parametrize("method", ["auto", "encode"])
def test_no_masked_pixel_is_in_a_film(
    make_clip: Callable[..., Path], filmed: Callable[..., Filmed], method: str
) -> None:
    """The upper left quarter is masked; every picture of the clip has its own brightness there."""
    clip = make_clip("steps.mp4", stamps_ms=tuple(range(0, 2400, 100)), options={"g": "5"})
    film = filmed(
        f"{clip}?loop=1",
        privacy_masks=[MASKED],
        recording={"before_s": 2.0, "method": method, "encode_fps": 10},
    )
    film.watch(2.0)
    film.film("a.mp4", before_s=1.5, after_s=2.0)
    film.told(FilmEnd.OVER)
    shown = lumas(film.path("a.mp4"))
    assert len(shown) >= 20
    masked = np.stack([luma[:24, :32] for luma in shown])
    open_part = np.stack([luma[28:, 36:] for luma in shown])
    # Black as the painter paints it, but for what compression blurs at the edge; and elsewhere
    # the pictures differ as those of the clip do, or this would prove nothing.
    assert masked[:, :20, :28].max() <= 24
    assert masked.max() < luma_of(0)
    assert len({round((one.mean() - 40) / 8) for one in open_part}) >= 10


def test_a_source_of_pictures_is_encoded(filmed: Callable[..., Filmed]) -> None:
    film = filmed("synthetic:?width=64&height=48&fps=20")
    seen = film.watch(2.0)
    film.film("a.mp4", before_s=1.0, after_s=0.5)
    seen += film.watch(1.0)
    news = film.told(FilmEnd.OVER)
    # Five a second, as recording.encode_fps has it, of what came: no more, and hardly fewer.
    assert news.pictures <= (news.ends_ns - news.begins_ns) / NS_PER_S * 5 + 2
    thinner = Thinner(5.0)
    came = [at_ns for at_ns, _ in seen if news.begins_ns <= at_ns <= news.ends_ns]
    assert news.pictures >= sum(map(thinner.takes, came)) - 2
    assert len(lumas(film.path("a.mp4"))) == news.pictures


def test_a_stream_that_mp4_does_not_hold_is_encoded(
    make_clip: Callable[..., Path], filmed: Callable[..., Filmed]
) -> None:
    stamps = tuple(range(0, 2400, 100))
    clip = make_clip("steps.avi", stamps_ms=stamps, codec="mjpeg", pixel_format="yuvj420p")
    film = filmed(f"{clip}?loop=1", recording={"encode_fps": 10})
    film.watch(1.5)
    film.film("a.mp4", before_s=1.0, after_s=1.5)
    news = film.told(FilmEnd.OVER)
    # MJPEG is coarse: which picture it is tells the clip as it came out.
    made = np.array([luma.mean() for luma in lumas(clip)])
    shown = [int(np.abs(made - luma.mean()).argmin()) for luma in lumas(film.path("a.mp4"))]
    assert len(shown) >= 10
    # In the order and at the pace of the clip, each of its pictures where there was time: a clip
    # that is late makes up for a second of it.
    steps = [(after - before) % 24 for before, after in pairwise(shown)]
    assert 0 not in steps
    assert 1 in steps
    assert sum(steps) <= (news.ends_ns - news.begins_ns) / NS_PER_S * 10 + 11
    with av.open(str(film.path("a.mp4"))) as opened:
        assert opened.streams.video[0].codec_context.name == "h264"


def test_a_source_that_is_stopped_closes_its_film_in_good_order(
    filmed: Callable[..., Filmed],
) -> None:
    film = filmed("synthetic:?width=64&height=48&fps=20")
    film.watch(1.0)
    film.film("a.mp4", before_s=1.0, after_s=60.0, goes_on=True)
    film.watch(1.0)
    film.source.stop()
    assert film.told(FilmEnd.SOURCE).is_kept
    assert film.path("a.mp4").exists()
