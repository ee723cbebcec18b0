"""What a source child and its parent say to each other, and how a picture lies in memory.

The child announces memory, then a frame in one of its slots, again and again; the parent gives
the slot back when it has no more use for the frame, and copies what it keeps for long. A child has
no free slot only while the parent is busy; then its newest frame is dropped, and counted.

Child to parent: `M` memory (with a descriptor), `F` frame, `C` counts, `V` news of a film, `E` the
end and why. Parent to child: `R` slot given back, `O` what is to be filmed, `W` what of all that
moves or is still is wanted, `S` stop.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import struct
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from camera_app.capture.source import MOST_PIXELS
from camera_app.children import Channel, Packet, attach_shared, make_shared
from camera_app.threads import Deadline
from camera_app.values import Box, ColourMatrix, Motion, Pixels, Size, Yuv420

SLOTS = 5
# Pictures that the parent may keep where they lie: the newest, the one before it until that is seen
# through, and the best of an event. The child has the others to go on with.
MOST_LENT = 3
# How long a child that waits for the time of a recorded picture may miss a word of the parent's:
# below the time that the parent gives it to end by itself.
LISTEN_EVERY_S = 0.25
# Where a child, whatever it has become, says a picture is larger, nothing is copied. A picture
# may be twice as large as the largest that is read: a camera at the ribbon has no such limit.
MOST_BYTES = 3 * MOST_PIXELS

MEMORY, FRAME, COUNTS, FILM, END = b"M", b"F", b"C", b"V", b"E"
RELEASE, ORDER, WATCH, STOP = b"R", b"O", b"W", b"S"

# Places where something moves that are told of one frame; a packet has room for so many.
MOST_BOXES = 1000

UNFINISHED = ".part"  # behind the name of a film that is being written, or was cut off

# Kind, generation, slot, captured_ns, then the counts; what moves comes behind it, if it is known.
_FRAME = struct.Struct("<cBBqQQQQ")
_COUNTS = struct.Struct("<cQQQQ")
_MOTION = struct.Struct("<?d")  # whether the scene changes, share; then the boxes
_BOX = struct.Struct("<4d")
_RELEASE = struct.Struct("<cBB")  # kind, generation, slot


@dataclass(frozen=True, slots=True)
class Counts:
    """Frames of one child's life that did not come across, by reason.

    Attributes:
        thinned: Left out because the source is faster than asked.
        corrupt: Damaged, and so left out.
        no_slot: Dropped because the parent had not taken those before.
        still: Held back because nothing moves in them, and the parent rests.
    """

    thinned: int = 0
    corrupt: int = 0
    no_slot: int = 0
    still: int = 0

    @property
    def in_order(self) -> tuple[int, int, int, int]:
        """The numbers as they are sent."""
        return self.thinned, self.corrupt, self.no_slot, self.still


@dataclass(frozen=True, slots=True)
class GateMeans:
    """How a child looks for motion: as `MotionSettings` says.

    Attributes:
        threshold: Difference in brightness that counts as change.
        min_area_share: Smallest changed part of the picture that counts.
        background_s: Seconds until what has stopped moving is background.
    """

    threshold: int
    min_area_share: float
    background_s: float


@dataclass(frozen=True, slots=True)
class Attention:
    """What the parent wants to know of what moves, whole: a newer one replaces an older one.

    Attributes:
        gate: How to look for motion; None: not at all.
        rests_until_ns: What is still and was captured before that is not wanted; where motion is
            not looked for, that is all there is.
    """

    gate: GateMeans | None = None
    rests_until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a child has nothing more to deliver.

    Attributes:
        reason: The word under which it is counted.
        text: What an owner reads; holds no secret.
    """

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class FilmWish:
    """A film that is wanted. Times are monotonic, the same for parent and child.

    Attributes:
        path: The file.
        from_ns: It shows at least what came from then on, as far as that is still there.
        until_ns: And until then.
        goes_on: There is more to film after that: it is ended with a key picture, where the next
            film begins.
        follows: It is that next film: it begins at `from_ns`, not with the key picture before.
        limit_bytes: It is ended as if its time were over when it takes so much.
    """

    path: str
    from_ns: int
    until_ns: int
    goes_on: bool = False
    follows: bool = False
    limit_bytes: int = 1 << 40


def unfinished(path: Path) -> Path:
    """Return the name that a film has while it is written."""
    return path.with_name(path.name + UNFINISHED)


@dataclass(frozen=True, slots=True)
class FilmOrder:
    """What a child is to do about films, whole: a newer order replaces an older one.

    Attributes:
        is_on: Keep the last seconds, so that a film can begin before its event. Off: forget them.
        film: The film to write; None: none, and one that is being written ends here.
    """

    is_on: bool = False
    film: FilmWish | None = None


class FilmEnd:
    """Why a film was closed: fixed words."""

    OVER: ClassVar = "over"  # its time is over
    LONG: ClassVar = "long"  # it is as long as a film may be, and there is more
    STOPPED: ClassVar = "stopped"  # nobody wants it any more
    CHANGED: ClassVar = "changed"  # the camera sends another size or coding
    SOURCE: ClassVar = "source"  # the source ended
    FULL: ClassVar = "disk_full"
    FAILED: ClassVar = "disk_failed"
    CANNOT: ClassVar = "cannot"  # what the camera sends cannot be copied, and nothing else may be


@dataclass(frozen=True, slots=True)
class FilmNews:
    """What became of a film.

    Attributes:
        path: The film.
        why: Why it is closed; empty: it is not, its first seconds are on the disk.
        is_kept: There is a film; False: nothing came of it, no file is there.
        begins_ns: When its first picture came, monotonic.
        ends_ns: When its last picture came; where there is more, when the first came that is not
            in it.
        pictures: How many it has.
        left_out: How many it lacks because the disk was too slow.
    """

    path: str
    why: str = ""
    is_kept: bool = True
    begins_ns: int = 0
    ends_ns: int = 0
    pictures: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How a picture lies in a slot: Y, U, V, each without padding."""

    size: Size
    matrix: ColourMatrix
    is_full_range: bool

    @classmethod
    def of(cls, picture: Yuv420) -> Layout:
        return cls(picture.size, picture.matrix, picture.is_full_range)

    def fits(self, picture: Yuv420) -> bool:
        """Whether a picture lies in a slot in this way; asked for each."""
        return (
            picture.luma.shape == (self.size.height, self.size.width)
            and picture.matrix is self.matrix
            and picture.is_full_range == self.is_full_range
        )

    @property
    def half(self) -> Size:
        return Size((self.size.width + 1) // 2, (self.size.height + 1) // 2)

    @property
    def bytes_needed(self) -> int:
        half = self.half
        return self.size.width * self.size.height + 2 * half.width * half.height

    def over(self, memory: Pixels) -> Yuv420:
        """Return the planes as views of `memory`, uint8 (bytes_needed,)."""
        half = self.half
        luma_ends = self.size.width * self.size.height
        u_ends = luma_ends + half.width * half.height
        half_shape = (half.height, half.width)
        return Yuv420(
            memory[:luma_ends].reshape(self.size.height, self.size.width),
            memory[luma_ends:u_ends].reshape(half_shape),
            memory[u_ends : u_ends + half.width * half.height].reshape(half_shape),
            self.matrix,
            self.is_full_range,
        )


class FrameSender:
    """The child's side: puts pictures into slots and says so."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._hang_up = channel.hang_up_watch()
        self._layout: Layout | None = None
        self._slots: list[Yuv420] = []
        self._free: list[int] = []
        self._generation = 0
        self.no_slot = 0
        self.is_stopped = False
        self.order: FilmOrder | None = None  # the newest that came; whoever obeys takes it away
        self.attention: Attention | None = None  # the same

    def send(
        self, picture: Yuv420, captured_ns: int, counts: Counts, motion: Motion | None = None
    ) -> None:
        """Hand a picture over, or count it when there is no slot; `listen` now and then besides."""
        if not self._free:
            self.listen(0.0)
        if self._layout is None or not self._layout.fits(picture):
            self._announce(Layout.of(picture))
        if not self._free:
            self.no_slot += 1
            return
        slot = self._free.pop()
        _copy(picture, self._slots[slot])
        told = _FRAME.pack(FRAME, self._generation, slot, captured_ns, *counts.in_order)
        self._channel.send(told if motion is None else told + _packed(motion))

    def send_counts(self, counts: Counts) -> None:
        self._channel.send(_COUNTS.pack(COUNTS, *counts.in_order))

    def send_film(self, news: FilmNews) -> None:
        self._channel.send(FILM + json.dumps(asdict(news)).encode())

    def send_end(self, ending: Ending) -> None:
        self._channel.send(END + json.dumps(asdict(ending)).encode())

    def listen(self, timeout_s: float) -> None:
        """Take what the parent has said, waiting at most this long for its first word."""
        while not self.is_stopped and (packet := self._channel.receive(timeout_s)) is not None:
            timeout_s = 0.0
            self._hear(packet)

    def listen_for(self, span_s: float) -> None:
        """Take what the parent says for so long, or until it says to stop.

        A slot that is given back wakes nobody: there is one a frame, and no hurry.
        """
        deadline = Deadline(span_s)
        while True:
            wait_s = min(deadline.remaining_s(), LISTEN_EVERY_S)
            if wait_s:
                self._hang_up.poll(wait_s * 1000)  # a hang-up is heard by `listen`, which raises
            self.listen(0.0)
            if self.is_stopped or deadline.is_over:
                return

    def _hear(self, packet: Packet) -> None:
        if packet.data == STOP:
            self.is_stopped = True
        elif packet.data.startswith(ORDER):
            self.order = _order_of(json.loads(packet.data[1:]))
        elif packet.data.startswith(WATCH):
            self.attention = _attention_of(json.loads(packet.data[1:]))
        else:
            _, generation, slot = _RELEASE.unpack(packet.data)
            if generation == self._generation:
                self._free.append(slot)

    def _announce(self, layout: Layout) -> None:
        size_bytes = layout.bytes_needed
        descriptor, memory = make_shared("camera-app-frames", SLOTS * size_bytes)
        self._generation = (self._generation + 1) % 256
        self._layout = layout
        self._slots = [layout.over(part) for part in np.split(memory, SLOTS)]
        self._free = list(range(SLOTS))
        told = {
            "generation": self._generation,
            "width": layout.size.width,
            "height": layout.size.height,
            "matrix": layout.matrix.value,
            "is_full_range": layout.is_full_range,
        }
        try:
            self._channel.send(MEMORY + json.dumps(told).encode(), [descriptor])
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A picture that came across, in memory of our own."""

    picture: Yuv420
    captured_ns: int
    counts: Counts
    motion: Motion | None = None


Said = Delivery | Counts | FilmNews | Ending


class Unintelligible(Exception):
    """A child says what makes no sense; whatever it has become, it is to be ended."""


class FrameReceiver:
    """The parent's side: lends pictures where they lie, or copies them, and gives slots back."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._layout: Layout | None = None
        self._slots: list[Pixels] = []
        self._loans: list[weakref.ref[Pixels] | None] = []  # by slot
        self._generation = -1

    def receive(self, timeout_s: float) -> Said | None:
        """Return what the child says next, or None when the time is over or somebody interrupts.

        Raises:
            ChannelClosed: The child is gone.
            Unintelligible: What it says makes no sense.
        """
        packet = self._channel.receive(timeout_s)
        if packet is None:
            return None
        try:
            return self._understood(packet)
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise Unintelligible(packet.data[:16]) from error

    def _understood(self, packet: Packet) -> Said | None:
        kind = packet.data[:1]
        if kind == FRAME:
            return self._delivery(packet.data)
        if kind == MEMORY:
            self._attach(packet)
            return None
        if kind == COUNTS:
            return Counts(*_COUNTS.unpack(packet.data)[1:])
        if kind == FILM:
            return FilmNews(**json.loads(packet.data[1:]))
        if kind == END:
            said = json.loads(packet.data[1:])
            return Ending(str(said["reason"]), str(said["text"]))
        raise ValueError(f"a source child says {packet.data[:16]!r}")

    def send_order(self, order: FilmOrder) -> None:
        self._channel.send(ORDER + json.dumps(asdict(order)).encode())

    def send_attention(self, attention: Attention) -> None:
        self._channel.send(WATCH + json.dumps(asdict(attention)).encode())

    def send_stop(self) -> None:
        self._channel.send(STOP)

    def _attach(self, packet: Packet) -> None:
        if len(packet.descriptors) != 1:
            raise ValueError(f"memory announced with {len(packet.descriptors)} descriptors")
        said = json.loads(packet.data[1:])
        size = Size(int(said["width"]), int(said["height"]))
        if min(size.width, size.height) < 1:
            raise ValueError(f"pictures of {size}")
        layout = Layout(size, ColourMatrix(said["matrix"]), bool(said["is_full_range"]))
        if layout.bytes_needed > MOST_BYTES:
            raise ValueError(f"pictures of {size}")
        memory = attach_shared(packet.descriptors[0], SLOTS * layout.bytes_needed)
        self._layout, self._generation = layout, int(said["generation"])
        self._slots = np.split(memory, SLOTS)
        self._loans = [None] * SLOTS  # those of other memory matter no more

    def _delivery(self, data: bytes) -> Delivery:
        _, generation, slot, captured_ns, *told = _FRAME.unpack_from(data)
        if self._layout is None or generation != self._generation or slot >= SLOTS:
            raise ValueError(f"a frame in slot {slot} of memory {generation}, which is not ours")
        picture = self._layout.over(self._held(slot, _RELEASE.pack(RELEASE, generation, slot)))
        motion = _unpacked(data[_FRAME.size :]) if len(data) > _FRAME.size else None
        return Delivery(picture, captured_ns, Counts(*told), motion)

    def _held(self, slot: int, release: bytes) -> Pixels:
        """Return the bytes of a slot, to be kept for as long as anybody likes.

        They lie where they are until the last array over them is gone; then the slot is given
        back, by whatever thread that is. Where too many are kept already they are copied.
        """
        kept = [1 for loan in self._loans if loan is not None and loan() is not None]
        if len(kept) >= MOST_LENT:
            copied = self._slots[slot].copy()
            self._channel.send(release)
            return copied
        # Over a memoryview: arrays over an array are tied to the one at the bottom, which is
        # then this one, and not the whole memory.
        lent: Pixels = np.frombuffer(self._slots[slot].data, np.uint8)
        channel = self._channel  # not the receiver, which holds the loan: that would be a circle
        self._loans[slot] = weakref.ref(lent, lambda _: channel.tell(release))
        return lent


def _packed(motion: Motion) -> bytes:
    boxes = motion.boxes[:MOST_BOXES]
    corners = [_BOX.pack(box.left, box.top, box.right, box.bottom) for box in boxes]
    return b"".join([_MOTION.pack(motion.is_scene_change, motion.share), *corners])


def _unpacked(data: bytes) -> Motion:
    is_scene_change, share = _MOTION.unpack_from(data)
    corners = list(_BOX.iter_unpack(data[_MOTION.size :]))
    if not all(map(math.isfinite, itertools.chain((share,), *corners))):
        raise ValueError("motion in no place at all")
    return Motion(tuple(Box(*edges) for edges in corners), share, is_scene_change)


def _attention_of(said: dict[str, Any]) -> Attention:
    gate = said["gate"]
    return Attention(None if gate is None else GateMeans(**gate), said["rests_until_ns"])


def _order_of(said: dict[str, Any]) -> FilmOrder:
    film = said["film"]
    return FilmOrder(said["is_on"], None if film is None else FilmWish(**film))


def _copy(picture: Yuv420, slot: Yuv420) -> None:
    np.copyto(slot.luma, picture.luma)
    np.copyto(slot.u, picture.u)
    np.copyto(slot.v, picture.v)
