"""The values that travel through the house: frozen, small, without behaviour but geometry.

No thread, no clock, no file in here. Coordinates are pixels of the source frame, origin top
left, x to the right, y down, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a frame, in pixels; fractions allowed."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels; right and bottom are exclusive."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def centre(self) -> Point:
        return Point((self.left + self.right) / 2, (self.top + self.bottom) / 2)

    @property
    def foot(self) -> Point:
        """The middle of the lower edge: where a standing object touches the ground."""
        return Point((self.left + self.right) / 2, self.bottom)

    def intersection(self, other: Box) -> float:
        """Return the area, in square pixels, that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0

    def iou(self, other: Box) -> float:
        """Return intersection over union, 0.0 to 1.0."""
        both = self.intersection(other)
        return both / (self.area + other.area - both) if both else 0.0

    def clipped(self, size: Size) -> Box:
        """Return the part that lies inside a frame of this size; empty if none does."""
        left = min(max(self.left, 0.0), size.width)
        top = min(max(self.top, 0.0), size.height)
        return Box(
            left,
            top,
            max(left, min(self.right, float(size.width))),
            max(top, min(self.bottom, float(size.height))),
        )

    def union(self, other: Box) -> Box:
        """Return the smallest box around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def contains(self, point: Point) -> bool:
        return self.left <= point.x < self.right and self.top <= point.y < self.bottom


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame that a network looks at, in whole pixels, all four of them even.

    Even because chroma has half the resolution: an even region cuts both planes cleanly.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if (self.x | self.y | self.width | self.height) & 1:
            raise ValueError(f"region must be even in all four numbers, got {self}")

    @property
    def box(self) -> Box:
        return Box(self.x, self.y, self.x + self.width, self.y + self.height)

    @classmethod
    def whole(cls, size: Size) -> Region:
        """Return the region that covers a frame, less an odd last row or column."""
        return cls(0, 0, size.width & ~1, size.height & ~1)


class ColourMatrix(Enum):
    """How Y, U and V were made from red, green and blue."""

    BT601 = "bt601"
    BT709 = "bt709"


@dataclass(frozen=True, slots=True, eq=False)
class Yuv420:
    """A picture as cameras and decoders deliver it: full luma, half chroma both ways.

    Attributes:
        luma: Y, uint8 (height, width); rows may be strided, pixels in a row are adjacent.
        u: Chroma blue, uint8 (ceil(height / 2), ceil(width / 2)).
        v: Chroma red, the same shape.
        matrix: The colour matrix.
        is_full_range: Y spans 0..255 rather than 16..235.
    """

    luma: Pixels
    u: Pixels
    v: Pixels
    matrix: ColourMatrix = ColourMatrix.BT601
    is_full_range: bool = False

    @property
    def size(self) -> Size:
        height, width = self.luma.shape
        return Size(width, height)


@dataclass(frozen=True, slots=True, eq=False)
class Rgb:
    """A still picture in colour.

    Attributes:
        pixels: uint8 (height, width, 3), red first, contiguous.
    """

    pixels: Pixels

    @property
    def size(self) -> Size:
        height, width, _ = self.pixels.shape
        return Size(width, height)


Picture = Yuv420 | Rgb


@dataclass(frozen=True, slots=True)
class Motion:
    """What moves in one frame.

    Attributes:
        boxes: Around everything that moves, in pixels of the frame; none overlap.
        share: How much of the picture counts as motion, 0.0 to 1.0.
        is_scene_change: The whole picture changed at once: a lamp, night mode, a moved camera.
            The one box is then the whole frame.
    """

    boxes: tuple[Box, ...]
    share: float
    is_scene_change: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera.

    Attributes:
        camera: Name of the camera in the configuration.
        sequence: Number of the frame since the source was opened, from 0, without holes for
            frames that were delivered; a reconnected source goes on counting.
        captured_ns: Monotonic time of capture; in replay the clip's own time stamp.
        picture: The pixels, privacy masks already painted over.
        motion: What moves in it, if its source has looked; None: nobody has.
    """

    camera: str
    sequence: int
    captured_ns: int
    picture: Yuv420
    motion: Motion | None = None

    @property
    def size(self) -> Size:
        return self.picture.size


@dataclass(frozen=True, slots=True)
class Detection:
    """One object that one model found in one frame.

    Attributes:
        box: Where, in pixels of the source frame.
        label: Class name from the model pack; an index never leaves the decoder.
        score: The model's confidence after dequantisation, 0.0 to 1.0.
        points: Landmarks in pixels of the source frame, in the order of the pack; may be empty.
    """

    box: Box
    label: str
    score: float
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at one frame brought: detections, and where it looked at all.

    Attributes:
        at_ns: When the frame was captured.
        size: Size of the frame.
        looked_at: The boxes that a network saw. A track outside all of them was not missed:
            nobody looked.
        detections: What was found inside them.
    """

    at_ns: int
    size: Size
    looked_at: tuple[Box, ...]
    detections: tuple[Detection, ...]


class TrackState(StrEnum):
    """How sure the tracker is of a track."""

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Track:
    """The same object over time, as known after one observation.

    Attributes:
        track_id: Number unique in one tracker's life, from 1.
        label: The class it has been seen as most.
        box: Estimated box now; for a lost track, where it is believed to be.
        score: Score of the last matched detection.
        state: Tentative, confirmed or lost.
        first_seen_ns: Capture time of its first detection.
        last_seen_ns: Capture time of its last detection.
        hits: How many detections it has been given.
        velocity_x_px_s: Estimated speed of the centre to the right, pixels a second.
        velocity_y_px_s: The same, downward.
    """

    track_id: int
    label: str
    box: Box
    score: float
    state: TrackState
    first_seen_ns: int
    last_seen_ns: int
    hits: int
    velocity_x_px_s: float = 0.0
    velocity_y_px_s: float = 0.0


class Direction(StrEnum):
    """Which way a line is crossed, as one goes along it from its first point to its last."""

    IN = "in"  # from its left to its right
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One crossing of one line by one object.

    Attributes:
        line: Name of the line.
        direction: Which way.
        at_ns: When the object's path met the line: between two looks, as if it went straight.
    """

    line: str
    direction: Direction
    at_ns: int


@dataclass(frozen=True, slots=True)
class CrossingCount:
    """How often an object has crossed a line one way.

    Attributes:
        line: Name of the line.
        direction: Which way.
        count: How often, at least once.
    """

    line: str
    direction: Direction
    count: int


@dataclass(frozen=True, slots=True)
class Loitering:
    """An object stays where it should pass.

    Attributes:
        zone: Name of the zone.
        since_ns: When it was first seen there in this stay.
        repeat: How often that was told before in this stay, counting what nobody looked at.
    """

    zone: str
    since_ns: int
    repeat: int = 0


class ChangeType(StrEnum):
    """Where in an event's life a change stands."""

    STARTED = "started"
    UPDATED = "updated"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class BestMoment:
    """The moment at which an event's object was seen best.

    Attributes:
        at_ns: Capture time of that frame.
        box: Where the object was in it.
        score: The model's confidence there.
    """

    at_ns: int
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened before one camera: one object from appearing to leaving.

    Attributes:
        event_id: Time-ordered UUID; the same in every change and every copy.
        camera: Name of the camera.
        label: What the object is.
        started_ns: Capture time of the first frame that showed it.
        last_seen_ns: Capture time of the last frame that showed it so far.
        box: Where it was seen last.
        score: Median of its recent scores, 0.0 to 1.0.
        top_score: Highest such median so far.
        best: Its best moment.
        frame_size: Size of the frames that boxes refer to.
        zones: Names of the zones it stands in now.
        entered_zones: Names of all zones it has entered, in order of entering.
        is_stationary: It has not moved for the configured time.
        ended_ns: Capture time of its last sight, once it is over.
        crossings: How often it has crossed which line, in order of first crossing.
        loitered_zones: Names of all zones that it has loitered in, in order.
        film: Name of the newest film that shows it; None: there is none yet.
    """

    event_id: str
    camera: str
    label: str
    started_ns: int
    last_seen_ns: int
    box: Box
    score: float
    top_score: float
    best: BestMoment
    frame_size: Size
    zones: tuple[str, ...] = ()
    entered_zones: tuple[str, ...] = ()
    is_stationary: bool = False
    ended_ns: int | None = None
    crossings: tuple[CrossingCount, ...] = ()
    loitered_zones: tuple[str, ...] = ()
    film: str | None = None


@dataclass(frozen=True, slots=True)
class EventChange:
    """One step in an event's life, as it is stored and told.

    Attributes:
        change: Started, updated or ended.
        at_ns: Capture time of the frame that brought it about, monotonic.
        wall_ns: The same moment as wall time, nanoseconds since 1970.
        event: The event after this change.
        reason: Why it changed: `appeared`, `zones`, `line_crossed`, `loitering`, `left`, ….
        crossing: The crossing that it tells, if that is why.
        loitering: The stay that it tells, if that is why.
    """

    change: ChangeType
    at_ns: int
    wall_ns: int
    event: Event
    reason: str = ""
    crossing: Crossing | None = None
    loitering: Loitering | None = None


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """The conservation law of one camera, at every moment:

    captured = looked_at + everything shed + under_way.

    Attributes:
        captured: Frames that the source delivered.
        looked_at: Frames that a network has seen, at least a region of each.
        shed: Frames that nothing looked at, by reason.
        under_way: Frames that are being looked at just now; live at most one.
    """

    captured: int = 0
    looked_at: int = 0
    shed: dict[str, int] = field(default_factory=dict)
    under_way: int = 0

    @property
    def is_conserved(self) -> bool:
        """Whether the law holds."""
        return self.captured == self.looked_at + sum(self.shed.values()) + self.under_way
