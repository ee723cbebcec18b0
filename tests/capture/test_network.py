"""Streams over real sockets: a camera that is killed, one that stalls, one that sends damage."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from camera_app.capture import live
from camera_app.capture.address import parse_address
from camera_app.capture.network import NetworkReader
from camera_app.capture.source import SourceRefused
from camera_app.errors import SourceError, SourceLost, SourceUnsupported
from camera_app.values import Size
from tests.capture.watched import Watched, starting

if TYPE_CHECKING:
    from .conftest import RtspServer, StreamServer

LIMIT_S = 60.0  # two cores that others keep busy; nothing here takes as long alone

Serve = Callable[..., "StreamServer"]


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    with starting(Watched) as start:
        yield start


def opened(url: str) -> NetworkReader:
    reader = NetworkReader(parse_address(url))
    reader.open()
    return reader


def test_an_rtsp_camera_that_is_killed_comes_back_by_itself(
    rtsp_server: RtspServer, watch: Callable[..., Watched]
) -> None:
    watched = watch(f"rtsp://127.0.0.1:{rtsp_server.port}/live", deadline_s=2.0)
    assert watched.changed() is True
    assert watched.frame().size == Size(320, 240)
    rtsp_server.kill()
    assert watched.changed() is False
    assert not watched.source.stats().is_delivering
    rtsp_server.start()
    assert watched.changed() is True
    watched.box.take(0.0)
    assert watched.frame().size == Size(320, 240)
    stats = watched.source.stats()
    assert stats.is_delivering
    assert stats.restarts >= 1
    assert sum(stats.lost.values()) >= 1


def test_an_rtsp_camera_lets_in_who_has_the_password(
    locked_rtsp_server: RtspServer, watch: Callable[..., Watched], tmp_path: Path
) -> None:
    """The password has characters that mean something in an address."""
    secret = tmp_path / "password"
    secret.write_text("p@ss/word\n")
    port = locked_rtsp_server.port
    watched = watch(f"rtsp://owner:{{password}}@127.0.0.1:{port}/live", password_file=str(secret))
    assert watched.frame().size == Size(320, 240)
    with pytest.raises(SourceRefused, match="password_file") as caught:
        opened(f"rtsp://owner:wr0ng@127.0.0.1:{port}/live")
    assert "wr0ng" not in str(caught.value)


def test_a_stream_that_stalls_without_closing_is_ended_and_tried_again(
    make_clip: Callable[..., Path], serve: Serve, watch: Callable[..., Watched]
) -> None:
    server = serve(make_clip("clip.ts", options={"g": "5"}).read_bytes(), holds=True)
    watched = watch(server.url(), deadline_s=0.5)
    assert [watched.changed() for _ in range(3)] == [True, False, True]
    assert watched.source.stats().lost["stalled"] >= 1
    assert server.requests >= 2


def test_a_server_that_never_answers_is_given_up(
    watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "OPENING_LIMIT_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(LIMIT_S)
        watched = watch(f"http://127.0.0.1:{deaf.getsockname()[1]}/", deadline_s=0.5)
        first, _ = deaf.accept()
        second, _ = deaf.accept()  # it was tried again, so the first attempt is over and counted
        assert set(watched.source.stats().lost) == {"stalled"}
        first.close()
        second.close()


def test_a_stream_that_ends_is_fetched_again(
    make_clip: Callable[..., Path], serve: Serve, watch: Callable[..., Watched]
) -> None:
    server = serve(make_clip("clip.ts", options={"g": "5"}).read_bytes())
    watched = watch(server.url())
    assert [watched.changed() for _ in range(4)] == [True, False, True, False]
    assert server.requests >= 2
    assert set(watched.source.stats().lost) == {"ended"}


def damaged(data: bytes, *, share: float) -> bytes:
    """Flip bytes all over a stream, but for the tables at its beginning."""
    spoiled, chance = bytearray(data), random.Random(3)
    for _ in range(int(len(data) * share)):
        spoiled[chance.randrange(2000, len(data))] ^= chance.randrange(1, 256)
    return bytes(spoiled)


def read_all(reader: NetworkReader, sizes: list[Size]) -> None:
    while True:
        sizes.append(reader.read().picture().size)


@pytest.mark.parametrize("share", [0.0005, 0.01])
def test_a_damaged_stream_costs_frames_and_nothing_more(
    make_clip: Callable[..., Path], serve: Serve, share: float
) -> None:
    path = make_clip("clip.ts", size=(320, 240), stamps_ms=range(0, 9000, 100), options={"g": "5"})
    server = serve(damaged(path.read_bytes(), share=share))
    reader = opened(server.url())
    sizes: list[Size] = []
    with pytest.raises(SourceError):
        read_all(reader, sizes)
    assert 0 < len(sizes) < 90
    assert set(sizes) == {Size(320, 240)}
    reader.close()


def test_a_stream_that_is_no_video_is_unsupported(serve: Serve) -> None:
    with pytest.raises(SourceUnsupported, match="as video"):
        opened(serve(b"<html>sorry</html>" * 300, "text/html").url())


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_answer_that_is_no_is_a_refusal(serve: Serve, status: int) -> None:
    server = serve(b"", status=status)
    with pytest.raises(SourceRefused) as caught:
        opened(server.url("/live?password=secret").replace("http://", "http://me:secret@"))
    assert str(caught.value).startswith(f"http://127.0.0.1:{server.port}/live: ")
    assert "secret" not in str(caught.value)


def test_a_stream_without_stamps_goes_by_its_arrival(jpegs: list[bytes], serve: Serve) -> None:
    """MJPEG has no time; FFmpeg's guess of 25 a second would thin a slow camera to nothing."""
    body = b"".join(
        b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg)
        for jpeg in jpegs
    )
    reader = opened(serve(body, "multipart/x-mixed-replace; boundary=x").url())
    shots = [reader.read() for _ in range(5)]
    for shot in shots[1:]:
        # Both stand on the same clock, so their distances are the same.
        assert shot.at_ns - shots[0].at_ns == shot.captured_ns - shots[0].captured_ns
    picture = shots[0].picture()
    assert picture.is_full_range
    assert picture.u.shape == (24, 32)
    reader.close()


def test_a_closed_port_is_a_refusal_with_a_remedy() -> None:
    with pytest.raises(SourceLost, match="nobody answers there. Check address and port"):
        opened("http://127.0.0.1:9/")
