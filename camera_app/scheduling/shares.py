"""Whose turn it is: fair shares by weight, and the rate that each camera is promised. Pure.

Every camera has a clock of its own that runs on by what it was given, slower with a higher weight;
the camera whose clock shows least is next. A camera that asks again after a rest begins at the time
that the others have reached: a rest saves nothing up. A camera whose promised rate is due goes
before all that have had theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from camera_app.clock import NS_PER_S
from camera_app.scheduling.load import CameraShare, Request

# Frames do not come like clockwork; one that is early by less than this share of the promised
# interval is due, or a camera at 5 fps that is promised 5 would be promised every second frame.
EARLY_SHARE = 0.25


@dataclass(slots=True)
class _Camera:
    """What is remembered of one camera.

    Attributes:
        share: What it may take.
        clock: What it was given, nanoseconds of device time by weight.
        due_ns: When another frame of it is due by the promised rate.
        frame_ns: Capture time of the last frame of which something was begun.
        turn: The clock when that frame was begun.
        was_due: That frame was due by the promised rate.
        begun: Regions of that frame of which something was begun.
    """

    share: CameraShare
    clock: float = 0.0
    due_ns: float = 0.0
    frame_ns: int | None = None
    turn: float = 0.0
    was_due: bool = False
    begun: set[int] = field(default_factory=set)

    @property
    def interval_ns(self) -> float:
        return NS_PER_S / self.share.min_fps

    @property
    def early_ns(self) -> float:
        return EARLY_SHARE * self.interval_ns

    def next_due_ns(self, now_ns: int) -> float:
        """Return when the next frame is due if one is begun now.

        What is begun a little late makes the next one due a little sooner, so that the rate holds;
        what was given beyond the promise does not put the promise off.
        """
        return min(max(self.due_ns, now_ns - self.early_ns), now_ns) + self.interval_ns


class FairShares:
    """Keeps what each camera was given.

    Args:
        shares: By camera; who is not in it gets an ordinary share.
    """

    def __init__(self, shares: Mapping[str, CameraShare]) -> None:
        self._cameras = {name: _Camera(share) for name, share in shares.items()}
        self._reached = 0.0  # the least clock of those that wait; never goes back
        self._waited: set[str] = set()  # cameras that had something waiting when last looked

    def change(self, shares: Mapping[str, CameraShare]) -> None:
        """Go by other shares; who keeps one keeps its place, who is new has rested until now."""
        for name in self._cameras.keys() - shares.keys():
            del self._cameras[name]
        for name, share in shares.items():
            camera = self._cameras.setdefault(name, _Camera(share, clock=self._reached))
            camera.share = share

    def note_waiting(self, cameras: set[str]) -> None:
        """Take note of who waits now: who did not wait before has rested."""
        for name in cameras - self._waited:
            camera = self._camera(name)
            camera.clock = max(camera.clock, self._reached)
        self._waited = cameras
        if cameras:
            self._reached = max(self._reached, min(self._camera(name).clock for name in cameras))

    def is_due(self, request: Request, now_ns: int) -> bool:
        """Tell whether a request belongs to a frame that its camera is promised."""
        return self.standing(request, now_ns)[0]

    def standing(self, request: Request, now_ns: int) -> tuple[bool, float]:
        """Return whether a request's frame is due, and its place in line: the least is next.

        A frame that was begun keeps its place: to finish it brings an answer sooner than to begin
        another.
        """
        camera = self._camera(request.camera)
        if request.captured_ns == camera.frame_ns:
            return camera.was_due, camera.turn
        return now_ns >= camera.due_ns - camera.early_ns, camera.clock

    def has_begun_frame(self, request: Request) -> bool:
        """Tell whether something of the request's frame was begun."""
        return self._camera(request.camera).frame_ns == request.captured_ns

    def has_begun_region(self, request: Request) -> bool:
        """Tell whether something of the request's region was begun."""
        camera = self._camera(request.camera)
        return camera.frame_ns == request.captured_ns and request.region in camera.begun

    def charge(self, request: Request, now_ns: int, cost_ns: float) -> None:
        """Take note that a request was given to a device that it will keep busy for so long."""
        camera = self._camera(request.camera)
        if camera.frame_ns != request.captured_ns:
            camera.was_due = self.is_due(request, now_ns)
            camera.due_ns = camera.next_due_ns(now_ns)
            camera.frame_ns = request.captured_ns
            camera.turn = camera.clock
            camera.begun.clear()
        camera.begun.add(request.region)
        camera.clock += cost_ns / camera.share.weight

    def _camera(self, name: str) -> _Camera:
        camera = self._cameras.get(name)
        if camera is None:
            camera = self._cameras[name] = _Camera(CameraShare())
        return camera
