"""Pictures that are compressed for a film."""

from __future__ import annotations

import numpy as np
import pytest

from camera_app.capture import encoding
from camera_app.capture.encoding import EncoderThread
from camera_app.capture.pieces import Piece
from camera_app.clock import NS_PER_S
from camera_app.values import Yuv420
from tests.waiting import wait_until


def test_a_picture_that_cannot_be_compressed_costs_a_film_that_picture(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It once ended the thread, and there were no films until the next start."""
    luma, chroma = np.full((48, 64), 90, np.uint8), np.full((24, 32), 128, np.uint8)
    pieces: list[Piece] = []
    thread = EncoderThread(5.0, pieces.extend)
    thread.start()
    with monkeypatch.context() as patch:
        patch.setitem(encoding.OPTIONS, "preset", "none such")
        thread.show(Yuv420(luma, chroma, chroma), NS_PER_S)
        assert wait_until(lambda: "cannot be compressed" in caplog.text)
    thread.show(Yuv420(luma, chroma, chroma), 2 * NS_PER_S)
    assert wait_until(lambda: len(pieces) == 1)
    assert (pieces[0].at_ns, pieces[0].is_key) == (2 * NS_PER_S, True)
    thread.stop()
