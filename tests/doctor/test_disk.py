"""The disk of the data folder: real file systems of a few megabytes, and chips that are made up."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.config import parse_config
from camera_app.doctor.checks import disk
from camera_app.doctor.checks.disk import DiskFacts, Mount, Wear, mount_of
from tests.rights import without_rights
from tests.store.test_event_store import in_mount

from .conftest import MadeMachine, kinds

MB = 1_000_000
EXT4 = Mount("/", "ext4", "mmcblk0p2", frozenset({"rw", "relatime"}))
WELL = DiskFacts(
    folder=Path("/data"),
    mount=EXT4,
    free_bytes=9000 * MB,
    total_bytes=30_000 * MB,
    used_bytes=500 * MB,
    reserve_bytes=200 * MB,
    limit_bytes=2500 * MB,
    free_inodes=100_000,
    is_read_only=False,
    write_error="",
    errors=0,
    wear=(),
)


def test_a_disk_with_room_is_well() -> None:
    assert kinds(disk.judge(WELL)) == []


@pytest.mark.parametrize(
    ("free_mb", "found"),
    [
        (2200, []),
        (2199, ["disk.overbooked"]),
        (199, ["disk.low"]),
        (100, ["disk.low"]),
        (99, ["disk.full"]),
    ],
)
def test_space_is_judged_by_the_limits_of_the_configuration(free_mb: int, found: list[str]) -> None:
    """It may grow by 2000 MB and 200 MB are reserved."""
    assert kinds(disk.judge(replace(WELL, free_bytes=free_mb * MB))) == found


def test_few_files_left_and_errors_of_the_kernel_are_told() -> None:
    facts = replace(WELL, free_inodes=9_999, errors=4)
    assert kinds(disk.judge(facts)) == ["disk.few_inodes", "disk.damaged"]
    assert kinds(disk.judge(replace(WELL, free_inodes=None))) == []


@pytest.mark.parametrize(
    ("kind", "options", "found"),
    [
        ("tmpfs", "rw", ["disk.volatile"]),
        ("overlay", "rw", ["disk.volatile"]),
        ("nfs4", "rw", ["disk.on_network"]),
        ("cifs", "rw", ["disk.on_network"]),
        ("vfat", "rw", ["disk.no_journal"]),
        ("ext4", "rw,strictatime", ["disk.costly_mount"]),
        ("ext4", "rw,sync", ["disk.costly_mount"]),
        ("ext4", "rw,noatime", []),
    ],
)
def test_what_it_is_mounted_as_is_judged(kind: str, options: str, found: list[str]) -> None:
    mount = Mount("/data", kind, "", frozenset(options.split(",")))
    assert kinds(disk.judge(replace(WELL, mount=mount))) == found


@pytest.mark.parametrize(
    ("spare", "life", "found"),
    [
        (1, 1, []),
        (1, 8, []),
        (1, 9, ["disk.worn"]),
        (2, 3, ["disk.worn"]),
        (1, 11, ["disk.worn_out"]),
        (3, 5, ["disk.worn_out"]),
    ],
)
def test_the_age_of_a_chip_is_read_from_its_registers(
    made: MadeMachine, spare: int, life: int, found: list[str]
) -> None:
    made.write("sys/block/mmcblk0/device/pre_eol_info", f"0x{spare:02x}\n")
    made.write("sys/block/mmcblk0/device/life_time", f"0x01 0x{life:02x}\n")
    made.write("sys/block/mmcblk0boot0/device/life_time", "0x0b 0x0b\n")  # the same chip
    wear = tuple(disk._wear(made.machine))
    assert wear == (Wear("mmcblk0", spare, life),)
    assert kinds(disk.judge(replace(WELL, wear=wear))) == found


def test_a_card_that_does_not_tell_its_age_is_not_judged(made: MadeMachine) -> None:
    made.write("sys/block/mmcblk0/device/name", "SD32G\n")
    assert tuple(disk._wear(made.machine)) == ()


def test_the_mount_of_a_folder_is_the_nearest_above_it() -> None:
    text = (
        "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw\n"
        "29 22 0:25 / /run rw,nosuid - tmpfs tmpfs rw,size=10k\n"
        "40 22 8:1 / /mnt/my\\040disk rw - vfat /dev/sda1 rw,sync\n"
        "41 22 8:2 / /mnt/my\\040disk rw,relatime - ext4 /dev/sda2 rw\n"
    )
    here = mount_of(text, Path("/var/lib/camera-app"))
    assert here == Mount("/", "ext4", "179:2", frozenset({"rw", "noatime"}))
    there = mount_of(text, Path("/mnt/my disk/data"))
    assert there is not None
    assert (there.place, there.kind, there.device) == ("/mnt/my disk", "ext4", "8:2")
    assert mount_of("", Path("/")) is None


def test_errors_of_the_kernel_are_found_under_the_devices_name(
    made: MadeMachine, tmp_path: Path
) -> None:
    made.write("proc/self/mountinfo", "22 1 179:2 / / rw - ext4 /dev/root rw\n")
    made.link("sys/dev/block/179:2", "../../devices/platform/mmc/block/mmcblk0/mmcblk0p2")
    made.write("sys/fs/ext4/mmcblk0p2/errors_count", "7\n")
    facts = disk.read(made.subject(f'data.folder = "{tmp_path}"\n[camera.a]\nsource = "a.mp4"\n'))
    assert facts.errors == 7
    assert facts.write_error == ""


def examined_in_mount(tmp_path: Path, options: str) -> dict[str, str]:
    """Examine the disk of a real file system, in a process that has it mounted."""
    code = (
        "import json, sys\n"
        "from camera_app.config import parse_config\n"
        "from camera_app.doctor import Machine, Subject\n"
        "from camera_app.doctor.checks import disk\n"
        "from camera_app.doctor.service import Service\n"
        'text = f\'data.folder = "{sys.argv[1]}"\\n[camera.a]\\nsource = "a.mp4"\\n\'\n'
        "subject = Subject(Machine(), Service(), None, parse_config(text))\n"
        "print(json.dumps({f.kind: f.what for f in disk.examine(subject).findings}))\n"
    )
    done = in_mount(tmp_path, options, [sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, str] = json.loads(done.stdout)
    return told


def test_a_real_file_system_of_eight_megabytes_is_full_and_in_memory(tmp_path: Path) -> None:
    told = examined_in_mount(tmp_path, "size=8m")
    assert set(told) == {"disk.full", "disk.volatile"}
    assert told["disk.full"].startswith("8 MB are free, and 200 MB are reserved")


def test_a_real_read_only_file_system_with_few_inodes_is_told(tmp_path: Path) -> None:
    told = examined_in_mount(tmp_path, "ro,size=8m,nr_inodes=100")
    assert {"disk.read_only", "disk.few_inodes"} <= set(told)


def test_a_folder_that_takes_no_file_says_why(made: MadeMachine, tmp_path: Path) -> None:
    """Not even root may make a file below /proc."""
    assert disk._write_error(tmp_path) == ""
    error = disk._write_error(Path("/proc/self"))
    assert error
    assert kinds(disk.judge(replace(WELL, write_error=error))) == ["disk.unwritable"]


def test_a_data_folder_that_whoever_asks_may_not_see_ends_no_check(
    made: MadeMachine, tmp_path: Path
) -> None:
    """What it lies in is examined; Python 3.11 raised."""
    (tmp_path / "closed" / "data").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    text = f'data.folder = "{tmp_path}/closed/data"\n[camera.a]\nsource = "a.mp4"\n'
    subject = made.subject(text)
    with without_rights():
        facts = disk.read(subject)
    (tmp_path / "closed").chmod(0o700)
    assert facts.total_bytes > 0
    assert (facts.used_bytes, facts.write_error) == (0, "")


def test_a_full_disk_is_told_though_nothing_is_reserved() -> None:
    """As the service sees it: below a megabyte its events wait in memory."""
    facts = replace(WELL, reserve_bytes=0, free_bytes=900_000)
    assert kinds(disk.judge(facts)) == ["disk.full"]


def test_films_and_snapshots_count_among_the_limits_where_they_are_kept() -> None:
    """2000 MB of events, 500 of snapshots; 5000 of films, which are off unless asked for."""
    config = parse_config('[camera.a]\nsource = "a.mp4"\n')
    assert disk._limit(config) == 2500 * MB
    films = parse_config('[camera.a]\nsource = "a.mp4"\nrecording.enabled = true\n')
    assert disk._limit(films) == 7500 * MB
