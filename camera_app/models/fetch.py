"""Downloads the weights of a pack: only from the address in its manifest, only if the hash fits.

A file appears under its name when it is complete and right, never before. What is incomplete is
kept beside it, hidden, and the next try goes on from there. Where a manifest knows no hash, the
owner may take what comes (`trust`).
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from camera_app.capture.backoff import BackOff
from camera_app.durable import is_full
from camera_app.errors import ModelError, PackRejected
from camera_app.models.inspect import check_structure, not_pinned, sha256_of, verify_weights
from camera_app.models.pack import ModelPack
from camera_app.models.transfer import Answer, Interrupted, Wanted, answer_to, require_secure
from camera_app.models.trust import keep_record, record_path, resolved

MOST_TRIES = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
# What a download leaves free: a camera that fills its own disk loses more than a model.
SPARE_BYTES = 16 * 1024 * 1024
LOCK_PAUSE_S = 1.0
MOST_LOCK_PAUSES = 600

Progress = Callable[[int], None]


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a file is fetched, and what the world is.

    Attributes:
        accept_unpinned: Take a file whose hash is not known, and hold to it from then on.
        allow_http: Take an address without TLS.
        wait: Waits so many seconds.
        chance: Returns 0.0 to 1.0; spreads the waits.
        free_bytes: Returns the room that is left where a folder is.
    """

    accept_unpinned: bool = False
    allow_http: bool = False
    wait: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    free_bytes: Callable[[Path], int] = _free_bytes


def fetch(
    pack: ModelPack,
    into: Path,
    *,
    progress: Progress | None = None,
    terms: Terms | None = None,
) -> Path:
    """Download the weights of a pack into a folder and return the file.

    A good file that is there already is kept. Two processes that want the same file do not
    disturb each other: the second waits, and finds it there. For the file of the Edge TPU, give
    `pack.twin`.

    Args:
        pack: Whose weights.
        into: Folder, made if need be.
        progress: Called with the number of bytes of each block; what was there already is told
            first, and taken back, as a negative number, if it turns out to be of no use.
        terms: On what terms; None: only pinned files, only over TLS.

    Raises:
        PackRejected: What came is not what the manifest promises, or it promises nothing.
        ModelError: The manifest has no address, the download failed, or there is no room.
    """
    terms = terms or Terms()
    pack = resolved(pack, into)
    target = into / pack.weights.file
    if _is_there(pack, target):
        return target
    _require_allowed(pack, terms)
    _make_folder(into)
    with _locked(into / f".{target.name}.lock", terms.wait):
        pack = resolved(pack, into)
        if not _is_there(pack, target):  # another process may have been quicker
            _Download(pack, target, progress or _ignore, terms).run()
    return target


def _is_there(pack: ModelPack, target: Path) -> bool:
    try:
        verify_weights(pack, target)
    except PackRejected:
        return False
    return True


def _require_allowed(pack: ModelPack, terms: Terms) -> None:
    if not pack.weights.url:
        raise _no_address(pack)
    if not pack.sha256 and not terms.accept_unpinned:
        raise not_pinned(pack)
    require_secure(pack.weights.url, allow_http=terms.allow_http)


def _no_address(pack: ModelPack) -> ModelError:
    reason = (
        "they are not offered anywhere as they are"
        if pack.card.derived
        else f"their licence does not allow it: {pack.licence.name}"
        if not pack.licence.allows_shipping
        else "the manifest has no address"
    )
    return ModelError(
        f"the weights cannot be downloaded: {reason}",
        where=f"model pack {pack.name}",
        remedy=f"They come from {pack.card.source}",
    )


def _ignore(_: int) -> None:
    return


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


@contextmanager
def _locked(path: Path, wait: Callable[[float], None]) -> Iterator[None]:
    """Be the only process that writes a file; the lock goes with the process, however it ends.

    The lock's file stays: removing it would let two processes lock two files of one name.
    """
    try:
        file = path.open("a")
    except OSError as error:
        raise _unwritable(path, error) from error
    with file:
        for _ in range(MOST_LOCK_PAUSES):
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            wait(LOCK_PAUSE_S)
        else:
            raise ModelError(
                "another process has been downloading this file for ten minutes", where=str(path)
            )
        yield


class _Partial:
    """What of a file is there already, and to which version of it that belongs."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(f".{target.name}.part")
        self._tag = target.with_name(f".{target.name}.part.tag")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str:
        return self._tag.read_text(encoding="utf-8") if self._tag.exists() else ""

    def begin(self, validator: str) -> None:
        """Start from nothing; the tag goes first, so that it never belongs to other bytes."""
        self.remove()
        self._tag.write_text(validator, encoding="utf-8")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def publish(self) -> None:
        """Let the file appear under its name, its content on the disk before its name."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.chmod(0o644)
        self.path.replace(self._target)
        self._tag.unlink(missing_ok=True)


class _Download:
    """One file on its way, over as many tries as it takes."""

    def __init__(self, pack: ModelPack, target: Path, progress: Progress, terms: Terms) -> None:
        self._pack = pack
        self._weights = pack.weights
        self._target = target
        self._partial = _Partial(target)
        self._progress = progress
        self._terms = terms
        self._told = 0  # bytes that `progress` knows of
        self._is_joined = False  # bytes of several tries are in the file

    def run(self) -> None:
        """Try until it is there; give up after some tries.

        Raises:
            PackRejected: What came is another file.
            ModelError: It did not come, or could not be written.
        """
        if not self._weights.sha256 or self._partial.size > self._weights.most_bytes:
            # Without a hash nothing would tell what another process left there.
            self._partial.remove()
        try:
            self._repeat()
        except OSError as error:
            raise self._unwritten(error) from error

    def _repeat(self) -> None:
        pauses = BackOff(random=self._terms.chance, first_s=FIRST_PAUSE_S, cap_s=LONGEST_PAUSE_S)
        for left in reversed(range(MOST_TRIES)):
            try:
                self._try()
                return
            except Interrupted as failure:
                if failure.starts_anew:
                    self._drop()
                if not left:
                    raise self._given_up(failure) from failure
                self._terms.wait(failure.pause_s or pauses.after(0.0))

    def _try(self) -> None:
        if self._partial.size != self._weights.size_bytes or not self._weights.size_bytes:
            self._transfer()
        self._settle()

    def _transfer(self) -> None:
        if self._partial.size and not (self._partial.validator or self._weights.sha256):
            self._drop()  # nothing would tell whether the rest belongs to what is there
        offset = self._partial.size
        self._tell(offset - self._told)
        wanted = Wanted(self._weights.url, offset, self._partial.validator, self._terms.allow_http)
        with answer_to(wanted) as answer:
            self._begin(answer, offset)
            self._require_length(answer.total_bytes)
            self._require_room(answer.total_bytes)
            self._copy(answer)
            self._require_end(answer.total_bytes)

    def _begin(self, answer: Answer, offset: int) -> None:
        """Put the answer's first byte to its place."""
        if answer.begins_at == offset and offset:
            known = self._partial.validator
            if known and answer.validator and answer.validator != known:
                raise Interrupted("the file has changed on the server", starts_anew=True)
            self._is_joined = True
        elif answer.begins_at == 0:
            self._drop()
            self._partial.begin(answer.validator)
        else:
            raise Interrupted("the server sent another part than it was asked", starts_anew=True)

    def _require_length(self, total: int | None) -> None:
        promised, most = self._weights.size_bytes, self._weights.most_bytes
        if total is None or total == promised or (not promised and total <= most):
            return
        self._reject(f"{total} bytes are offered")

    def _require_room(self, total: int | None) -> None:
        needed = (total or self._weights.most_bytes) - self._partial.size
        free = self._terms.free_bytes(self._target.parent)
        if free < needed + SPARE_BYTES:
            raise ModelError(
                f"there is no room: {needed} bytes are to come, {SPARE_BYTES} must stay free, "
                f"and {free} are",
                where=str(self._target.parent),
                remedy="Make room and try again",
            )

    def _copy(self, answer: Answer) -> None:
        with self._partial.path.open("ab") as file:
            size = file.tell()
            for block in answer.blocks():
                size += len(block)
                if size > self._weights.most_bytes:
                    self._reject(f"more than {self._weights.most_bytes} bytes came")
                file.write(block)
                self._tell(len(block))

    def _require_end(self, total: int | None) -> None:
        expected = total or self._weights.size_bytes
        if expected and self._partial.size < expected:
            raise Interrupted(f"it broke off at {self._partial.size} of {expected} bytes")

    def _settle(self) -> None:
        """Check what came as a whole, and let it appear under its name."""
        found, size = sha256_of(self._partial.path), self._partial.size
        if not self._weights.sha256:
            self._accept(found, size)
        elif found != self._weights.sha256:
            if self._is_joined or not self._told:
                raise Interrupted("its parts do not belong together", starts_anew=True)
            self._reject(f"{size} bytes of sha256 {found} came")
        self._partial.publish()

    def _accept(self, sha256: str, size: int) -> None:
        """Take what came as what it is from now on, if it is a model at all."""
        try:
            check_structure(self._partial.path)
        except PackRejected as refusal:
            self._partial.remove()
            raise PackRejected(refusal.what, where=self._weights.url) from refusal
        keep_record(self._target.parent, self._weights, sha256, size)

    def _drop(self) -> None:
        self._partial.remove()
        self._is_joined = False
        self._tell(-self._told)

    def _tell(self, count: int) -> None:
        self._told += count
        if count:
            self._progress(count)

    def _reject(self, what: str) -> None:
        self._partial.remove()
        remedy = ""
        if self._weights.unpinned:
            record = record_path(self._target.parent, self._weights)
            remedy = f"To take the new file instead of the one accepted earlier, remove {record}"
        raise PackRejected(
            f"this is not the file that is expected: {what}, "
            f"expected {_promise(self._pack)} of sha256 {self._weights.sha256 or 'any value'}",
            where=self._weights.url,
            remedy=remedy,
        )

    def _given_up(self, failure: Interrupted) -> ModelError:
        kept = self._partial.size
        remedy = "Try again later"
        if kept:
            remedy += f"; {kept} bytes are kept, and the next try goes on from there"
        return ModelError(
            f"the download failed {MOST_TRIES} times, at last because {failure}",
            where=self._weights.url,
            remedy=remedy,
        )

    def _unwritten(self, error: OSError) -> ModelError:
        if is_full(error):
            # Half a model is worth less than the room it takes from the recordings.
            self._partial.remove()
        return _unwritable(self._target.parent, error)


def _promise(pack: ModelPack) -> str:
    exact = f"{pack.weights.size_bytes} bytes"
    return exact if pack.weights.size_bytes else f"at most {pack.weights.limit_bytes} bytes"


def _unwritable(path: Path, error: OSError) -> ModelError:
    return ModelError(
        f"cannot be written: {error.strerror or error}",
        where=str(path),
        remedy="Make room and try again" if is_full(error) else "",
    )
