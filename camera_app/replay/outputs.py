"""The files that a replay leaves behind: event log, tracks, annotated films, snapshots."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from camera_app.capture import ClipInfo
from camera_app.errors import StoreError
from camera_app.events import canonical_json, change_record
from camera_app.media import SnapshotKeeper
from camera_app.replay.annotate import FilmWriter, draw
from camera_app.replay.settings import ReplayRequest
from camera_app.store import Commit, EventStore
from camera_app.values import Event, EventChange, Frame, Track

COMMITS_UNDER_WAY = 64
COMMIT_LIMIT_S = 60.0
NOMINAL_FPS = 10.0  # of a film of a clip that does not say its own


@dataclass(frozen=True, slots=True)
class ReplayFiles:
    """Where a replay writes.

    Attributes:
        folder: The folder of all the others.
    """

    folder: Path

    @property
    def event_log(self) -> Path:
        """One event change a line, canonical JSON."""
        return self.folder / "events.jsonl"

    @property
    def database(self) -> Path:
        """The same events as the service keeps them."""
        return self.folder / "events.db"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def snapshots(self) -> Path:
        """Folder of stills, one an event."""
        return self.folder / "snapshots"

    def film(self, camera: str, *, is_only: bool) -> Path:
        """The annotated film of one clip."""
        return self.folder / ("annotated.mp4" if is_only else f"annotated-{camera}.mp4")

    def tracks(self, camera: str, *, is_only: bool) -> Path:
        """The tracks of one clip."""
        return self.folder / ("tracks.txt" if is_only else f"tracks-{camera}.txt")

    def clear(self) -> None:
        """Make the folder, and remove what an earlier replay wrote there, nothing else.

        Raises:
            StoreError: The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for pattern in (
                "events.jsonl",
                "events.db*",
                "summary.json",
                "annotated*.mp4",
                "tracks*.txt",
                "snapshots/*.jpg",
            ):
                for path in self.folder.glob(pattern):
                    path.unlink()
        except OSError as error:
            raise StoreError(
                f"cannot be written: {error.strerror}",
                where=str(self.folder),
                remedy="Choose another folder with --out.",
            ) from error


class EventLog:
    """Takes event changes in order: hashes them always, keeps them where a folder is given.

    Args:
        path: The log file; None to hash only.
        store: Where changes are committed as the service does; None to skip that.
    """

    def __init__(self, path: Path | None, store: EventStore | None) -> None:
        self._path = path
        self._store = store
        self._file: TextIO | None = None
        self._hash = hashlib.sha256()
        self._under_way: deque[Commit] = deque()
        self.changes = 0

    def __enter__(self) -> Self:
        if self._path is not None:
            self._file = self._path.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def sha256(self) -> str:
        """Digest of every line so far, line ends included."""
        return self._hash.hexdigest()

    def append(self, changes: Sequence[EventChange]) -> None:
        """Write changes down; waits for the disk only when many commits are under way."""
        if not changes:
            return
        for change in changes:
            line = canonical_json(change_record(change)) + "\n"
            self._hash.update(line.encode())
            self._write(line)
        self.changes += len(changes)
        if self._store is not None:
            self._under_way.append(self._store.commit(changes))
            self._wait_down_to(COMMITS_UNDER_WAY)

    def settle(self) -> None:
        """Wait until everything is on the disk."""
        self._wait_down_to(0)
        if self._file is not None:
            self._file.flush()

    def _write(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
        except OSError as error:
            raise StoreError(f"cannot be written: {error}", where=str(self._path)) from error

    def _wait_down_to(self, limit: int) -> None:
        while len(self._under_way) > limit:
            self._under_way.popleft().wait(COMMIT_LIMIT_S)


class ClipOutputs:
    """What is written about one clip besides its events; a context manager.

    Args:
        files: Where; None writes nothing.
        camera: Name of the clip's camera.
        request: What is to be written.
        info: What is known of the clip.
        is_only: The replay has no other clip.
    """

    def __init__(
        self,
        files: ReplayFiles | None,
        camera: str,
        request: ReplayRequest,
        info: ClipInfo,
        *,
        is_only: bool,
    ) -> None:
        self._settings = request.settings
        self._stack = ExitStack()
        self._film: FilmWriter | None = None
        self._tracks: TextIO | None = None
        self._snapshots: SnapshotKeeper | None = None
        if files is None:
            return
        self._snapshots = SnapshotKeeper(files.snapshots, request.settings.snapshots)
        if request.is_annotated:
            film = FilmWriter(files.film(camera, is_only=is_only), info.fps or NOMINAL_FPS)
            self._film = self._stack.enter_context(film)
        if request.has_tracks:
            path = files.tracks(camera, is_only=is_only)
            self._tracks = self._stack.enter_context(path.open("w", encoding="utf-8"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def frame_done(
        self,
        frame: Frame,
        tracks: Iterable[Track],
        events: Sequence[Event],
        changes: Sequence[EventChange],
    ) -> None:
        """Take note of a frame whose fate is known.

        Args:
            frame: The frame.
            tracks: Those that can be seen in it.
            events: Those that are open after it.
            changes: Those that it brought.
        """
        shown = list(tracks)
        if self._snapshots is not None:
            self._snapshots.consider(frame, events, changes)
        if self._tracks is not None:
            self._tracks.writelines(mot_line(frame.sequence + 1, track) for track in shown)
        if self._film is not None:
            canvas = draw(frame, shown, events, self._settings.zones, self._settings.lines)
            self._film.write(canvas, frame.captured_ns)

    def clip_done(self, changes: Sequence[EventChange]) -> None:
        """Take note of the changes that the end of the clip brought."""
        if self._snapshots is not None:
            self._snapshots.consider(None, (), changes)


def mot_line(frame_number: int, track: Track) -> str:
    """Return one box in MOTChallenge form: frame, id, x, y, width, height, score, -1, -1, -1."""
    box = track.box
    place = f"{box.left:.2f},{box.top:.2f},{box.width:.2f},{box.height:.2f}"
    return f"{frame_number},{track.track_id},{place},{track.score:.4f},-1,-1,-1\n"
