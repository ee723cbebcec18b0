"""What a command may do in a room, with this machine's own programs in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.arm64.conftest import LENT
from tools.arm64.build import Image
from tools.arm64.container import Container
from tools.arm64.dockerfile import User
from tools.arm64.emulation import PROCESSOR, Emulator, output_of, works_in_any_root
from tools.arm64.errors import ProofFailed
from tools.arm64.room import Room

USER = 10001


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def say(emulator: Emulator, root: Path, script: str) -> str:
    room = Room(str(root), ("sh", "-c", script), {"PATH": "/usr/bin:/bin"}, mounts=LENT)
    return output_of(emulator, room)


def test_a_command_sees_its_root_its_processes_and_the_processor_that_is_played(
    emulator: Emulator, root: Path
) -> None:
    (root / "own").touch()

    assert "own" in say(emulator, root, "ls /")
    assert say(emulator, root, "echo $$ $QEMU_CPU") == f"1 {PROCESSOR}\n"
    assert "0xd08" in say(emulator, root, "cat /proc/cpuinfo")
    assert say(emulator, root, "echo gone >/dev/null; ls -d /dev/shm") == "/dev/shm\n"


@pytest.mark.parametrize(
    ("first", "flags", "works"),
    [
        ("enabled", "flags: F", True),
        ("enabled", "flags: POCF", True),
        ("enabled", "flags: POC", False),  # its qemu would be looked for in the root
        ("enabled", "flags: ", False),
        ("disabled", "flags: F", False),
    ],
)
def test_a_qemu_that_the_machine_knows_is_used_if_it_works_in_any_root(
    first: str, flags: str, works: bool
) -> None:
    entry = f"{first}\ninterpreter /usr/bin/qemu-F\n{flags}\noffset 0\nmagic 7f454c46\n"

    assert works_in_any_root(entry) is works


def test_how_a_command_ends_is_told_with_what_it_said(emulator: Emulator, root: Path) -> None:
    with pytest.raises(ProofFailed, match=r"(?s)ended with 3.*oh dear"):
        say(emulator, root, "echo oh dear; exit 3")


def test_nothing_that_a_command_started_outlives_it(emulator: Emulator, root: Path) -> None:
    say(emulator, root, "mkfifo /pipe; (read x </pipe; touch /outlived) &")
    descriptor = os.open(root / "pipe", os.O_RDWR | os.O_NONBLOCK)
    os.write(descriptor, b"go\n")
    os.close(descriptor)

    assert not (root / "outlived").exists()


def test_a_container_writes_its_volumes_and_its_memory_and_nothing_else(
    emulator: Emulator, root: Path, tmp_path: Path
) -> None:
    for place in ("tmp", "data", "etc", *(there.strip("/") for _, there in LENT)):
        (root / place).mkdir()
    (root / "etc").chmod(0o777)  # so that only the mount refuses
    (tmp_path / "secret").write_text("hush")
    environment = {"PATH": "/usr/bin:/bin"}
    image = Image(root, environment=environment, user=User(USER, USER), entry_point=("sh", "-c"))
    container = Container(
        image,
        volumes={"/data": tmp_path / "data"},
        files={"/run/secret": tmp_path / "secret"} | {there: Path(here) for here, there in LENT},
    )
    script = (
        "id -u; id -G; touch /data/mine /tmp/mine && cat /run/secret;"
        "touch /mine || touch /etc/mine || touch /run/secret || echo refused;"
        "grep NoNewPrivs /proc/self/status"
    )
    groups = os.getgroups()
    os.setgroups([4242])  # of whoever calls; not to be taken along
    said = output_of(emulator, container.called(script)).splitlines()
    os.setgroups(groups)

    assert said[:2] == [str(USER), str(USER)]
    assert "hush" in said[2]
    assert "refused" in said
    assert said[-1].split() == ["NoNewPrivs:", "1"]
    assert (tmp_path / "data/mine").stat().st_uid == USER
    assert not (root / "tmp/mine").exists()
