"""The images that a Dockerfile may begin with, made here as their publisher makes them.

`debian:bookworm-slim` is what debootstrap makes, less documentation and translations; no registry
is asked. What was made once is kept in the cache, and each stage begins with a copy.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tools import debian
from tools.arm64.emulation import DEBOOTSTRAP, Emulator, run
from tools.arm64.errors import ProofFailed
from tools.arm64.room import Room

DEBIAN = "debian:bookworm-slim"
_SUITE = "bookworm"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# As the slim image is made; licences stay.
_LEFT_OUT = ("usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian")


def base_root(emulator: Emulator, name: str, cache: Path, say: Callable[[str], None]) -> Path:
    """Return the root folder of a base image; made when it is wanted first, in a minute or two.

    Raises:
        ProofFailed: It cannot be made.
    """
    if name != DEBIAN:
        raise ProofFailed(f"no base image {name!r} can be made here; known: {DEBIAN}")
    root = cache / name.replace(":", "-")
    if (root / "etc/apt/sources.list").exists():  # the last thing that is written
        return root
    shutil.rmtree(root, ignore_errors=True)
    say(f"making {name} with debootstrap, once")
    with (cache / "debootstrap.log").open("wb") as log:
        _unpack(root, log)
        _configure(emulator, root, log)
    _slim(root)
    (root / "etc/apt/sources.list").write_text(_sources())
    return root


def _sources() -> str:
    return (
        f"deb {_mirror()} {_SUITE} main\n"
        f"deb {_mirror()} {_SUITE}-updates main\n"
        f"deb {_mirror(debian.SECURITY)} {_SUITE}-security main\n"
    )


def _mirror(label: str = debian.DEBIAN) -> str:
    try:
        return debian.mirror(label)
    except debian.NoMirror as error:
        raise ProofFailed(f"{error}: arm64 packages come from where this machine's do") from error


def _unpack(root: Path, log: IO[bytes]) -> None:
    words = ["--arch=arm64", "--variant=minbase", "--foreign", _SUITE, str(root), _mirror()]
    done = subprocess.run([DEBOOTSTRAP, *words], stdout=log, stderr=log, check=False)
    if done.returncode:
        raise ProofFailed("debootstrap failed; see debootstrap.log in the cache")


def _configure(emulator: Emulator, root: Path, log: IO[bytes]) -> None:
    # A namespace of users may make no device files, and debootstrap tries one before it begins.
    # The real ones are mounted.
    stand_in = root / "usr/local/sbin/mknod"
    stand_in.parent.mkdir(parents=True, exist_ok=True)
    stand_in.write_text('#!/bin/sh\n: >"$1"\n')
    stand_in.chmod(0o755)
    room = Room(
        root=str(root),
        command=("/debootstrap/debootstrap", "--second-stage"),
        environment={"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
    )
    if run(emulator, room, log):
        raise ProofFailed("debootstrap's second stage failed; see debootstrap.log in the cache")
    stand_in.unlink()


def _slim(root: Path) -> None:
    for place in _LEFT_OUT:
        shutil.rmtree(root / place, ignore_errors=True)
    for path in (root / "usr/share/doc").rglob("*"):
        if path.name != "copyright" and (path.is_symlink() or not path.is_dir()):
            path.unlink()
    for place in ("var/cache/apt/archives", "var/lib/apt/lists"):
        for path in (root / place).glob("*.*"):
            path.unlink()
