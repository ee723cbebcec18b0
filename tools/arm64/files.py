"""Files of a root folder, seen from this machine: placed, copied, weighed.

A link in a root means a place in that root, never one of this machine.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tools.arm64.errors import ProofFailed

_MOST_LINKS = 40
_BLOCK_BYTES = 512  # what `st_blocks` counts


@dataclass(frozen=True, slots=True)
class Weight:
    """What a folder takes.

    Attributes:
        content_bytes: Sum of the files' lengths, a hard link once: what an engine shows.
        disk_bytes: What they take here, in whole blocks, folders included.
        files: How many there are.
    """

    content_bytes: int = 0
    disk_bytes: int = 0
    files: int = 0


def placed(root: Path, place: str) -> Path:
    """Return where an absolute place of a root lies, following the root's links inside it.

    Raises:
        ProofFailed: Its links never end.
    """
    done, left = PurePosixPath("/"), list(reversed(PurePosixPath(place).parts[1:]))
    for _ in range(_MOST_LINKS + len(left)):
        if not left:
            return root / done.relative_to("/")
        part = left.pop()
        if part == "..":
            done = done.parent
            continue
        here = root / done.relative_to("/") / part
        if here.is_symlink():
            target = PurePosixPath(here.readlink())
            done = PurePosixPath("/") if target.is_absolute() else done
            left += [one for one in reversed(target.parts) if one != "/"]
        else:
            done = done / part
    raise ProofFailed(f"{place}: its links never end")


def copy_root(source: Path, target: Path) -> None:
    """Copy a whole root folder with owners, links and modes."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    _copy_folder(source, target, None, lambda _: True)


def copy_into(
    source: Path,
    target: Path,
    owner: tuple[int, int] | None,
    *,
    into_folder: bool,
    is_wanted: Callable[[Path], bool] = lambda _: True,
) -> int:
    """Copy as `COPY` does: a folder's contents, or one file; return how many files there were.

    Args:
        source: File or folder.
        target: Where to.
        owner: User and group of what is made; None: as in the source.
        into_folder: The target is a folder, even for one file.
        is_wanted: Which files are copied.

    Raises:
        ProofFailed: There is no source.
    """
    if not source.is_symlink() and source.is_dir():
        _make_folder(target, owner)
        return _copy_folder(source, target, owner, is_wanted)
    if not source.exists() or not is_wanted(source):
        raise ProofFailed(f"{source}: is not there to be copied")
    place = target / source.name if into_folder else target
    _make_folder(place.parent, owner)
    _copy_one(source, place, owner)
    return 1


def weigh(root: Path) -> Weight:
    """Return what a folder takes."""
    seen: set[tuple[int, int]] = set()
    content, disk, files = 0, 0, 0
    for path in _everything(root):
        facts = path.lstat()
        if (facts.st_dev, facts.st_ino) in seen:
            continue
        seen.add((facts.st_dev, facts.st_ino))
        disk += facts.st_blocks * _BLOCK_BYTES
        if not stat.S_ISDIR(facts.st_mode):
            content += facts.st_size
            files += 1
    return Weight(content, disk, files)


def _everything(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield Path(folder)
        yield from (Path(folder) / name for name in names)


def _copy_folder(
    source: Path,
    target: Path,
    owner: tuple[int, int] | None,
    is_wanted: Callable[[Path], bool],
) -> int:
    copied = 0
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and not entry.is_symlink():
            inside = _copy_folder_entry(entry, place, owner, is_wanted)
            copied += inside
        elif is_wanted(entry):
            _copy_one(entry, place, owner)
            copied += 1
    return copied


def _copy_folder_entry(
    source: Path, target: Path, owner: tuple[int, int] | None, is_wanted: Callable[[Path], bool]
) -> int:
    """Copy a folder below one that is copied; an empty one too, unless all in it is unwanted."""
    had_entries = any(source.iterdir())
    is_new = not target.exists()
    target.mkdir(exist_ok=True)
    copied = _copy_folder(source, target, owner, is_wanted)
    if is_new and had_entries and not any(target.iterdir()):
        target.rmdir()
        return 0
    if is_new:
        _keep_facts(source, target, owner)
    return copied


def _copy_one(source: Path, target: Path, owner: tuple[int, int] | None) -> None:
    mode = source.lstat().st_mode
    if not (stat.S_ISLNK(mode) or stat.S_ISREG(mode)):
        return  # device files and their like are the engine's to make
    target.unlink(missing_ok=True)
    if stat.S_ISLNK(mode):
        target.symlink_to(source.readlink())
    else:
        shutil.copy2(source, target)
    _keep_facts(source, target, owner)


def _keep_facts(source: Path, target: Path, owner: tuple[int, int] | None) -> None:
    facts = source.lstat()
    uid, gid = owner or (facts.st_uid, facts.st_gid)
    os.chown(target, uid, gid, follow_symlinks=False)
    if not target.is_symlink():
        target.chmod(stat.S_IMODE(facts.st_mode))  # after the owner, which takes away s-bits


def _make_folder(folder: Path, owner: tuple[int, int] | None) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        one.chmod(0o755)
        os.chown(one, *(owner or (0, 0)))
