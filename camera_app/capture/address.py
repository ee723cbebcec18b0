"""What the `source` of a camera says: which reader, which target, which options. Pure.

    rtsp://…  rtsps://…  http://…  https://…  and what else FFmpeg takes with `://`
    v4l2:/dev/video0       a camera at the USB or another V4L2 device
    picamera:0             a camera at the ribbon, by its number
    synthetic:?width=640   made-up pictures; `synthetic.py` lists the options
    /path/to/clip.mp4      a clip, played in real time, once
    /path/to/clip.mp4?loop=1   the same, round and round
    file:/path/…           a clip whose path would look like something else

What is told about an address leaves out user, password and query: cameras take passwords there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, quote, urlsplit

from camera_app.errors import SourceUnsupported

PASSWORD_PLACE = "{password}"  # noqa: S105 # nosec B105 # the place of one, not one


class Kind(Enum):
    """Which reader an address needs."""

    NETWORK = "network"
    V4L2 = "v4l2"
    PICAMERA = "picamera"
    SYNTHETIC = "synthetic"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Address:
    """A source, taken apart.

    Attributes:
        kind: Which reader it needs.
        target: Address, path or number; may hold a password, so never print it.
        label: What may be printed.
        options: What stood behind a question mark, for kinds that take options of ours.
    """

    kind: Kind
    target: str = field(repr=False)
    label: str
    options: Mapping[str, str] = field(default_factory=dict)


def parse_address(source: str) -> Address:
    """Take the `source` of a camera apart.

    Raises:
        SourceUnsupported: It is none of the forms.
    """
    scheme, colon, rest = source.partition(":")
    if colon and rest.startswith("//") and scheme != "file":
        return Address(Kind.NETWORK, source, _public(source))
    target, options = _split_options(rest.removeprefix("//") if scheme == "file" else rest)
    if scheme == "v4l2" and target:
        return Address(Kind.V4L2, target, f"v4l2:{target}", options)
    if scheme == "picamera" and target.isdecimal():
        return Address(Kind.PICAMERA, target, f"picamera:{target}", options)
    if scheme == "synthetic":
        return Address(Kind.SYNTHETIC, target, "synthetic:", options)
    if scheme != "file":
        target, options = _split_options(source)
    if not target or scheme == "picamera":
        raise SourceUnsupported(
            "is no source", where=source, remedy="See the reference for the forms of `source`."
        )
    return Address(Kind.FILE, target, target, options)


def with_password(source: str, password: str) -> str:
    """Return an address with the password put in its place, escaped as an address needs it."""
    return source.replace(PASSWORD_PLACE, quote(password, safe=""))


def _split_options(text: str) -> tuple[str, dict[str, str]]:
    target, _, query = text.partition("?")
    return target, dict(parse_qsl(query))


def _public(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{url.partition(':')[0]}://…"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}"
