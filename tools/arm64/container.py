"""A container of a built image, as an engine would run it with the settings of our compose file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.arm64.build import Image
from tools.arm64.room import Room

TEMPORARY = "/tmp"  # nosec B108 # in the container, in memory of its own


@dataclass(frozen=True, slots=True)
class Container:
    """Where a container gets what is not in its image; its root cannot be written.

    Attributes:
        image: What it is made of.
        volumes: Folders of this machine that it may write, by their places in the root; they are
            made, and given to the image's user.
        files: Files of this machine that it may read, by their places.
    """

    image: Image
    volumes: dict[str, Path]
    files: dict[str, Path]

    def room(self, command: Sequence[str]) -> Room:
        """Return the room in which a command runs in this container."""
        user = self.image.user
        for folder in self.volumes.values():
            _make_for(folder, user.uid, user.gid)
        mounts = {**self.volumes, **self.files}
        return Room(
            root=str(self.image.root),
            command=tuple(command),
            environment=self.image.environment,
            folder=self.image.folder,
            uid=user.uid,
            gid=user.gid,
            is_read_only=True,
            mounts=tuple((str(here.resolve()), there) for there, here in mounts.items()),
            memory=((TEMPORARY, user.uid, user.gid),),
        )

    def called(self, *words: str) -> Room:
        """Return the room in which the image's program runs with these words, or its own."""
        return self.room((*self.image.entry_point, *(words or self.image.words)))


def _make_for(folder: Path, uid: int, gid: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, uid, gid)
