"""No device is needed: FFmpeg's input is exchanged for its test picture where one must open."""

from __future__ import annotations

import errno
from pathlib import Path

import av
import pytest

from camera_app.capture import v4l2
from camera_app.capture.source import SourceBusy, SourceForbidden, SourceRefused
from camera_app.capture.v4l2 import V4l2Reader
from camera_app.errors import SourceError
from camera_app.values import Size


def test_the_library_in_use_has_the_input() -> None:
    assert any("v4l2" in name.split(",") for name in av.formats_available)


def test_a_device_that_is_absent_is_refused_with_the_remedy() -> None:
    with pytest.raises(SourceRefused) as caught:
        V4l2Reader("/dev/video77", size=None, fps=10).open()
    assert str(caught.value).startswith("v4l2:/dev/video77: there is no such device. Plug")


def test_what_is_no_camera_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    path.write_bytes(b"a file")
    with pytest.raises(SourceError, match="video0"):
        V4l2Reader(str(path), size=None, fps=10).open()


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (errno.EBUSY, SourceBusy, "used by another program"),
        (errno.EACCES, SourceForbidden, "group `video`"),
    ],
)
def test_what_the_kernel_says_is_told_with_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[SourceRefused],
    text: str,
) -> None:
    path = tmp_path / "video0"
    path.touch()

    def refuse(*_: object, **__: object) -> None:
        raise av.error.FFmpegError if number == 0 else OSError(number, "no")

    monkeypatch.setattr(v4l2.av, "open", refuse)
    with pytest.raises(kind, match=text):
        V4l2Reader(str(path), size=None, fps=10).open()


def test_size_and_rate_are_asked_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}
    path = tmp_path / "video0"
    path.touch()

    def remember(device: str, **arguments: object) -> None:
        asked.update(device=device, **arguments)
        raise OSError(errno.EIO, "enough")

    monkeypatch.setattr(v4l2.av, "open", remember)
    with pytest.raises(SourceError):
        V4l2Reader(str(path), size=Size(800, 600), fps=7.5).open()
    assert asked == {
        "device": str(path),
        "format": "v4l2",
        "options": {"framerate": "8", "video_size": "800x600"},
    }
