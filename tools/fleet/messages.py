"""What one simulated camera says: topics, payloads and properties made by the product. Pure.

Each is a device with one camera, as most are. What it leaves out of a real one: pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

from camera_app import __version__
from camera_app.events import canonical_json, change_record, event_id, seeded_bits
from camera_app.publish import (
    CameraStatus,
    DeviceStatus,
    FallbackStatus,
    Topics,
    availability_message,
    count_message,
    fallback_message,
    ledger_message,
    status_message,
)
from camera_app.publish.discovery import AnnouncedCamera, AnnouncedDevice, announcements
from camera_app.publish.properties import EventProperties
from camera_app.store import CommittedChange
from camera_app.values import BestMoment, Box, ChangeType, Event, EventChange, Size
from tools.fleet.packets import publish
from tools.fleet.timetable import VISIT

BASE = "camera_app"
CAMERA = "front"
ZONE = "door"
LABEL = "person"
STATUS_INTERVAL_S = 30.0
EXPIRY_S = 30 * 86400
NOW_EXPIRY_S = 5
BOOT_ID = "6f1c3f2e-6c53-4b0e-8f43-6a5b1f0c9d11"
_DISCOVERY_PREFIX = "homeassistant"
_SIZE = Size(1280, 720)
_BOX = Box(101.5, 80.0, 160.0, 240.5)
_NO_PROPERTIES = b"\x00"


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready but for its number.

    Attributes:
        topic: Where.
        payload: What.
        is_retained: The broker keeps it.
        properties: Packed.
        qos: 0 or 1.
    """

    topic: str
    payload: bytes
    is_retained: bool
    properties: bytes = _NO_PROPERTIES
    qos: int = 1

    def packet(self, message_id: int) -> bytes:
        """Return it as sent; the id is for QoS 1."""
        return publish(
            message_id if self.qos else 0,
            self.topic,
            self.payload,
            is_retained=self.is_retained,
            properties=self.properties,
        )


class SimulatedCamera:
    """One camera of the fleet: its names and how far its ledger has counted.

    Attributes:
        topics: Its topics.
        seq: The last number that its ledger gave out.
    """

    __slots__ = ("_bits", "_events", "_newest_event", "seq", "topics")

    def __init__(self, number: int) -> None:
        device_id = f"cam{number:05d}"
        self.topics = Topics(BASE, device_id)
        self.seq = 0
        self._bits = seeded_bits(device_id)
        self._events: dict[int, tuple[str, int]] = {}  # visit -> event id, start; open ones
        self._newest_event = ""

    @property
    def will(self) -> tuple[str, bytes]:
        """What the broker says when the camera is gone: topic and payload."""
        return self.topics.availability, availability_message(False)

    @property
    def filters(self) -> tuple[str, ...]:
        """What it listens to."""
        return (self.topics.request, *self.topics.command_filters)

    def greeting(self, *, with_discovery: bool) -> list[Message]:
        """Return the retained state that it tells at each connection, availability first."""
        topics = self.topics
        state = {
            topics.availability: availability_message(True),
            topics.camera_availability(CAMERA): availability_message(True),
            topics.count(CAMERA, LABEL): count_message(0),
            topics.zone_count(CAMERA, ZONE, LABEL): count_message(0),
            topics.setting(CAMERA, "detection"): b"ON",
            topics.setting(CAMERA, "privacy"): b"OFF",
            topics.setting(CAMERA, "snapshots"): b"ON",
            topics.setting(CAMERA, "threshold"): b"0.5",
            topics.fallback: fallback_message(
                FallbackStatus(False, (), "cpu", 0, {}, since=1.7e9, count=0)
            ),
            topics.status: self.status(0.0).payload,
        }
        told = [Message(topic, payload, is_retained=True) for topic, payload in state.items()]
        return told + (self._discovery() if with_discovery else [])

    def _discovery(self) -> list[Message]:
        device = AnnouncedDevice(
            device_id=self.topics.device_id,
            name=self.topics.device_id,
            version=__version__,
            topics=self.topics,
            cameras=[AnnouncedCamera(CAMERA, [("", LABEL), (ZONE, LABEL)])],
            status_interval_s=STATUS_INTERVAL_S,
        )
        found = announcements(device, "device", _DISCOVERY_PREFIX)
        return [Message(one.topic, one.payload, is_retained=True) for one in found]

    def status(self, uptime_s: float) -> Message:
        """Return how the device does: a camera at ten frames a second, all of them looked at."""
        frames = int(uptime_s * 10)
        camera = CameraStatus("running", 10.0, 10.0, frames, frames, {}, 41.25, 66.5)
        status = DeviceStatus(
            version=__version__,
            uptime_s=uptime_s,
            cameras={CAMERA: camera},
            disk_free_bytes=20_000_000_000,
            temperature_c=51.5,
        )
        return Message(self.topics.status, status_message(status), is_retained=True)

    def change(self, visit: int, step: int, monotonic_ns: int, wall_ns: int) -> list[Message]:
        """Return what one change of a visit is told as: ledger, `now`, and the counts.

        Args:
            visit: Number of the visit.
            step: Its place in `VISIT`; steps of a visit come in order.
            monotonic_ns: When the frame was captured.
            wall_ns: The same as wall time.
        """
        kind = VISIT[step][1]
        ledger = self._ledger(visit, step, monotonic_ns, wall_ns, is_delayed=False)
        fresh = EventProperties(self.seq, self._newest_event, NOW_EXPIRY_S).pack()
        topic = self.topics.now(CAMERA)
        now = Message(topic, ledger.payload, is_retained=False, properties=fresh, qos=0)
        if kind is ChangeType.UPDATED:
            return [ledger, now]
        count = count_message(int(kind is ChangeType.STARTED))
        counts = [self.topics.count(CAMERA, LABEL), self.topics.zone_count(CAMERA, ZONE, LABEL)]
        return [ledger, now, *(Message(topic, count, is_retained=True) for topic in counts)]

    def late_change(self, number: int, monotonic_ns: int, wall_ns: int) -> Message:
        """Return a change of an outage, told late and on the ledger alone; numbers from 0."""
        visit, step = divmod(number, len(VISIT))
        return self._ledger(visit, step, monotonic_ns, wall_ns, is_delayed=True)

    def _ledger(
        self, visit: int, step: int, monotonic_ns: int, wall_ns: int, *, is_delayed: bool
    ) -> Message:
        _, kind, reason = VISIT[step]
        change = EventChange(
            kind, monotonic_ns, wall_ns, self._event(visit, kind, monotonic_ns, wall_ns), reason
        )
        self.seq += 1
        record = change_record(change) | {
            "boot_id": BOOT_ID,
            "monotonic_s": round(monotonic_ns / 1e9, 3),
            "uncertainty_s": 0.012,
        }
        event = self._newest_event = change.event.event_id
        row = CommittedChange(
            self.seq, CAMERA, self.seq, event, kind, wall_ns, wall_ns, canonical_json(record)
        )
        return Message(
            self.topics.event(CAMERA),
            ledger_message(row, device_id=self.topics.device_id, is_delayed=is_delayed),
            is_retained=False,
            properties=EventProperties(self.seq, event, EXPIRY_S).pack(),
        )

    def _event(self, visit: int, kind: ChangeType, monotonic_ns: int, wall_ns: int) -> Event:
        if kind is ChangeType.STARTED:
            self._events[visit] = event_id(wall_ns, self._bits()), monotonic_ns
        name, started_ns = self._events[visit]
        is_over = kind is ChangeType.ENDED
        if is_over:
            del self._events[visit]
        return Event(
            event_id=name,
            camera=CAMERA,
            label=LABEL,
            started_ns=started_ns,
            last_seen_ns=monotonic_ns,
            box=_BOX,
            score=0.8123,
            top_score=0.9,
            best=BestMoment(started_ns, _BOX, 0.9),
            frame_size=_SIZE,
            zones=(ZONE,),
            entered_zones=(ZONE,),
            ended_ns=monotonic_ns if is_over else None,
        )
