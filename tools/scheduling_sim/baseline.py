"""First come, first served: what most programs do, to hold the policy against."""

from __future__ import annotations

from collections.abc import Sequence

from camera_app.scheduling.load import (
    Assignment,
    Decision,
    DeviceKind,
    DeviceState,
    Pressure,
    Request,
    Shed,
    ShedCause,
)

LIMIT_NS = 5_000_000_000


class FirstCome:
    """Gives each free device the oldest request, whoever asks; gives up what is too late.

    Args:
        pack: What is run for every model.
    """

    def __init__(self, pack: str) -> None:
        self._pack = pack

    def decide(
        self,
        now_ns: int,
        waiting: Sequence[Request],
        devices: Sequence[DeviceState],
        pressure: Pressure,  # noqa: ARG002 - it does not care
    ) -> Decision:
        """Decide what is to be done now."""
        late = [one for one in waiting if now_ns >= one.deadline_ns]
        oldest_first = iter([one for one in waiting if now_ns < one.deadline_ns])
        free = (device for device in devices if device.is_usable for _ in range(device.free_places))
        assignments = [
            Assignment(request, device.name, self._pack, LIMIT_NS)
            for device, request in zip(free, oldest_first, strict=False)
        ]
        wake_ns = min(
            (one.deadline_ns for one in waiting if now_ns < one.deadline_ns), default=None
        )
        return Decision(
            assignments=tuple(assignments),
            sheds=tuple(Shed(request, ShedCause.LATE) for request in late),
            wake_ns=wake_ns,
        )

    def finished(self, now_ns: int, device: str, kind: DeviceKind, number: int) -> bool:  # noqa: ARG002
        """Take note of an answer; nobody else has the request, so it is the first."""
        return True

    def failed(self, device: str, number: int) -> bool:  # noqa: ARG002
        """Take note of a failure; nobody else has the request."""
        return True
