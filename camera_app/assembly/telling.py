"""Tells the retained state of one camera after each look."""

from __future__ import annotations

from collections.abc import Sequence

from camera_app.control import BestShots
from camera_app.health import Place, occupancy
from camera_app.media import SnapshotKeeper
from camera_app.publish import StateBoard, Topics, count_message, motion_message
from camera_app.values import Event, EventChange, Frame


class Telling:
    """Tells counts and stills of one camera; called on the camera's thread.

    Args:
        camera: Name of the camera.
        places: What is counted.
        board: Where it is told.
        topics: Names of the topics.
        keeper: Keeps the stills.
        best_shots: Shows the best of them.
    """

    def __init__(
        self,
        camera: str,
        places: Sequence[Place],
        board: StateBoard,
        topics: Topics,
        keeper: SnapshotKeeper,
        best_shots: BestShots,
    ) -> None:
        self._camera = camera
        self._places = tuple(places)
        self._board = board
        self._topics = topics
        self._keeper = keeper
        self._best_shots = best_shots

    def __call__(
        self, frame: Frame | None, changes: Sequence[EventChange], open_events: Sequence[Event]
    ) -> None:
        written = self._keeper.consider(frame, open_events, changes)
        if self._best_shots.is_sent:
            for change, path in written:
                self._best_shots.show(path.read_bytes(), change.event.label)
        if changes:
            self.tell_counts(open_events)

    def tell_motion(self, is_moving: bool) -> None:
        """Put on the board whether anything moves."""
        self._board.put(self._topics.motion(self._camera), motion_message(is_moving))

    def tell_counts(self, open_events: Sequence[Event]) -> None:
        """Put the number of each class in each place on the board."""
        for (zone, label), count in occupancy(self._places, open_events).items():
            topic = self._topics.count(self._camera, label)
            if zone:
                topic = self._topics.zone_count(self._camera, zone, label)
            self._board.put(topic, count_message(count))
