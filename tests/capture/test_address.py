from __future__ import annotations

import pytest

from camera_app.capture.address import Kind, parse_address, with_password
from camera_app.errors import SourceUnsupported


@pytest.mark.parametrize(
    ("source", "kind", "target", "options"),
    [
        ("rtsp://cam/live", Kind.NETWORK, "rtsp://cam/live", {}),
        ("https://cam/a?b=c", Kind.NETWORK, "https://cam/a?b=c", {}),
        ("v4l2:/dev/video0", Kind.V4L2, "/dev/video0", {}),
        ("picamera:1", Kind.PICAMERA, "1", {}),
        ("synthetic:?fps=5&seed=2", Kind.SYNTHETIC, "", {"fps": "5", "seed": "2"}),
        ("/clips/a.mp4", Kind.FILE, "/clips/a.mp4", {}),
        ("clips/a.mp4?loop=1", Kind.FILE, "clips/a.mp4", {"loop": "1"}),
        ("file:/clips/a:b.mp4", Kind.FILE, "/clips/a:b.mp4", {}),
        ("file:///clips/a.mp4", Kind.FILE, "/clips/a.mp4", {}),
        ("12:30.mp4", Kind.FILE, "12:30.mp4", {}),
    ],
)
def test_each_form_is_understood(
    source: str, kind: Kind, target: str, options: dict[str, str]
) -> None:
    address = parse_address(source)
    assert (address.kind, address.target, dict(address.options)) == (kind, target, options)


@pytest.mark.parametrize("source", ["", "picamera:front", "picamera:", "file:"])
def test_what_is_no_form_is_refused(source: str) -> None:
    with pytest.raises(SourceUnsupported):
        parse_address(source)


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("rtsp://me:secret@cam:554/live?pwd=secret", "rtsp://cam:554/live"),
        ("http://[fe80::1]:80/?u=me&p=secret", "http://[fe80::1]:80/"),
        ("rtsp://me:secret@cam:notaport/", "rtsp://…"),
        ("rtsp://me:se/cret@cam/x", "rtsp://…"),
    ],
)
def test_what_is_told_of_an_address_holds_no_password(source: str, label: str) -> None:
    address = parse_address(source)
    assert address.label == label
    assert "secret" not in repr(address)


def test_a_password_is_put_in_as_an_address_needs_it() -> None:
    source = with_password("rtsp://me:{password}@cam/", "p@ss/wörd:#")
    assert source == "rtsp://me:p%40ss%2Fw%C3%B6rd%3A%23@cam/"
    assert parse_address(source).label == "rtsp://cam/"
