"""Pieces of what a camera sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from camera_app.capture.copying import Copier
from camera_app.capture.file import FileReader
from camera_app.capture.pieces import Piece
from camera_app.errors import SourceUnsupported


def test_a_damaged_packet_costs_a_piece_and_not_the_camera(make_clip: Callable[..., Path]) -> None:
    """It once ended the source, as one of which nothing could be read, while films were on."""
    stamps, options = tuple(range(0, 2400, 100)), {"g": "5", "bf": "0"}
    clip = make_clip("steps.mp4", stamps_ms=stamps, options=options)
    with av.open(str(clip)) as opened:
        places = [packet.pos for packet in opened.demux(video=0) if packet.size]
    with clip.open("r+b") as file:
        file.seek(places[12])
        file.write(b"\xff\xff\xff\xff")  # the length of the first unit: longer than the packet
    pieces: list[Piece] = []
    reader = FileReader(clip, tap=Copier(lambda: True, pieces.append, lambda _: None))
    reader.open()
    shown = 0
    while reader.read() is not None:
        shown += 1
    reader.close()
    assert (shown, reader.corrupt, len(pieces)) == (23, 1, 23)


def test_a_stream_whose_description_is_damaged_is_refused_in_our_words(
    make_clip: Callable[..., Path],
) -> None:
    clip = make_clip("steps.mp4", stamps_ms=tuple(range(0, 2400, 100)))
    whole = clip.read_bytes()
    at = whole.index(b"avcC") + 4
    clip.write_bytes(whole[: at + 6] + b"\xff\xff" + whole[at + 8 :])  # the first set's length
    reader = FileReader(clip, tap=Copier(lambda: True, lambda _: None, lambda _: None))
    with pytest.raises(SourceUnsupported):
        reader.open()
    reader.close()
