"""The child of one live source: reads it, thins it, masks it, and hands frames to the parent.

Runs in a process of its own. It starts in well under a second because it imports NumPy and FFmpeg
and nothing else of size; the configuration's library stays in the parent, plain values come over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from camera_app.capture.address import Address, Kind, parse_address
from camera_app.capture.filming import FilmDesk, FilmMeans
from camera_app.capture.masks import MaskPainter
from camera_app.capture.source import Reader, Reason, Shot, places_in, reason_of
from camera_app.capture.thinning import Thinner
from camera_app.capture.watchman import Watchman
from camera_app.capture.wire import Counts, Ending, FrameSender
from camera_app.children import Channel, ChannelClosed, bound_memory
from camera_app.clock import NS_PER_S, seconds
from camera_app.errors import SourceError
from camera_app.values import Size

if TYPE_CHECKING:  # it comes with FFmpeg, which a camera at the ribbon does without
    from camera_app.capture.container import PacketTap

ENTRY = "camera_app.capture.child:run"

_log = logging.getLogger(__name__)

# A child with Python, NumPy and FFmpeg has 110 MB; decoding 4K takes some 200 MB more, 8K up to
# twice that, and films usually up to 50. A stream that wants more is broken, or means harm.
MEMORY_LIMIT_BYTES = 768 * 1024 * 1024

# Frames that are left out are reported this often, so that the parent knows the source lives.
_COUNTS_EVERY_NS = NS_PER_S // 2
# A recorded clip that falls back further than this goes on from where it is, without a rush.
_LATE_LIMIT_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class Errand:
    """What a source child is told, in values that JSON carries.

    Attributes:
        source: The source, its password put in; a secret.
        fps: Frames a second that are wanted.
        width: Asked of a local camera; None: its own choice.
        height: The same.
        rtsp_transport: `tcp` or `udp`.
        masks: Corners of each privacy mask, as shares.
        films: How films are made here, should they be wanted.
        is_for_films: Nobody looks at it: no picture is decoded, films are all that comes of it.
        show_every_s: A picture comes this often though nothing moves and nobody waits for it.
    """

    source: str
    fps: float
    width: int | None = None
    height: int | None = None
    rtsp_transport: str = "tcp"
    masks: tuple[tuple[tuple[float, float], ...], ...] = ()
    films: FilmMeans = field(default_factory=FilmMeans)
    is_for_films: bool = False
    show_every_s: float = 0.5

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Errand:
        return cls(**{**plain, "films": FilmMeans(**plain["films"])})

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @property
    def size(self) -> Size | None:
        return Size(self.width, self.height) if self.width and self.height else None


def run(channel: Channel, errand: Mapping[str, Any]) -> None:
    """Read the source of the errand until it ends, fails, or the parent has had enough."""
    told = Errand.from_json(errand)
    bound_memory(memory_limit_bytes(told.films))
    sender = FrameSender(channel)
    try:
        sender.send_end(_ending_of(told, sender))
    except ChannelClosed:
        return  # the parent is gone, or has no use for us


def memory_limit_bytes(films: FilmMeans) -> int:
    """Return what a child may take: more where the owner gives films more than usual."""
    usual = FilmMeans()
    beyond = films.buffer_bytes + films.waiting_bytes - usual.buffer_bytes - usual.waiting_bytes
    return MEMORY_LIMIT_BYTES + max(0, beyond)


def _ending_of(errand: Errand, sender: FrameSender) -> Ending:
    try:
        _deliver(errand, sender)
    except SourceError as error:
        return Ending(reason_of(error), str(error))
    except ChannelClosed:
        raise
    except Exception as error:
        # The safety net of the child.
        _log.error("a source child failed with %s at\n%s", type(error).__name__, places_in(error))
        return Ending(Reason.CRASHED, f"failed with {type(error).__name__}")
    return Ending(Reason.ENDED, "played to its end")


def _deliver(errand: Errand, sender: FrameSender) -> None:
    desk = FilmDesk(errand.films, is_masked=bool(errand.masks))
    reader = make_reader(errand, desk.tap())
    try:
        reader.open()
        if errand.is_for_films:
            _Passing(_undecoded(reader), sender, desk).run()
        else:
            _Delivery(reader, errand, sender, desk).run()
    finally:
        desk.close()  # before the reader, which may take its time
        for news in desk.news():
            sender.send_film(news)
        reader.close()


def make_reader(errand: Errand, tap: PacketTap | None = None) -> Reader:
    """Return the reader that an errand needs, not yet open.

    Args:
        errand: What to read.
        tap: Wants the compressed packets, where there are any.

    Raises:
        SourceUnsupported: Its source is none that we know.
    """
    address = parse_address(errand.source)
    return _MAKERS[address.kind](address, errand, tap)


# Each reader is imported only where it is needed: a camera at the ribbon does without FFmpeg.
def _network(address: Address, errand: Errand, tap: PacketTap | None) -> Reader:
    from camera_app.capture.network import NetworkReader

    return NetworkReader(address, rtsp_transport=errand.rtsp_transport, tap=tap)


def _v4l2(address: Address, errand: Errand, _: PacketTap | None) -> Reader:
    from camera_app.capture.v4l2 import V4l2Reader

    return V4l2Reader(address.target, size=errand.size, fps=errand.fps)


def _picamera(address: Address, errand: Errand, _: PacketTap | None) -> Reader:
    from camera_app.capture.picamera import PicameraReader

    return PicameraReader(int(address.target), size=errand.size, fps=errand.fps)


def _synthetic(address: Address, _: Errand, __: PacketTap | None) -> Reader:
    from camera_app.capture.synthetic import Scene, SyntheticReader

    return SyntheticReader(Scene.from_options(address.options))


def _file(address: Address, _: Errand, tap: PacketTap | None) -> Reader:
    from camera_app.capture.file import FileReader

    is_looped = address.options.get("loop") == "1"
    return FileReader(Path(address.target), is_looped=is_looped, tap=tap)


_MAKERS: dict[Kind, Callable[[Address, Errand, PacketTap | None], Reader]] = {
    Kind.NETWORK: _network,
    Kind.V4L2: _v4l2,
    Kind.PICAMERA: _picamera,
    Kind.SYNTHETIC: _synthetic,
    Kind.FILE: _file,
}


class _Undecoded(Protocol):
    """A reader of which packets can be had as they are."""

    def pass_packet(self) -> None:
        """Give the tap one; may raise as `Reader.read`."""


def _undecoded(reader: Reader) -> _Undecoded:
    from camera_app.capture.network import NetworkReader

    assert isinstance(reader, NetworkReader), "the configuration lets nothing else be a second one"
    return reader


def _obey(sender: FrameSender, desk: FilmDesk) -> None:
    """Do what the parent wants of films, and tell what became of them."""
    order, sender.order = sender.order, None
    if order is not None:
        desk.obey(order)
    for news in desk.news():
        sender.send_film(news)


class _LeftOut:
    """Says now and then what was left out, so that the parent knows the source lives."""

    def __init__(self, sender: FrameSender) -> None:
        self._sender = sender
        self._told_ns = time.monotonic_ns()

    def report(self, counts: Callable[[], Counts]) -> None:
        """Say it, if it is time."""
        now_ns = time.monotonic_ns()
        if now_ns - self._told_ns >= _COUNTS_EVERY_NS:
            self._sender.send_counts(counts())
            self._told_ns = now_ns

    def was_told(self, at_ns: int) -> None:
        """Note that it went with a picture."""
        self._told_ns = at_ns


class _Passing:
    """The way of packets from an open reader to films, past everybody else."""

    def __init__(self, reader: _Undecoded, sender: FrameSender, desk: FilmDesk) -> None:
        self._reader = reader
        self._sender = sender
        self._desk = desk
        self._passed = 0
        self._left_out = _LeftOut(sender)

    def run(self) -> None:
        while not self._sender.is_stopped:
            self._reader.pass_packet()
            self._passed += 1
            self._sender.listen(0.0)
            self._left_out.report(self._counts)
            _obey(self._sender, self._desk)

    def _counts(self) -> Counts:
        """Show that it lives: for the parent these are pictures left out."""
        return Counts(self._passed)


class _Delivery:
    """The way of pictures from an open reader to the sender."""

    def __init__(self, reader: Reader, errand: Errand, sender: FrameSender, desk: FilmDesk) -> None:
        self._reader = reader
        self._desk = desk
        self._sender = sender
        self._thinner = Thinner(errand.fps)
        self._painter = MaskPainter(errand.masks)
        self._watchman = Watchman(errand.show_every_s)
        self._thinned = 0
        self._left_out = _LeftOut(sender)
        self._began_ns = time.monotonic_ns()
        self._last_captured_ns = 0

    def run(self) -> None:
        while not self._sender.is_stopped:
            shot = self._reader.read()
            if shot is None:
                return
            if self._reader.is_recorded:
                self._wait_for(shot)
            else:
                self._sender.listen(0.0)
            self._pass_on(shot)
            _obey(self._sender, self._desk)

    def _pass_on(self, shot: Shot) -> None:
        if not self._thinner.takes(shot.at_ns):
            self._thinned += 1
            self._left_out.report(self._counts)
            return
        captured_ns = time.monotonic_ns() if self._reader.is_recorded else shot.captured_ns
        self._last_captured_ns = max(captured_ns, self._last_captured_ns + 1)
        picture = self._painter.painted(shot.picture())
        self._desk.show(picture, self._last_captured_ns)
        self._heed()
        motion = self._watchman.motion_in(picture.luma, self._last_captured_ns)
        if self._watchman.holds_back(motion, self._last_captured_ns):
            self._left_out.report(self._counts)
            return
        self._sender.send(picture, self._last_captured_ns, self._counts(), motion)
        self._left_out.was_told(self._last_captured_ns)

    def _heed(self) -> None:
        attention, self._sender.attention = self._sender.attention, None
        if attention is not None:
            self._watchman.heed(attention)

    def _wait_for(self, shot: Shot) -> None:
        """Listen until a recorded picture would have come, had it been filmed now."""
        late_ns = time.monotonic_ns() - self._began_ns - shot.at_ns
        if late_ns > _LATE_LIMIT_NS:
            self._began_ns += late_ns
        self._sender.listen_for(seconds(max(0, -late_ns)))

    def _counts(self) -> Counts:
        return Counts(
            self._thinned, self._reader.corrupt, self._sender.no_slot, self._watchman.still
        )
