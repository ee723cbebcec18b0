"""What a picture is in itself: its size, its content, and what it looks like.

Copies pictures into the prepared folder and keeps a journal of what was seen in each, so that an
interrupted preparation looks at none twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Self

import cv2
import numpy as np
import numpy.typing as npt

from tools.workshop.errors import WorkshopError
from tools.workshop.importers.found import Picture

JOURNAL = "pictures.jsonl"

# A picture's difference hash: is each of 16 x 16 places brighter than its right neighbour?
HASH_SIDE = 16
HASH_BITS = HASH_SIDE * HASH_SIDE
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What a look at a picture told.

    Attributes:
        stamp: Of the file looked at.
        flaw: Why it cannot be used; empty: it can, and the rest is known.
        size_bytes: Of the file.
        sha256: Of its content.
        look: Difference hash, hexadecimal.
    """

    stamp: str
    flaw: str = ""
    size_bytes: int = 0
    width: int = 0
    height: int = 0
    sha256: str = ""
    look: str = ""


def look_at(content: bytes, stamp: str) -> PictureFacts:
    """Decode a picture and say what it is; one that is cut short counts as unreadable."""
    flaw = _cut_short(content)
    grey = None if flaw else _decoded(content)
    if grey is None:
        return PictureFacts(stamp, flaw=flaw or "does not decode")
    return PictureFacts(
        stamp=stamp,
        size_bytes=len(content),
        width=grey.shape[1],
        height=grey.shape[0],
        sha256=hashlib.sha256(content).hexdigest(),
        look=difference_hash(grey).hex(),
    )


def difference_hash(grey: npt.NDArray[np.uint8]) -> bytes:
    """Return 256 bits that stay nearly the same when a picture is scaled or compressed again."""
    small = cv2.resize(grey, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(small[:, :-1] < small[:, 1:]).tobytes()


def as_hashes(looks: Iterable[str]) -> Hashes:
    """Return difference hashes as rows of four words."""
    content = bytes.fromhex("".join(looks))
    return np.frombuffer(content, dtype=np.uint64).reshape(-1, HASH_BITS // 64)


def nearest(hashes: Hashes, others: Hashes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Return for each hash which of the others is nearest, and by how many bits they differ."""
    indices = np.zeros(len(hashes), dtype=np.intp)
    bits = np.full(len(hashes), HASH_BITS + 1, dtype=np.int64)
    if not len(others):
        return indices, bits
    for row, one in enumerate(hashes):
        differing = np.bitwise_count(others ^ one).sum(axis=1, dtype=np.int64)
        indices[row] = differing.argmin()
        bits[row] = differing[indices[row]]
    return indices, bits


def _decoded(content: bytes) -> npt.NDArray[np.uint8] | None:
    """Return the picture in grey, turned as its orientation tag says; None: it is none."""
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # empty, or larger than OpenCV lets pictures be
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


def _cut_short(content: bytes) -> str:
    """Say whether the end of the file is missing, which decoders let pass with half a picture."""
    if not content:
        return "is empty"
    if content.startswith(b"\xff\xd8") and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        return "is cut short: a JPEG without its end"
    if content.startswith(b"\x89PNG") and b"IEND" not in content[-64:]:
        return "is cut short: a PNG without its end"
    if content.startswith(b"RIFF") and len(content) < _riff_bytes(content):
        return "is cut short: a WebP without its end"
    return ""


def _riff_bytes(content: bytes) -> int:
    """Return the length that a RIFF file gives itself; its first eight bytes do not count there."""
    return 8 + int.from_bytes(content[4:8].ljust(4, b"\xff"), "little")


@dataclass(slots=True)
class PictureFolder:
    """The pictures of a prepared data set, and the journal of what was seen in them.

    Used as a context manager while pictures are taken in.
    """

    path: Path
    _known: dict[str, PictureFacts] = field(default_factory=dict)
    _journal: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            journal = self.path / JOURNAL
            self._known = _read_journal(journal)
            self._journal = journal.open("a", encoding="utf-8")
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self

    def __exit__(self, *exc: object) -> None:
        if self._journal is not None:
            self._journal.close()

    def take_in(self, picture: Picture, name: str) -> PictureFacts:
        """Copy a picture under a relative name and say what it is; what was seen is not redone."""
        known = self._known.get(name)
        try:
            stamp = picture.stamp
            if known and known.stamp == stamp and self._still_holds(name, known):
                return known
            content = picture.read()
        except (OSError, ValueError) as error:
            return PictureFacts("", flaw=f"cannot be read: {error}")
        facts = look_at(content, stamp)
        try:
            if not facts.flaw:
                self._write(name, content)
            self._note(name, facts)
        except OSError as error:
            raise _unwritable(self.path / name, error) from error
        return facts

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove pictures that were taken in and are not part of the data set."""
        kept = set(names)
        for name in self._known:
            if name not in kept:
                (self.path / name).unlink(missing_ok=True)

    def _still_holds(self, name: str, facts: PictureFacts) -> bool:
        if facts.flaw:
            return True
        path = self.path / name
        return path.is_file() and path.stat().st_size == facts.size_bytes

    def _write(self, name: str, content: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)  # noted only when whole, so half a file is written again

    def _note(self, name: str, facts: PictureFacts) -> None:
        assert self._journal is not None, "take_in outside of with"
        self._known[name] = facts
        self._journal.write(json.dumps({"name": name, **asdict(facts)}) + "\n")
        self._journal.flush()


def _read_journal(path: Path) -> dict[str, PictureFacts]:
    """Return the last word on each picture; a line torn by a crash is dropped."""
    if not path.is_file():
        return {}
    known: dict[str, PictureFacts] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines:
        try:
            fields = json.loads(line)
            name = fields.pop("name")
            known[name] = PictureFacts(**fields)
        except (ValueError, KeyError, TypeError):
            continue
    _rewrite(path, known)
    return known


def _rewrite(path: Path, known: dict[str, PictureFacts]) -> None:
    """Write the journal anew, so that what follows a torn line starts on a line of its own."""
    lines = [json.dumps({"name": name, **asdict(facts)}) for name, facts in known.items()]
    partial = path.with_suffix(".new")
    partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    partial.replace(path)


def hashes_below(folder: Path, paths: Iterable[Path]) -> tuple[list[Path], Hashes]:
    """Return the hashes of pictures and of their mirror images, and for each hash its picture.

    Raises:
        WorkshopError: None of them can be read, so nothing would be compared.
    """
    named: list[Path] = []
    looks: list[str] = []
    for path in paths:
        grey = _decoded(path.read_bytes())
        if grey is not None:
            named += (path, path)
            looks += (difference_hash(grey).hex(), difference_hash(grey[:, ::-1].copy()).hex())
    if not named:
        raise WorkshopError(
            "holds no readable pictures to keep out",
            where=str(folder),
            remedy="Name the folder with the pictures of the evaluation set",
        )
    return named, as_hashes(looks)


def _unwritable(path: Path, error: OSError) -> WorkshopError:
    return WorkshopError(
        f"cannot be written: {error.strerror or error}",
        where=str(path),
        remedy="Free some space or choose another folder, then give the same command again",
    )
