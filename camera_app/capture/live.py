"""A live source: its child is started, watched by deadline, killed, and started again.

One thread a camera. It moves frames and counts; when to try again is decided in `backoff.py`.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from camera_app.capture.address import (
    PASSWORD_PLACE,
    Kind,
    parse_address,
    with_password,
)
from camera_app.capture.backoff import BackOff
from camera_app.capture.child import ENTRY, Errand
from camera_app.capture.doorway import Doorway, Rest
from camera_app.capture.filming import FilmMeans
from camera_app.capture.source import Reason, SourceRefused, reason_of
from camera_app.capture.wire import (
    Attention,
    Counts,
    Delivery,
    Ending,
    FilmNews,
    FilmOrder,
    FrameReceiver,
    GateMeans,
    Said,
    Unintelligible,
)
from camera_app.children import ChannelClosed, ChildProcess
from camera_app.clock import Clock, seconds
from camera_app.errors import SourceError
from camera_app.logs import keep_secret, redact
from camera_app.roster import ROUND_LIMIT_S
from camera_app.threads import Closed, Deadline, Worker
from camera_app.values import Frame

if TYPE_CHECKING:  # the child imports this room, and does without the configuration's library
    from camera_app.config import CameraSettings

_log = logging.getLogger(__name__)

# A new child has to start, connect and wait for a key frame before its first picture.
OPENING_LIMIT_S = 15.0
# What an orderly close may take: telling a camera to end its session, giving a device back.
STOP_GRACE_S = 0.5
# While nothing moves a frame comes this often all the same: whoever wants to see the newest one
# need not wait, and the source is known to live.
SHOW_EVERY_S = 0.5
# Frames over which the rate is measured.
_RATE_FRAMES = 50


@dataclass(frozen=True, slots=True)
class SourceStats:
    """How a live source does.

    Attributes:
        frames: Frames delivered since `start`.
        fps: Frames a second that it delivers now; 0.0 while it does not.
        is_delivering: Whether this camera can see.
        last_frame_ns: Capture time of the newest frame; None before the first.
        restarts: How often a child was started again.
        lost: How often the source was lost, by reason: `stalled`, `crashed`, `refused`, `ended`,
            `unsupported`, `lost`.
        dropped: Frames that were not delivered, by reason: `thinned` (faster than asked),
            `corrupt`, `no_slot` (this process was too busy to take them).
        state: What it is doing, for an owner to read.
    """

    frames: int = 0
    fps: float = 0.0
    is_delivering: bool = False
    last_frame_ns: int | None = None
    restarts: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    state: str = "not started"


class LiveSource(Worker):
    """Delivers the frames of one camera, whatever happens to it.

    `on_change` is called on this source's own thread, with whether the camera can see now, and so
    is `on_film`, with what became of a film; None says that the child is gone and with it whoever
    wrote a film. Both must not block. `beside` is started and stopped with this: it reads another
    stream of the same camera.
    """

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        clock: Clock,
        frames: Doorway,
        *,
        on_change: Callable[[bool], None] | None = None,
        on_film: Callable[[FilmNews | None], None] | None = None,
        back_off: BackOff | None = None,
        beside: Worker | None = None,
    ) -> None:
        super().__init__(f"camera-app-source-{name}")
        self._camera = self.camera = name
        self._title = f"camera {name}"  # in log lines
        self._beside = beside
        self._settings = settings
        self._clock = clock
        self._frames = frames
        self._on_change = on_change
        self._on_film = on_film
        self._back_off = back_off or BackOff(random=random.SystemRandom().random)
        self._delivering_since_ns = 0  # of the source's own thread
        self._lives = 0  # of the source's own thread
        self._guard = threading.Lock()  # guards every field below
        self._child: ChildProcess | None = None
        self._count = 0
        # Capture times of frames, and how many there were with each.
        self._recent: deque[tuple[int, int]] = deque(maxlen=_RATE_FRAMES)
        self._is_delivering = False
        self._lost: Counter[str] = Counter()
        self._dropped_before: Counter[str] = Counter()  # by children that have ended
        self._dropped = Counts()  # by the child that is
        self._state = "not started"
        self._order = FilmOrder()
        self._is_order_sent = True
        self._gate: GateMeans | None = None
        self._attention = Attention()
        self._is_attention_sent = True

    def start(self) -> None:
        super().start()
        if self._beside is not None:
            self._beside.start()

    def stop(self) -> None:
        if self._beside is not None:
            self._beside.stop()
        super().stop()

    def film(self, order: FilmOrder) -> None:
        """Have films made as an order says, by this child and those after it; any thread."""
        with self._guard:
            if order == self._order:
                return
            self._order, self._is_order_sent = order, False
            self._interrupt()

    def stats(self) -> SourceStats:
        """Return how it does; from any thread."""
        with self._guard:
            dropped = self._dropped_before + _as_counter(self._dropped)
            return SourceStats(
                frames=self._count,
                fps=_rate(self._recent) if self._is_delivering else 0.0,
                is_delivering=self._is_delivering,
                last_frame_ns=self._recent[-1][0] if self._recent else None,
                restarts=max(0, self._lives - 1),
                lost=dict(self._lost),
                dropped=dict(dropped),
                state=self._state,
            )

    def deliver_to(self, frames: Doorway, gate: GateMeans | None = None) -> None:
        """Leave the newest frame there from now on; from any thread.

        Args:
            frames: Where; says what is not wanted.
            gate: How to look for motion; None: not at all.
        """
        with self._guard:
            self._frames, self._gate = frames, gate
            self._attend(Attention(gate))
        frames.tell_rest_to(partial(self._note_rest, frames))

    def _note_rest(self, frames: Doorway, rest: Rest) -> None:
        with self._guard:
            if frames is self._frames:  # and not one from which another has taken over
                gate = None if rest.whatever_moves else self._gate
                self._attend(Attention(gate, rest.until_ns))

    def _attend(self, attention: Attention) -> None:
        """Want something else of the child; with the guard held."""
        self._attention, self._is_attention_sent = attention, False
        self._interrupt()

    def _interrupt(self) -> None:
        """Have the thread look for what is new instead of listening on; with the guard held."""
        if self._child is not None:
            self._child.channel.interrupt()

    def run_once(self) -> None:
        """Live through one child, and wait before the next."""
        ending = self._one_life()
        worked_s = self._end_delivery()
        if self.stopping.is_set() or not self._is_wanted():
            return
        with self._guard:
            self._lost[ending.reason] += 1
        if ending.reason == Reason.ENDED and self._is_played_once:
            self._set_state("ended")
            raise Closed
        self._pause(ending, worked_s)

    def _is_wanted(self) -> bool:
        """Tell whether the camera is to be read at all; else its child is ended in good order."""
        return True

    def closed(self) -> None:
        if self.stopping.is_set():
            self._set_state("stopped")

    def wake(self) -> None:
        with self._guard:
            self._interrupt()

    @property
    def _is_played_once(self) -> bool:
        """Whether an end is an end: a clip that was played, not a camera that hung up."""
        return parse_address(self._settings.source).kind in {Kind.FILE, Kind.SYNTHETIC}

    def _one_life(self) -> Ending:
        try:
            errand = self._errand()
        except SourceError as error:
            return Ending(reason_of(error), str(error))
        self._lives += 1
        self._set_state("starting")
        child = ChildProcess(ENTRY, errand.as_json(), name=f"cam-{self._camera}")
        child.start()
        self._adopt(child)
        try:
            return self._serve(child)
        finally:
            self._adopt(None)
            child.end()
            self._tell_of_film(None)

    def _errand(self) -> Errand:
        return errand_of(self._settings)

    def _serve(self, child: ChildProcess) -> Ending:
        """Take what the child delivers until it ends, or has to be ended."""
        receiver = FrameReceiver(child.channel)
        limit_s = max(self._settings.deadline_s, OPENING_LIMIT_S)
        deadline = Deadline(limit_s)
        while not self.stopping.is_set() and self._is_wanted():
            left_s = deadline.remaining_s()
            self.promise(left_s + ROUND_LIMIT_S)  # a child that says nothing is no hang of ours
            try:
                self._pass_order(receiver)
                said = receiver.receive(left_s)
            except ChannelClosed:
                how = child.end(grace_s=STOP_GRACE_S)
                return Ending(Reason.CRASHED, f"its process ended: {how}")
            except Unintelligible:
                _log.exception("%s: its process is not to be understood", self._title)
                return Ending(Reason.CRASHED, "its process was not to be understood")
            if isinstance(said, Ending):
                child.end(grace_s=STOP_GRACE_S)
                return said
            if self._take(said):
                limit_s = self._settings.deadline_s
                deadline = Deadline(limit_s)
            elif deadline.is_over:
                return Ending(Reason.STALLED, f"brought nothing for {limit_s:.1f} s")
        self._bid_farewell(child, receiver)
        return Ending(Reason.ENDED, "was stopped")

    def _bid_farewell(self, child: ChildProcess, receiver: FrameReceiver) -> None:
        """Ask the child to end, and hear what it has to say of its film until it does."""
        deadline = Deadline(STOP_GRACE_S)
        with contextlib.suppress(ChannelClosed, Unintelligible):
            receiver.send_stop()
            while not deadline.is_over:
                said = receiver.receive(deadline.remaining_s())
                if isinstance(said, FilmNews):
                    self._tell_of_film(said)
                elif isinstance(said, Ending):
                    break
        child.end(grace_s=deadline.remaining_s())

    def _pass_order(self, receiver: FrameReceiver) -> None:
        """Tell the child what is to be filmed, and what it is to look for, if it does not know."""
        with self._guard:
            order, is_order_sent = self._order, self._is_order_sent
            attention, is_attention_sent = self._attention, self._is_attention_sent
            self._is_order_sent = self._is_attention_sent = True
        if not is_order_sent:
            receiver.send_order(order)
        if not is_attention_sent:
            receiver.send_attention(attention)

    def _take(self, said: Said | None) -> bool:
        """Pass on what came; return whether it shows that the source lives."""
        if isinstance(said, Delivery):
            self._deliver(said)
            return True
        if isinstance(said, FilmNews):
            self._tell_of_film(said)
        elif isinstance(said, Counts):
            return self._take_counts(said)
        return False

    def _take_counts(self, counts: Counts) -> bool:
        """Note what did not come across; return whether it shows that the source lives."""
        with self._guard:
            thinned = counts.thinned - self._dropped.thinned
            still = self._newly_still(counts)
        self._tell_still(still)
        return still > 0 or thinned > 0

    def _newly_still(self, counts: Counts) -> int:
        """Take on what a child has left out; return how many of it were still. Guard held."""
        before, self._dropped = self._dropped, counts
        still = counts.still - before.still
        self._count += still
        return still

    def _tell_still(self, still: int) -> None:
        if still:
            self._frames.note_still(still)

    def _deliver(self, said: Delivery) -> None:
        with self._guard:
            still = self._newly_still(said.counts)
            is_first = not self._is_delivering
            sequence = self._count
            self._count += 1
            self._recent.append((said.captured_ns, self._count))
        self._tell_still(still)
        if is_first:
            self._begin_delivery()
        frame = Frame(self._camera, sequence, said.captured_ns, said.picture, said.motion)
        self._frames.put(frame)

    def _begin_delivery(self) -> None:
        self._delivering_since_ns = self._clock.monotonic_ns()
        with self._guard:
            self._is_delivering = True
            self._state = "delivering"
        _log.info("%s delivers", self._title)
        self._tell(True)

    def _end_delivery(self) -> float:
        """Note that the child is over; return for how long it had delivered, in seconds."""
        with self._guard:
            was_delivering, self._is_delivering = self._is_delivering, False
            self._dropped_before += _as_counter(self._dropped)
            self._dropped = Counts()
            self._recent = deque(list(self._recent)[-1:], maxlen=_RATE_FRAMES)
        if not was_delivering:
            return 0.0
        self._tell(False)
        return seconds(self._clock.monotonic_ns() - self._delivering_since_ns)

    def _pause(self, ending: Ending, worked_s: float) -> None:
        is_hopeless = ending.reason == Reason.UNSUPPORTED
        wait_s = self._back_off.longest() if is_hopeless else self._back_off.after(worked_s)
        # It goes to the broker, too, and FFmpeg has many ways to tell an address.
        text = redact(f"{ending.reason}: {ending.text}; trying again in {wait_s:.1f} s")
        self._set_state(text)
        _log.warning("%s: %s", self._title, text)
        self.rest(wait_s)

    def _adopt(self, child: ChildProcess | None) -> None:
        with self._guard:
            self._child = child
            self._is_order_sent = self._order == FilmOrder()  # which a new child does by itself
            self._is_attention_sent = self._attention == Attention()

    def _set_state(self, state: str) -> None:
        with self._guard:
            self._state = state

    def _tell_of_film(self, news: FilmNews | None) -> None:
        if self._on_film is not None:
            self._on_film(news)

    def _tell(self, is_delivering: bool) -> None:
        if self._on_change is not None:
            self._on_change(is_delivering)


def errand_of(settings: CameraSettings) -> Errand:
    """Return what a source child is told; the password file is read each time.

    So a new password takes effect without a restart.

    Raises:
        SourceUnsupported: The source is none that we know.
        SourceRefused: The password file cannot be read.
    """
    return Errand(
        source=_secret_source(settings),
        fps=settings.fps,
        width=settings.width,
        height=settings.height,
        rtsp_transport=settings.rtsp_transport,
        masks=tuple(mask.polygon for mask in settings.privacy_masks),
        show_every_s=min(SHOW_EVERY_S, settings.deadline_s / 2),
        films=FilmMeans(
            method=settings.recording.method,
            before_s=settings.recording.before_s,
            encode_fps=settings.recording.encode_fps,
            buffer_bytes=settings.recording.buffer_megabytes * 1_000_000,
        ),
    )


def _secret_source(settings: CameraSettings) -> str:
    """Put the password in, and keep it out of the log."""
    parse_address(settings.source)  # refuses nonsense here, where it can be told whole
    path = settings.password_file
    if path is None or PASSWORD_PLACE not in settings.source:
        return settings.source
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceRefused("the password file cannot be read", where=str(path)) from error
    keep_secret(password)
    return with_password(settings.source, password)


def _as_counter(counts: Counts) -> Counter[str]:
    return Counter(thinned=counts.thinned, corrupt=counts.corrupt, no_slot=counts.no_slot)


def _rate(recent: deque[tuple[int, int]]) -> float:
    """Return frames a second from capture times and counts, 0.0 for fewer than two."""
    if len(recent) < 2:
        return 0.0
    (first_ns, first), (last_ns, last) = recent[0], recent[-1]
    span_s = seconds(last_ns - first_ns)
    return (last - first) / span_s if span_s else 0.0
