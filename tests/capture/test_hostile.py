"""A stream that means harm: it costs its own process, which begins anew, and nothing else."""

from __future__ import annotations

import http.server
import itertools
import json
import random
import resource
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from camera_app.capture import LiveSource, live
from camera_app.capture.backoff import BackOff
from camera_app.capture.child import MEMORY_LIMIT_BYTES, memory_limit_bytes
from camera_app.capture.filming import FilmMeans
from camera_app.capture.source import MOST_PIXELS, Reason
from camera_app.capture.wire import FRAME, MEMORY, FrameReceiver, Unintelligible
from camera_app.children import Channel, ChannelClosed, ChildProcess, bound_memory, make_shared
from camera_app.clock import SystemClock
from camera_app.config import CameraSettings
from camera_app.threads import LatestBox
from camera_app.values import Frame, Size
from tests.waiting import wait_until

LIMIT_S = 60.0
GROWTH_LIMIT_BYTES = 64 * 1024 * 1024
PIECE = b"\xff" * 65536

# One that returns True has not ended: the line stays open, and nothing more comes.
Answer = Callable[[Callable[[bytes], object]], bool | None]


class HostileCamera:
    """Answers each request with the next of its answers; the last one for ever."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.asked = 0
        self._over = threading.Event()
        turns = itertools.chain(answers, itertools.repeat(answers[-1]))
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.asked += 1
                with suppress(OSError):  # who asked was ended, as it should be
                    if next(turns)(self.wfile.write):
                        camera._over.wait(LIMIT_S)

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/live"

    def stop(self) -> None:
        self._over.set()
        self._http.shutdown()
        self._thread.join(5)
        self._http.server_close()


Hostile = Callable[..., HostileCamera]


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    """Return a maker of cameras that mean harm."""
    made: list[HostileCamera] = []

    def make(*answers: Answer) -> HostileCamera:
        made.append(HostileCamera(answers))
        return made[-1]

    yield make
    for camera in made:
        camera.stop()


class Watched:
    """A live source that is impatient."""

    def __init__(self, source: str) -> None:
        self.box: LatestBox[Frame] = LatestBox()
        settings = CameraSettings.model_validate({"source": source, "fps": 30, "deadline_s": 1.0})
        self.source = LiveSource(
            "front",
            settings,
            SystemClock(),
            self.box,
            back_off=BackOff(random=lambda: 1.0, first_s=0.05, cap_s=0.1),
        )

    @property
    def times_lost(self) -> int:
        return sum(self.source.stats().lost.values())

    def wait_lost(self, times: int) -> dict[str, int]:
        pause = threading.Event()
        for _ in range(round(LIMIT_S / 0.02)):
            lost = self.source.stats().lost
            if sum(lost.values()) >= times:
                return lost
            pause.wait(0.02)
        raise AssertionError(f"it was not lost: {self.source.stats()}")


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Watched]]:
    monkeypatch.setattr(live, "OPENING_LIMIT_S", 3.0)
    started: list[Watched] = []

    def start(source: str) -> Watched:
        started.append(Watched(source))
        started[-1].source.start()
        return started[-1]

    yield start
    for watched in started:
        watched.source.stop()


def head(content_type: str) -> bytes:
    return b"HTTP/1.0 200 OK\r\nContent-Type: %s\r\n\r\n" % content_type.encode()


def sends(content_type: str, body: bytes) -> Answer:
    return lambda write: write(head(content_type) + body) and None


def then_nothing(beginning: bytes) -> Answer:
    def answer(write: Callable[[bytes], object]) -> bool:
        write(beginning)
        return True

    return answer


def without_end(beginning: bytes, piece: bytes) -> Answer:
    def answer(write: Callable[[bytes], object]) -> None:
        write(beginning)
        while True:
            write(piece)

    return answer


def of_size(jpeg: bytes, width: int, height: int) -> bytes:
    """Return a JPEG that says that it is so large."""
    place = jpeg.index(b"\xff\xc0") + 5
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return jpeg[:place] + size + jpeg[place + 4 :]


def multipart(jpeg: bytes) -> bytes:
    return b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (
        len(jpeg),
        jpeg,
    )


MJPEG = "multipart/x-mixed-replace; boundary=x"


def test_a_stream_of_every_bad_kind_costs_its_own_process_and_the_next_good_one_is_seen(
    hostile: Hostile,
    watch: Callable[[str], Watched],
    make_clip: Callable[..., Path],
    jpegs: list[bytes],
) -> None:
    """One address, each time it is asked something worse, at last a film."""
    film = make_clip("clip.ts", options={"g": "5"}).read_bytes()
    h264 = make_clip("clip.h264", options={"g": "5"}).read_bytes()
    chance = random.Random(7)
    bad = [
        sends("video/mp2t", chance.randbytes(200_000)),
        sends("video/mp2t", film[:376]),
        sends("video/h264", h264[:40] + chance.randbytes(50_000)),
        sends("video/mp4", b"\x00\x00\x00\x18ftypisom" + b"\xff" * 5000),
        sends(MJPEG, multipart(of_size(jpegs[0], 16000, 16000)) * 20),
        sends(MJPEG, multipart(of_size(jpegs[0], 65500, 65500)) * 20),
        sends(MJPEG, b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: 9999999999\r\n\r\nx"),
        sends("application/vnd.apple.mpegurl", b"#EXTM3U\n" + b"#EXTINF:1,\nnone\n" * 2000),
    ]
    before = psutil.Process().memory_info().rss
    camera = hostile(*bad, sends("video/mp2t", film))
    watched = watch(camera.url)
    frame = watched.box.take(LIMIT_S)
    assert frame is not None, watched.source.stats()
    assert frame.size == Size(64, 48)
    assert camera.asked > len(bad)
    assert sum(watched.source.stats().lost.values()) >= len(bad)
    assert psutil.Process().memory_info().rss - before < GROWTH_LIMIT_BYTES


def test_what_never_ends_is_ended_by_the_deadline(
    hostile: Hostile, watch: Callable[[str], Watched]
) -> None:
    """Nothing else ends these: what reads them has no limit of its own."""
    answers = {
        "header line": without_end(b"HTTP/1.0 200 OK\r\nX-More: ", PIECE.replace(b"\xff", b"y")),
        "header": without_end(b"HTTP/1.0 200 OK\r\n", b"X-More: yes\r\n" * 1000),
        "part header": without_end(head(MJPEG) + b"--x\r\n", b"X-More: yes\r\n" * 1000),
        "nothing": then_nothing(b""),
        "nothing after half a header": then_nothing(b"HTTP/1.0 200 OK\r\n"),
        "nothing after the header": then_nothing(head("video/mp2t")),
        "nothing after half a picture": then_nothing(head(MJPEG) + b"--x\r\n\r\n\xff\xd8"),
    }
    before = psutil.Process().memory_info().rss
    cameras = {name: hostile(answer) for name, answer in answers.items()}
    watched = {name: watch(camera.url) for name, camera in cameras.items()}
    # On a busy machine the first deadlines may be over before so many children could ask.
    assert wait_until(lambda: all(camera.asked for camera in cameras.values()))
    lost = {name: set(one.wait_lost(one.times_lost + 1)) for name, one in watched.items()}
    assert lost == {name: {Reason.STALLED} for name in answers}
    assert not any(one.source.stats().frames for one in watched.values())
    assert psutil.Process().memory_info().rss - before < GROWTH_LIMIT_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        without_end(head("application/vnd.apple.mpegurl") + b"#EXTM3U\n", b"#EXT-X\n" * 1000),
        without_end(head("video/mp2t"), PIECE),
    ],
    ids=["playlist", "noise"],
)
def test_what_never_becomes_video_is_given_up(
    hostile: Hostile, watch: Callable[[str], Watched], answer: Answer
) -> None:
    """By what reads it after some megabytes; by the deadline, where those take longer."""
    before = psutil.Process().memory_info().rss
    watched = watch(hostile(answer).url)
    assert set(watched.wait_lost(1)) <= {Reason.UNSUPPORTED, Reason.STALLED}
    assert watched.source.stats().frames == 0
    assert psutil.Process().memory_info().rss - before < GROWTH_LIMIT_BYTES


def test_a_playlist_that_names_a_file_of_this_machine_brings_nothing_of_it(
    hostile: Hostile, watch: Callable[[str], Watched], make_clip: Callable[..., Path]
) -> None:
    """The same film is shown where the playlist gives an address of the camera's own kind."""
    clip = make_clip("private.ts", options={"g": "5"})
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"
    kind = "application/vnd.apple.mpegurl"
    theirs = hostile(sends("video/mp2t", clip.read_bytes()))
    for place in (f"file://{clip}", str(clip), f"concat:{clip}", f"subfile,,start,0,:{clip}"):
        watched = watch(hostile(sends(kind, playlist.format(place).encode())).url + ".m3u8")
        watched.wait_lost(1)
        assert watched.source.stats().frames == 0, place
        watched.source.stop()
    served = playlist.format(f"{theirs.url}.ts").encode()
    watched = watch(hostile(sends(kind, served)).url + ".m3u8")
    assert watched.box.take(LIMIT_S) is not None, watched.source.stats()


def test_a_source_child_lives_under_a_memory_limit(watch: Callable[[str], Watched]) -> None:
    watched = watch("synthetic:?width=64&height=48&fps=30")
    assert watched.box.take(LIMIT_S) is not None
    child = watched.source._child
    assert child is not None
    assert child.pid is not None
    assert resource.prlimit(child.pid, resource.RLIMIT_DATA)[0] == MEMORY_LIMIT_BYTES


def test_what_an_owner_gives_films_is_on_top_of_the_memory_limit() -> None:
    """A quarter of a gigabyte of them, and twice that before a slow disk, once ended the child."""
    films = FilmMeans(buffer_bytes=256_000_000)
    assert memory_limit_bytes(films) == MEMORY_LIMIT_BYTES + 3 * (256_000_000 - 16_000_000)
    assert memory_limit_bytes(FilmMeans(buffer_bytes=1_000_000)) == MEMORY_LIMIT_BYTES


def take_more_than_allowed(channel: Channel, _errand: object) -> None:
    """Be a child that a stream makes ask for memory."""
    bound_memory(MEMORY_LIMIT_BYTES)
    try:
        bytearray(MEMORY_LIMIT_BYTES)
    except MemoryError:
        channel.send(b"refused")


def test_memory_above_the_limit_is_not_to_be_had() -> None:
    child = ChildProcess("tests.capture.test_hostile:take_more_than_allowed", {}, name="hungry")
    child.start()
    packet = child.channel.receive(LIMIT_S)
    child.end(grace_s=LIMIT_S)
    assert packet is not None
    assert packet.data == b"refused"


def test_a_child_that_says_its_pictures_are_giant_is_not_believed() -> None:
    """Its memory would hold them: it costs nothing before somebody reads it."""
    ours, theirs = (Channel(end) for end in socket.socketpair(type=socket.SOCK_SEQPACKET))
    side = 2 * round(MOST_PIXELS**0.5)
    descriptor, memory = make_shared("giant", 3 * side * side * 3 // 2)
    told = {"generation": 0, "width": side, "height": side, "matrix": "bt709"}
    told["is_full_range"] = False
    theirs.send(MEMORY + json.dumps(told).encode(), [descriptor])
    with pytest.raises(Unintelligible):
        FrameReceiver(ours).receive(LIMIT_S)
    assert memory.size > 0
    for channel in (ours, theirs):
        channel.close()


def test_a_hang_up_in_the_middle_of_a_frame_is_the_end_of_that_child() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair(type=socket.SOCK_SEQPACKET))
    theirs.send(FRAME + b"\x00")
    theirs.close()
    receiver = FrameReceiver(ours)
    with pytest.raises(Unintelligible):
        receiver.receive(LIMIT_S)
    with pytest.raises(ChannelClosed):
        receiver.receive(LIMIT_S)
    ours.close()
