"""Streams: RTSP, HTTP (MPEG-TS, MJPEG, …) and what else FFmpeg fetches from an address.

There is no time limit in here: whoever supervises the child ends it when nothing comes.
"""

from __future__ import annotations

import time

import av

from camera_app.capture.address import Address
from camera_app.capture.container import ContainerReader, OverContainer, PacketTap, shot
from camera_app.capture.source import Shot, SourceEnded

# How a stream may be fetched. A playlist names further addresses, and whoever answers in the
# camera's place writes it: none of them may be a file of this machine.
_PROTOCOLS = "rtsp,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto,rtmp,rtmps,srt,mmsh,mmst"


class NetworkReader(OverContainer):
    """Reads a stream from an address."""

    is_recorded = False

    def __init__(
        self, address: Address, *, rtsp_transport: str = "tcp", tap: PacketTap | None = None
    ) -> None:
        self._label = address.label
        options = _options(address.target, rtsp_transport) | {
            # The owner's own word counts, whatever it is.
            "protocol_whitelist": f"{_PROTOCOLS},{address.target.partition(':')[0]}"
        }
        self._container = ContainerReader(
            lambda: av.open(address.target, options=options), address.label, tap=tap
        )
        self._opened_ns = 0
        self._is_timeless = False

    def open(self) -> None:
        self._container.open()
        self._opened_ns = time.monotonic_ns()
        self._is_timeless = self._container.is_timeless

    def read(self) -> Shot:
        frame = self._container.read()
        if frame is None:
            raise SourceEnded("closed the stream", where=self._label)
        now_ns = time.monotonic_ns()
        stream_ns = self._container.time_of(frame)
        return shot(frame, now_ns - self._opened_ns if self._is_timeless else stream_ns, now_ns)

    def pass_packet(self) -> None:
        """Give the tap the next packet and decode nothing; in the place of `read`.

        Raises:
            SourceEnded: It was the last.
        """
        if not self._container.pass_packet():
            raise SourceEnded("closed the stream", where=self._label)

    def close(self) -> None:
        self._container.close()


def _options(url: str, rtsp_transport: str) -> dict[str, str]:
    # nobuffer: what was read to find out the format is shown, not kept back as a cushion.
    # fpsprobesize 0: nobody needs the exact rate, and finding it out takes many pictures.
    options = {"fflags": "nobuffer", "fpsprobesize": "0"}
    if url.startswith("rtsp"):
        options |= {
            "rtsp_transport": rtsp_transport,
            "allowed_media_types": "video",
            "max_delay": "500000",  # µs that a late packet is waited for over UDP
        }
    return options
