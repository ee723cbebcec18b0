"""Tells the retained state of one camera after each look."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from camera_app.health import Place, occupancy
from camera_app.media import SnapshotKeeper
from camera_app.publish import StateBoard, Topics, count_message
from camera_app.values import Event, EventChange, Frame


class Telling:
    """Tells counts and stills of one camera; called on the camera's thread.

    Args:
        camera: Name of the camera.
        places: What is counted.
        board: Where it is told.
        topics: Names of the topics.
        keeper: Keeps the stills.
        sends_snapshots: Whether stills may leave the device; asked each time.
    """

    def __init__(
        self,
        camera: str,
        places: Sequence[Place],
        board: StateBoard,
        topics: Topics,
        keeper: SnapshotKeeper,
        sends_snapshots: Callable[[], bool],
    ) -> None:
        self._camera = camera
        self._places = tuple(places)
        self._board = board
        self._topics = topics
        self._keeper = keeper
        self._sends_snapshots = sends_snapshots

    def __call__(
        self, frame: Frame | None, changes: Sequence[EventChange], open_events: Sequence[Event]
    ) -> None:
        written = self._keeper.consider(frame, open_events, changes)
        if self._sends_snapshots():
            for change, path in written:
                picture = path.read_bytes()
                label = change.event.label
                self._board.put(self._topics.snapshot(self._camera), picture)
                self._board.put(self._topics.label_snapshot(self._camera, label), picture)
        if changes:
            self.tell_counts(open_events)

    def tell_counts(self, open_events: Sequence[Event]) -> None:
        """Put the number of each class in each place on the board."""
        for (zone, label), count in occupancy(self._places, open_events).items():
            topic = self._topics.count(self._camera, label)
            if zone:
                topic = self._topics.zone_count(self._camera, zone, label)
            self._board.put(topic, count_message(count))
