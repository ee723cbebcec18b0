"""What the process of a stick may take of the machine."""

from __future__ import annotations

import mmap
import resource
import threading
from pathlib import Path

from camera_app.children import Channel, ChildProcess, bound_memory
from camera_app.inference.edgetpu.child import MEMORY_LIMIT_BYTES
from tests.inference.edgetpu.conftest import LIMIT_S, MakeStick, MakeTwin
from tools.edgetpu_sim.sticks import SimulatedStick

ENTRY = "tests.inference.edgetpu.test_limits:map_as_a_driver_does"


def test_the_process_of_a_stick_lives_under_a_memory_limit(
    simulated: SimulatedStick, make_stick: MakeStick, make_twin: MakeTwin
) -> None:
    make_stick(make_twin()).open(LIMIT_S)
    limit, _ = resource.prlimit(simulated.owner_pid, resource.RLIMIT_DATA)
    assert limit == MEMORY_LIMIT_BYTES


def test_several_networks_take_less_than_a_quarter_of_the_limit(
    simulated: SimulatedStick, make_stick: MakeStick, make_twin: MakeTwin
) -> None:
    """What is left is for the real library, which takes some megabytes and threads more."""
    make_stick(*map(make_twin, ("person_large", "person_small", "face"))).open(LIMIT_S)
    assert _counted_bytes(simulated.owner_pid) < MEMORY_LIMIT_BYTES / 4


def map_as_a_driver_does(channel: Channel, errand: dict[str, str]) -> None:
    """Be a child that maps far more than its limit of a device, and has many threads besides."""
    bound_memory(MEMORY_LIMIT_BYTES)
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, daemon=True) for _ in range(16)]
    for thread in threads:
        thread.start()
    size = 4 * MEMORY_LIMIT_BYTES
    with Path(errand["device"]).open("r+b") as device:
        device.truncate(size)  # with holes: it takes no disk
        with mmap.mmap(device.fileno(), size, mmap.MAP_SHARED) as mapped:
            mapped[size - 1] = 1
            channel.send(b"mapped")
    over.set()


def test_what_is_mapped_of_a_device_does_not_count(tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.touch()
    child = ChildProcess(ENTRY, {"device": str(device)}, name="driver")
    child.start()
    packet = child.channel.receive(LIMIT_S)
    child.end(grace_s=LIMIT_S)
    assert packet is not None
    assert packet.data == b"mapped"


def _counted_bytes(pid: int) -> int:
    """Return what counts against the limit, as the kernel counts it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmData:"))
    return 1024 * int(line.split()[1])
