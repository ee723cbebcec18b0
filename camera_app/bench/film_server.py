"""A camera of the network that is none: a film over HTTP, at the rate at which it was filmed."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import Self

import av

from camera_app.bench.films import FPS, TICK

LOOPBACK = "127.0.0.1"
# Pictures may be shown in another order than they are sent in, and never before that.
DELAY_S = 1.0


class FilmServer:
    """Sends a film over and over as MPEG-TS, on this machine only, while this context lasts.

    Args:
        film: In H.264, of `FPS` pictures a second.
    """

    def __init__(self, film: Path) -> None:
        self._film = film
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        film, ended = self._film, self._ended

        class Camera(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                with suppress(OSError, av.FFmpegError):  # who looked has gone
                    _send(film, self.wfile, ended)

            def log_message(self, *_: object) -> None:
                """Nobody wants to know."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Camera)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()  # waits for the threads that send

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/film"


def _send(film: Path, target: BufferedIOBase, ended: threading.Event) -> None:
    """Send until whoever looks is gone, or nobody is to look any more."""
    number = 0
    with av.open(str(film)) as source, av.open(target, "w", format="mpegts") as sent:
        given = source.streams.video[0]
        stream = sent.add_stream_from_template(given)
        while not ended.is_set():
            source.seek(0)
            first = number
            for packet in source.demux(given):
                if not packet.size or packet.pts is None or ended.wait(1 / FPS):
                    continue
                shown_s = DELAY_S + first / FPS + float(packet.pts * packet.time_base)
                packet.time_base, packet.stream = TICK, stream
                packet.pts, packet.dts = round(shown_s / TICK), round(number / FPS / TICK)
                sent.mux(packet)
                number += 1
