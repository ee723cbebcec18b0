"""One camera with everything that is its own: built, begun and ended alone, while others run on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from camera_app.assembly.telling import Telling
from camera_app.capture import Doorway, FilmSource, GateMeans, LiveSource
from camera_app.clock import Clock
from camera_app.config import CameraSettings, MotionSettings
from camera_app.control import FACE, BestShots, Shown, Steered, has_same_feed
from camera_app.errors import ModelError
from camera_app.events import event_id, random_bits
from camera_app.health import CameraFigures, Place, SnapshotFolder, places_of
from camera_app.media import FilmFolder, FilmKeeper, Recorder, SnapshotKeeper
from camera_app.models import ModelSet
from camera_app.pipeline import Asked, Asking, CameraWatch, CameraWorker, ModelChoice
from camera_app.publish import StateBoard, Topics, availability_message
from camera_app.values import EventChange

# How long a camera that is to rest waits for its film to be closed.
FILM_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every camera uses and none owns.

    Attributes:
        clock: Time.
        devices: Who looks.
        commit: Makes changes durable.
        board: Where state is told.
        topics: Names of the topics.
        stills: Below it each camera has a folder for its stills.
        films: Below it each camera has a folder for its films.
        film_keeper: Looks after films that are closed.
        takes_snapshots: Whether the disk has space for stills.
        takes_films: Whether it has space for films.
        note_still: Called with each still that was written.
        sends_snapshots: Whether stills may leave the device.
        choices: What an owner may choose among models.
    """

    clock: Clock
    devices: Asked
    commit: Callable[[Sequence[EventChange]], object]
    board: StateBoard
    topics: Topics
    stills: Path
    films: Path
    film_keeper: FilmKeeper
    takes_snapshots: Callable[[], bool]
    takes_films: Callable[[], bool]
    note_still: Callable[[Path], None]
    sends_snapshots: Callable[[], bool]
    choices: Callable[[ModelSet], tuple[ModelChoice, ...]]


class Camera:
    """A camera: a source, whoever looks at its frames, its stills, and what is told of it.

    It is begun in two steps, because a source takes long to bring its first picture: `open` starts
    the source, `watch` begins to look. They are undone by `close` and `rest`.

    Args:
        name: In the configuration.
        settings: Its section.
        models: What looks at its frames.
        around: What it uses and does not own.
        feed: A source that runs already and its recorder, to be taken over; None: new ones.

    Raises:
        ModelError: Its variant is none of its models'.

    Attributes:
        name: In the configuration.
        settings: As it was built; what is set over MQTT since is the steering's to know.
        models: What looks at its frames.
        source: Brings its frames.
        worker: Looks at them.
        recorder: Has its films made.
        keeper: Keeps its stills.
        snapshots: Where they lie, and their limits.
        places: What is counted.
        best_shots: Its pictures at the broker.
        choices: What an owner may choose among its models.
    """

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        models: ModelSet,
        around: Surroundings,
        feed: tuple[LiveSource, Recorder] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.models = models
        self.choices = _checked_choices(name, settings, around.choices(models))
        self._around = around
        self._frames = Doorway()
        self.source, self.recorder = feed or self._made_feed()
        folder = around.stills / name
        self.snapshots = SnapshotFolder(folder, settings.snapshots)
        self.keeper = SnapshotKeeper(
            folder, settings.snapshots, around.takes_snapshots, around.note_still
        )
        self.places: tuple[Place, ...] = tuple(places_of(settings, models.labels))
        self.best_shots = BestShots(
            name,
            [label for zone, label in self.places if not zone],
            around.board,
            around.topics,
            is_sent=around.sends_snapshots,
        )
        self._telling = Telling(
            name, self.places, around.board, around.topics, self.keeper, self.best_shots
        )
        self.worker = CameraWorker(
            CameraWatch(name, settings, models.input_size, _new_event_id, models.labels_by_pack),
            self._frames,
            around.devices,
            asking=Asking(models.names, settings.tracking.min_score),
            choices=self.choices,
            clock=around.clock,
            commit=self._commit,
            concluded=self._telling,
            moved=self._telling.tell_motion,
        )

    def _made_feed(self) -> tuple[LiveSource, Recorder]:
        around = self._around
        folder = FilmFolder(self.name, around.films / self.name, self.settings.recording)
        recorder = Recorder(folder, around.film_keeper, around.clock, around.takes_films)
        source = self._made_source(recorder)
        recorder.switch(self.settings.recording.enabled and not self.settings.privacy)
        return source, recorder

    def _made_source(self, recorder: Recorder) -> LiveSource:
        """Return what is looked at; films are made of it, or of another stream beside it."""
        name, settings, clock = self.name, self.settings, self._around.clock
        if not settings.recording.source:
            source = LiveSource(name, settings, clock, self._frames, on_film=recorder.hear)
            recorder.direct(source.film)
            return source
        recorder.note_stream(False)
        films = FilmSource(
            name, settings, clock, on_change=recorder.note_stream, on_film=recorder.hear
        )
        recorder.direct(films.film)
        return LiveSource(name, settings, clock, self._frames, beside=films)

    def _commit(self, changes: Sequence[EventChange]) -> object:
        """Make changes durable, with the film that shows them."""
        return self._around.commit(self.recorder.noted(changes))

    @property
    def feed(self) -> tuple[LiveSource, Recorder]:
        """The source and who has its films made: they go together from camera to successor."""
        return self.source, self.recorder

    def succeeded_by(
        self, settings: CameraSettings, models: ModelSet, around: Surroundings
    ) -> Camera:
        """Return the same camera with other settings; its source goes on if it can.

        The successor gets the frames once it watches; until then this one does.

        Raises:
            ModelError: Its variant is none of its models'.
        """
        feed = self.feed if has_same_feed(self.settings, settings) else None
        return Camera(self.name, settings, models, around, feed)

    def looks_like(self, other: Camera) -> bool:
        """Say whether the same networks look, with the same to choose from."""
        return (self.models.digest, self.choices) == (other.models.digest, other.choices)

    def open(self) -> None:
        """Start the source, unless the owner has closed the camera."""
        if not self.settings.privacy and not self.source.is_running:
            self.source.start()

    def close(self) -> None:
        """Stop the source."""
        self.source.stop()

    def watch(self) -> None:
        """Begin to look, and to tell."""
        self.source.deliver_to(self._frames, _gate_of(self.settings.motion))
        self._telling.tell_counts(())
        self.worker.start()

    def rest(self) -> None:
        """Look no more; what is open ends, a film too."""
        self.worker.stop()
        self.recorder.finish(FILM_LIMIT_S)

    def tell_unseen(self) -> None:
        """Say that this camera cannot see: nothing else is known before its first frame."""
        topic = self._around.topics.camera_availability(self.name)
        self._around.board.put(topic, availability_message(False))

    @property
    def figures(self) -> CameraFigures:
        """How it does now; from any thread."""
        return CameraFigures(
            self.source.stats(), self.worker.stats, self.recorder.stats, self.keeper.stats
        )

    @property
    def steered(self) -> Steered:
        """What commands act on."""
        return Steered(
            self.source,
            self.worker,
            self.keeper,
            self.recorder,
            self.snapshots.folder,
            self.best_shots,
            self.variants,
            self.finds_faces,
        )

    @property
    def variants(self) -> tuple[str, ...]:
        """The packs to choose from, the model itself first; none: there is no choice."""
        first = next((choice for choice in self.choices if choice.variants), None)
        return () if first is None else (first.name, *first.variants)

    @property
    def finds_faces(self) -> bool:
        """Whether faces can be events here."""
        wanted = self.settings.events.labels
        return FACE in self.models.labels and (not wanted or FACE in wanted)

    @property
    def shown(self) -> Shown:
        """What the live view shows of it."""
        topic = self._around.topics.live(self.name)
        return Shown(topic, lambda: self.worker.newest_frame, self.settings.snapshots.quality)


def _checked_choices(
    camera: str, settings: CameraSettings, choices: tuple[ModelChoice, ...]
) -> tuple[ModelChoice, ...]:
    known = [name for choice in choices for name in (choice.name, *choice.variants)]
    if settings.variant and settings.variant not in known:
        raise ModelError(
            f"{settings.variant!r} is no smaller pack of its models; there are: {', '.join(known)}",
            where=f"camera.{camera}.variant",
            remedy="Name one of those, or leave it out",
        )
    return choices


def _gate_of(settings: MotionSettings) -> GateMeans | None:
    """Return how a source looks for motion; None: it does not."""
    if not settings.enabled:
        return None
    return GateMeans(settings.threshold, settings.min_area_share, settings.background_s)


def _new_event_id(wall_ns: int) -> str:
    return event_id(wall_ns, random_bits())
