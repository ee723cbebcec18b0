"""Films made to be measured with: the picture of a model pack, wandering over a textured ground."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.stream import VideoStream

from camera_app.errors import SourceUnsupported
from camera_app.values import Pixels, Size

FPS = 10
GROUND_SEED = 3
TICK = Fraction(1, 90_000)  # of a second


def write_film(path: Path, size: Size, seconds: int, subject: Pixels, *, is_still: bool) -> None:
    """Write a film in H.264, as a camera encodes it.

    Args:
        path: Where to.
        size: Of the pictures.
        seconds: How long; it begins where it ends, so that it can be looped.
        subject: What is to be seen in it.
        is_still: It does not move.
    """
    ground = _ground(size)
    scaled = _scaled(subject, size)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        # A quality, not a rate: a still scene would be filled up to that.
        stream.options = {"crf": "23", "preset": "veryfast", "threads": "1", "g": "50"}
        for number in range(seconds * FPS):
            turn = 0.0 if is_still else 2 * np.pi * number / (seconds * FPS)
            frame = av.VideoFrame.from_ndarray(_placed(ground, scaled, turn), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            frame.pict_type = PictureType.NONE
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def write_paced(clip: Path, target: Path, fps: float) -> None:
    """Write a film with the pictures of another at a rate of its own; nothing is encoded anew.

    Raises:
        SourceUnsupported: The film cannot be read.
    """
    try:
        with av.open(str(clip)) as source, av.open(str(target), "w", format="mp4") as film:
            given = source.streams.video[0]
            packets = [packet for packet in source.demux(given) if packet.size]
            stream = film.add_stream_from_template(given)
            _restamp(packets, float(given.average_rate or FPS), fps)
            for packet in packets:
                packet.stream = stream
                film.mux(packet)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise SourceUnsupported("is no film that can be read", where=str(clip)) from error


def _restamp(packets: Sequence[av.Packet[VideoStream]], given_fps: float, fps: float) -> None:
    """Give packets, in the order of decoding, the times of another rate.

    Where pictures are shown in another order, a container need not say when they are decoded.
    """
    ticks = given_fps / fps / TICK
    shown = [float((packet.pts or 0) * packet.time_base) * ticks for packet in packets]
    decoded = [number / fps / TICK for number in range(len(packets))]
    delay = max(at - seen for at, seen in zip(decoded, shown, strict=True))
    for packet, seen, at in zip(packets, shown, decoded, strict=True):
        packet.time_base = TICK
        packet.pts, packet.dts = round(seen + delay), round(at)
        packet.duration = round(1 / fps / TICK)


def _ground(size: Size) -> Pixels:
    coarse = np.random.default_rng(GROUND_SEED).integers(
        60, 160, (size.height // 16 + 1, size.width // 16 + 1, 3), np.uint8
    )
    return np.asarray(cv2.resize(coarse, (size.width, size.height), interpolation=cv2.INTER_CUBIC))


def _scaled(subject: Pixels, size: Size) -> Pixels:
    """Return the subject half as high as the picture, and not wider than it."""
    height, width = subject.shape[:2]
    scale = min(size.height / 2 / height, size.width / 2 / width)
    wanted = max(2, round(width * scale)), max(2, round(height * scale))
    return np.asarray(cv2.resize(subject, wanted, interpolation=cv2.INTER_AREA))


def _placed(ground: Pixels, subject: Pixels, turn: float) -> Pixels:
    """Return the ground with the subject somewhere on a circle."""
    picture = ground.copy()
    height, width = subject.shape[:2]
    top = round((ground.shape[0] - height) * (0.5 + 0.45 * np.sin(turn)))
    left = round((ground.shape[1] - width) * (0.5 + 0.45 * np.cos(turn)))
    picture[top : top + height, left : left + width] = subject
    return picture
