"""What the image must be, whatever it holds: nothing in it builds, installs or opens a shell."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from tools.arm64.build import Image
from tools.arm64.elf import is_elf, is_loadable

# 300 million bytes, as an engine counts and shows them.
MOST_BYTES = 300_000_000
LABELS = ("title", "description", "licenses", "version", "revision", "base.name")
_LABEL_PREFIX = "org.opencontainers.image."
_UNWANTED = re.compile(
    r"(?:[a-z0-9_]+-linux-gnu-)?"
    r"(?:cc|c\+\+|gcc|g\+\+|cpp|clang|clang\+\+|ld|as|strip|make|gdb"  # what builds
    r"|apt|apt-get|dpkg|pip3?|easy_install"  # what installs
    r"|sh|bash|dash|ash|busybox|perl|su|sudo|login|mount)"  # what leads further
    r"(?:-?[0-9.]+)?"
)


def broken_rules(image: Image) -> list[str]:
    """Return what the image has or lacks against the rules; nothing: it keeps them."""
    return [*_of_description(image), *_of_files(image.root)]


def _of_description(image: Image) -> Iterator[str]:
    if image.user.uid == 0 or image.user.gid == 0:
        yield "it runs as root"
    if image.health_check is None:
        yield "it has no health check"
    if not image.entry_point:
        yield "it has no program"
    for name in LABELS:
        if not image.labels.get(_LABEL_PREFIX + name):
            yield f"it has no label {_LABEL_PREFIX}{name}"


def _of_files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        yield from _of_mode(root, Path(folder))
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield from _of_mode(root, path)
                yield from _of_content(root, path)
            if _UNWANTED.fullmatch(name) and os.access(path, os.X_OK):
                yield f"/{path.relative_to(root)}: a program that it should not have"


def _of_mode(root: Path, path: Path) -> Iterator[str]:
    mode = path.lstat().st_mode
    if mode & (stat.S_ISUID | stat.S_ISGID) and stat.S_ISREG(mode):
        yield f"/{path.relative_to(root)}: runs with its owner's rights"
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        yield f"/{path.relative_to(root)}: everybody may write it"


def _of_content(root: Path, path: Path) -> Iterator[str]:
    with path.open("rb") as opened:
        begins = opened.read(4)
    if is_elf(begins) and not is_loadable(path.read_bytes()):
        yield f"/{path.relative_to(root)}: cannot be loaded on a Raspberry Pi 5"
