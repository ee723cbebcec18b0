"""Clips made on the spot, and streams served on loopback, for the tests of sources."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

RTSP_SERVER = Path(__file__).parent.parent / "servers" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"
MS = Fraction(1, 1000)


def luma_of(index: int) -> int:
    """Brightness of the n-th picture of a made clip: tells pictures apart, and their order."""
    return 40 + 8 * (index % 24)


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that encodes flat pictures, each brighter than the one before."""

    def make(
        name: str,
        *,
        stamps_ms: Sequence[int] = tuple(range(0, 2000, 100)),
        size: tuple[int, int] = (64, 48),
        codec: str = "libx264",
        pixel_format: str = "yuv420p",
        options: dict[str, str] | None = None,
        colour_range: int = 0,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10, options=options or {})
            stream.width, stream.height = size
            stream.pix_fmt = pixel_format
            stream.codec_context.time_base = MS
            stream.time_base = MS
            stream.codec_context.color_range = colour_range
            for index, stamp_ms in enumerate(stamps_ms):
                frame = _flat(size, luma_of(index)).reformat(format=pixel_format)
                frame.pts, frame.time_base = stamp_ms, MS
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def jpegs() -> list[bytes]:
    """Ten pictures as a camera with MJPEG makes them: full range, chroma halved one way only."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuvj422p"
    encoder.time_base = MS
    packets = []
    for index in range(10):
        frame = _flat((64, 48), luma_of(index)).reformat(format="yuvj422p")
        frame.pts, frame.time_base = index * 100, MS
        packets += encoder.encode(frame)
    return [bytes(packet) for packet in packets]


def _flat(size: tuple[int, int], luma: int) -> av.VideoFrame:
    width, height = size
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = luma
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


class StreamServer:
    """Serves one body over HTTP, in pieces, and then does what it is told.

    Attributes:
        requests: How many clients came.
        release: Set it to let clients that are held go.
    """

    def __init__(self, body: bytes, content_type: str, *, holds: bool, status: int = 200) -> None:
        self.body, self.content_type, self.holds, self.status = body, content_type, holds, status
        self.requests = 0
        self.release = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                self.send_response(server.status)
                self.send_header("Content-Type", server.content_type)
                if not server.holds:
                    self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                try:
                    self.wfile.write(server.body)
                    if server.holds:  # the stall: nothing more comes, and nobody hangs up
                        server.release.wait(30)
                except OSError:
                    pass  # the client was killed, as it should be

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}
        )

    @property
    def port(self) -> int:
        return self._http.server_address[1]

    def url(self, path: str = "/stream") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.release.set()
        self._http.shutdown()
        self._thread.join(5)
        self._http.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., StreamServer]]:
    """Return a function that serves bytes over HTTP on loopback until the test ends."""
    started: list[StreamServer] = []

    def start(
        body: bytes, content_type: str = "video/mp2t", *, holds: bool = False, status: int = 200
    ) -> StreamServer:
        server = StreamServer(body, content_type, holds=holds, status=status)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


class RtspServer:
    """A real RTSP server in a process of its own, which can be killed and started again."""

    def __init__(self, password: str = "") -> None:
        self._password = password
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Start it, on the port it had before if it had one."""
        command = [SYSTEM_PYTHON, str(RTSP_SERVER), "--port", str(self.port)]
        if self._password:
            command += ["--password", self._password]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("port "), f"the RTSP server did not come up: {line!r}"
        self.port = int(line.split()[1])

    def kill(self) -> None:
        """End it as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def _running(server: RtspServer) -> Iterator[RtspServer]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def _gstreamer_server() -> None:
    """Skip, and say so, where GStreamer's RTSP server is not installed; CI must have it."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    found = Path(SYSTEM_PYTHON).exists() and not subprocess.call(
        [SYSTEM_PYTHON, "-c", probe], stderr=subprocess.DEVNULL
    )
    if found:
        return
    reason = "needs GStreamer's RTSP server for the system's Python (gir1.2-gst-rtsp-server-1.0)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def rtsp_server(_gstreamer_server: None) -> Iterator[RtspServer]:
    with _running(RtspServer()) as server:
        yield server


@pytest.fixture
def locked_rtsp_server(_gstreamer_server: None) -> Iterator[RtspServer]:
    """One that asks for the user `owner` and the password `p@ss/word`."""
    with _running(RtspServer("p@ss/word")) as server:
        yield server
