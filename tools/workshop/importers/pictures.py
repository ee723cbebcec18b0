"""Picture files of a source: in folders, or in zip archives beside its labels."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath

from tools.workshop.errors import WorkshopError
from tools.workshop.importers.found import Picture

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

# A picture unpacks to its own size, give or take: more than this is no picture but a trap.
MOST_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A picture in a file of its own."""

    path: Path

    @property
    def stamp(self) -> str:
        """Return size and time of last change."""
        status = self.path.stat()
        return f"{status.st_size}-{status.st_mtime_ns}"

    @property
    def size_bytes(self) -> int:
        """Return the size of the file."""
        return self.path.stat().st_size

    def read(self) -> bytes:
        """Return the content."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class ZipPicture:
    """A picture in an archive, which stays open as long as the source is in use."""

    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo

    @property
    def stamp(self) -> str:
        """Return size and check sum."""
        return f"{self.entry.file_size}-{self.entry.CRC:08x}"

    @property
    def size_bytes(self) -> int:
        """Return the unpacked size."""
        return self.entry.file_size

    def read(self) -> bytes:
        """Return the unpacked content, its check sum tried."""
        if self.entry.file_size > MOST_BYTES:
            raise ValueError(f"unpacks to {self.entry.file_size} bytes")
        try:
            return self.archive.read(self.entry)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ValueError(str(error)) from error


@dataclass(slots=True)
class PictureStore:
    """Finds pictures by the names that labels call them."""

    folders: tuple[Path, ...]
    _packed: dict[str, ZipPicture] = field(default_factory=dict)

    @classmethod
    def at(cls, *folders: Path) -> PictureStore:
        """Look into the folders, and into each zip archive in them."""
        store = cls(tuple(dict.fromkeys(folders)))
        for folder in store.folders:
            for path in sorted(folder.glob("*.zip")):
                store._add_archive(path)
        return store

    def find(self, name: str) -> Picture | None:
        """Return the picture of this name; None where there is none, or outside the source."""
        if not is_inside(name):
            return None
        name = name.replace("\\", "/")
        packed = self._packed.get(name)
        if packed is not None:
            return packed
        paths = (folder / name for folder in self.folders)
        try:
            return next((FilePicture(path) for path in paths if path.is_file()), None)
        except OSError:  # too long a name, or a folder that nobody may look into
            return None

    def _add_archive(self, path: Path) -> None:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise WorkshopError(
                f"is no readable zip archive: {error}",
                where=str(path),
                remedy="Fetch it again, or take it away if its pictures are not wanted",
            ) from error
        for entry in archive.infolist():
            if is_picture(entry.filename):
                self._packed.setdefault(entry.filename, ZipPicture(archive, entry))


def is_picture(name: str) -> bool:
    """Tell by its ending whether this is a picture; what macOS and others leave behind is not."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def is_inside(name: str) -> bool:
    """Tell whether a name stays where it is looked up: not absolute, and never upward."""
    path = PurePosixPath(name.replace("\\", "/"))
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def pictures_below(folder: Path) -> Iterator[Path]:
    """Yield all pictures in a folder and the folders in it, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if is_picture(path.name) and path.is_file():
            yield path


def split_of(folder: PurePath) -> str | None:
    """Return the split that a folder's name speaks of, or one of those above it; years go along."""
    for word in reversed(folder.parts):
        for split, words in _SPLIT_WORDS.items():
            if word.lower().rstrip("0123456789") in words:
                return split
    return None


_SPLIT_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
