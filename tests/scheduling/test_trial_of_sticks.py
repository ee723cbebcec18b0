"""A stick that nobody needs is tried now and then, or nobody would learn that it is quicker."""

from __future__ import annotations

from dataclasses import replace

from camera_app.scheduling.load import (
    Condition,
    Decision,
    DeviceKind,
    DeviceState,
    Ladder,
    Pressure,
    Request,
    Variant,
    Worth,
)
from camera_app.scheduling.policy import Policy

MS = 1_000_000
BOTH = frozenset({DeviceKind.CPU, DeviceKind.EDGETPU})
DEVICES = [
    DeviceState("cpu", DeviceKind.CPU, Condition.HEALTHY, 2, 2),
    DeviceState("usb:1-1", DeviceKind.EDGETPU, Condition.HEALTHY, 2, 2),
]


class Camera:
    """Asks for one region at a time, and has each device answer after its own time."""

    def __init__(self, cpu_ms: float, stick_ms: float) -> None:
        self.policy = Policy({"m": Ladder((Variant("m", BOTH),))}, {})
        self.takes_ns = {"cpu": round(cpu_ms * MS), "usb:1-1": round(stick_ms * MS)}
        self.now_ns = 0
        self.number = 0
        self.devices = DEVICES[:1]
        for _ in range(5):  # the stick is still being opened
            self.ask()
        self.devices = DEVICES

    def ask(self) -> list[str]:
        """Return the devices that were given the request, the first choice first."""
        self.now_ns += 100 * MS
        now_ns = self.now_ns
        request = Request(self.number, "c", 0, "m", Worth.MOTION, now_ns, now_ns + 2000 * MS)
        self.number += 1
        decision: Decision = self.policy.decide(now_ns, [request], self.devices, Pressure())
        devices = [assignment.device for assignment in decision.assignments]
        for name in sorted(devices, key=self.takes_ns.__getitem__):
            kind = DeviceKind.CPU if name == "cpu" else DeviceKind.EDGETPU
            self.policy.finished(now_ns + self.takes_ns[name], name, kind, request.number)
        return devices


def test_a_stick_that_turns_out_to_be_quicker_is_used_from_then_on() -> None:
    """It is believed to take 15 ms at first; the CPU is known to take 4."""
    camera = Camera(cpu_ms=4, stick_ms=7)
    asked = [camera.ask() for _ in range(20)]
    assert asked == [["usb:1-1", "cpu"]] + [["usb:1-1"]] * 19


def test_a_stick_that_is_slower_is_tried_every_two_seconds_and_the_cpu_answers_as_well() -> None:
    camera = Camera(cpu_ms=4, stick_ms=20)
    asked = [camera.ask() for _ in range(60)]
    tried = [number for number, devices in enumerate(asked) if "usb:1-1" in devices]
    assert tried == [0, 20, 40]
    assert all("cpu" in devices for devices in asked)


def test_a_stick_on_probation_is_tried_with_each_request_and_learned_at_once() -> None:
    camera = Camera(cpu_ms=4, stick_ms=20)
    camera.devices = [DEVICES[0], replace(DEVICES[1], condition=Condition.PROBATION)]
    assert [camera.ask() for _ in range(5)] == [["usb:1-1", "cpu"]] * 5


def test_a_stick_that_is_a_little_slower_spares_the_cpu_until_much_waits() -> None:
    """A desktop's CPU answers in 4 ms what a stick takes 7 for; it decodes films besides."""
    camera = Camera(cpu_ms=4, stick_ms=7)
    for _ in range(5):
        camera.ask()
    assert camera.ask() == ["usb:1-1"]
    now_ns = camera.now_ns + 100 * MS
    many = [
        Request(100 + number, f"c{number}", 0, "m", Worth.MOTION, now_ns, now_ns + 2000 * MS)
        for number in range(8)
    ]
    decision = camera.policy.decide(now_ns, many, DEVICES, Pressure())
    assert {assignment.device for assignment in decision.assignments} == {"cpu", "usb:1-1"}
