"""Memory: what is free, what was killed for want of it, and the kind that a ribbon camera needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from camera_app.capture.address import Kind as SourceKind
from camera_app.capture.address import parse_address
from camera_app.capture.picamera import BUFFERS, DEFAULT_SIZE
from camera_app.config import CameraSettings
from camera_app.doctor.findings import Finding
from camera_app.doctor.machine import Machine
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.errors import SourceError
from camera_app.kernel import numbers_of
from camera_app.values import Size

MB = 1e6
KB = 1024  # in which /proc/meminfo counts

# The service with one camera and one network takes about this much.
SERVICE_BYTES = 200 * MB
# libcamera's own buffers beside ours, estimated: only an open camera tells, and one that lacks the
# memory does not open. Raw pictures of the sensor in the mode that it chooses, four at least
# (2304x1296 of 10 bits on a common sensor: 15 MB; other modes have more), and tables of the image
# processor.
LIBCAMERA_BYTES = 32 * MB
# Which kind of memory camera buffers come from: a link. A Pi 5 reaches all of its memory, and has
# the link lead to `system`; others need contiguous memory.
HEAP_LINK = "dev/dma_heap/vidbuf_cached"
ROW_BYTES = 64  # rows of ours are padded to this
PRESSURE_PERCENT = 10.0  # of a minute in which something waited for memory

_kinds = Kinds("memory")
_FREE = "Close other programs, or take away a camera or a model"
CMA_SMALL = _kinds.error(
    "cma_small",
    "the memory for cameras at the ribbon (CMA) is smaller than the configured ones need, which is "
    "estimated from their width and height",
    "Give it more, and restart the machine",
    "sudo sed -i 's/^dtoverlay=vc4-kms-v3d.*/dtoverlay=vc4-kms-v3d,cma-<megabytes>/' "
    "<boot_config> && sudo reboot",
)
CMA_USED = _kinds.warning(
    "cma_used",
    "too little of the memory for cameras at the ribbon (CMA) is free, and no service of ours has "
    "it: another program uses it, or it has broken into pieces",
    "End the other program; if that does not help, restart the machine",
    "sudo reboot",
)
LOW = _kinds.error(
    "low",
    "less memory is free than the service needs to start",
    _FREE,
    "ps -eo pid,rss,comm --sort=-rss | head",
)
PRESSURE = _kinds.warning(
    "pressure",
    "programs wait for memory for a tenth of the time and more",
    _FREE,
    "cat /proc/pressure/memory",
)
KILLED = _kinds.warning(
    "killed",
    "since the start of the machine the kernel has ended processes for want of memory",
    _FREE,
    "journalctl -k --grep 'Out of memory'",
)


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """What is known of the memory, in bytes.

    Attributes:
        available: What a program can get; None: it is not told.
        cma_total: Contiguous memory, for cameras; None: there is none.
        cma_free: What of it is free.
        cma_needed: What the configured cameras take of it together; 0: none is at a ribbon, or this
            board takes other memory for them.
        killed: Processes that were ended for want of memory since the start.
        pressure_percent: Of the last minute, in which something waited; None: it is not told.
        is_running: The service runs, and has what it needs.
        boot_config: The file in which a Raspberry Pi's memory is set.
    """

    available: int | None
    cma_total: int | None
    cma_free: int
    cma_needed: int
    killed: int
    pressure_percent: float | None
    is_running: bool
    boot_config: str


def examine(subject: Subject) -> Examined:
    """Look at the memory."""
    facts = read(subject)
    if facts.available is None:
        return Examined(skipped="this machine does not tell")
    told = [f"{facts.available / MB:.0f} MB available"]
    if facts.cma_total:
        told.append(f"{facts.cma_free / MB:.0f} of {facts.cma_total / MB:.0f} MB CMA free")
    return Examined(tuple(told), tuple(judge(facts)))


def read(subject: Subject) -> MemoryFacts:
    """Read what the kernel tells."""
    machine = subject.machine
    sizes = {name: size * KB for name, size in numbers_of(machine.place("proc/meminfo")).items()}
    old_place = "/boot/config.txt"
    is_old = not machine.has("boot/firmware/config.txt") and machine.has(old_place)
    return MemoryFacts(
        available=sizes.get("MemAvailable"),
        cma_total=sizes.get("CmaTotal"),
        cma_free=sizes.get("CmaFree", 0),
        cma_needed=_cma_needed(subject),
        killed=_counter(machine, "oom_kill"),
        pressure_percent=_pressure(machine),
        is_running=subject.service.is_running,
        boot_config=old_place if is_old else "/boot/firmware/config.txt",
    )


def _cma_needed(subject: Subject) -> int:
    """Return what the cameras at a ribbon take of the contiguous memory, in bytes."""
    config = subject.config
    if config is None or Path(subject.machine.link(HEAP_LINK)).name == "system":
        return 0
    return sum(_cma_of(camera) for camera in config.camera.values() if camera.enabled)


def _cma_of(camera: CameraSettings) -> int:
    try:
        if parse_address(camera.source).kind is not SourceKind.PICAMERA:
            return 0
    except SourceError:  # told by the check of the cameras
        return 0
    asked = Size(camera.width or DEFAULT_SIZE.width, camera.height or DEFAULT_SIZE.height)
    row = -(-asked.width // ROW_BYTES) * ROW_BYTES
    return round(BUFFERS * row * asked.height * 1.5 + LIBCAMERA_BYTES)


def judge(facts: MemoryFacts) -> Iterator[Finding]:
    """Say what is wrong with the memory."""
    yield from _judge_cma(facts)
    if facts.available is not None and not facts.is_running and facts.available < SERVICE_BYTES:
        free, needed = facts.available / MB, SERVICE_BYTES / MB
        yield LOW.found(f"{free:.0f} MB can be had, and the service takes about {needed:.0f} MB")
    if facts.pressure_percent is not None and facts.pressure_percent >= PRESSURE_PERCENT:
        yield PRESSURE.found(
            f"for {facts.pressure_percent:.0f} % of the last minute something waited for memory"
        )
    if facts.killed:
        yield KILLED.found(f"the kernel has ended {facts.killed} processes for want of memory")


def _judge_cma(facts: MemoryFacts) -> Iterator[Finding]:
    if not facts.cma_needed:
        return
    total = facts.cma_total or 0
    needed = f"the cameras at the ribbon take about {facts.cma_needed / MB:.0f} MB, by estimate"
    if total < facts.cma_needed:
        megabytes = next((size for size in (128, 256, 320) if size * MB >= facts.cma_needed), 512)
        yield CMA_SMALL.found(
            f"CMA has {total / MB:.0f} MB, and {needed}",
            megabytes=megabytes,
            boot_config=facts.boot_config,
        )
    elif facts.cma_free < facts.cma_needed and not facts.is_running:
        yield CMA_USED.found(f"{facts.cma_free / MB:.0f} MB of CMA are free, and {needed}")


def _counter(machine: Machine, name: str) -> int:
    for line in machine.text("proc/vmstat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0


def _pressure(machine: Machine) -> float | None:
    for word in machine.text("proc/pressure/memory").split():
        if word.startswith("avg60="):  # the first line: some waited, not all
            return float(word.partition("=")[2])
    return None


CHECK = Check(
    "memory", "free memory, pressure, and CMA for cameras at the ribbon", examine, _kinds.made
)
