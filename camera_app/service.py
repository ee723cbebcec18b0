"""The camera as a service with a file: which configuration it runs, and what becomes of a new one.

file ──right──> runs ──> kept as the last good one
  └────wrong──> refused whole, told everywhere; the last good one runs (on)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from camera_app.app import App
from camera_app.assembly import examine, problem_of
from camera_app.clock import Clock, SystemClock, iso_utc
from camera_app.config import Config, parse_config
from camera_app.control import Change
from camera_app.errors import (
    CameraAppError,
    ConfigError,
    NeedsRestart,
    Problem,
    StoreError,
)
from camera_app.health import Notifier
from camera_app.logs import redact
from camera_app.publish import ConfigurationProblem, ConfigurationStatus
from camera_app.store.known_good import KnownGood, Outcome, Running, Standing, state_folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration that could be run.

    Attributes:
        config: What it says.
        text: What it was read from.
        running: The owner's `file`, or the `last_good`.
        problems: What does not work in it, though it runs.
    """

    config: Config
    text: str
    running: Running
    problems: tuple[Problem, ...]


class Service:
    """One service and its configuration file. Belongs to the main thread.

    Args:
        file: The owner's file.
        state: Folder of the service's state; None: as `state_folder` finds it.
        restart: Begins the service anew, or raises CommandRefused; called on another thread.
        reload: Has `reload` called soon, on the main thread; called on another one.
        notifier: Whoever started the service and wants to know how it does; None: nobody.
        clock: Time.
    """

    def __init__(
        self,
        file: Path,
        state: Path | None,
        restart: Callable[[], None],
        reload: Callable[[], None],
        notifier: Notifier | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._file = file
        self._state = state
        self._restart = restart
        self._reload = reload
        self._notifier = notifier
        self._clock = clock or SystemClock()
        self._app: App | None = None
        self._running: Running = "file"
        self._known_good: KnownGood | None = None
        self._candidates: list[Candidate] = []
        self._problems: tuple[Problem, ...] = ()  # of the file
        self._is_file_right = False  # and what it names may yet be missing
        self._unread: tuple[Problem, ...] = ()  # why it could not even be read

    def choose(self) -> Config:
        """Read the file, and return the configuration that is to be tried first.

        Raises:
            ConfigError: The file is wrong, and there is none that once was right.
        """
        text = self._read()
        self._known_good = KnownGood(state_folder(self._state, text), self._file)
        mine, self._problems = self._candidate(text, "file")
        good = self._known_good.load()
        kept = None
        if good is not None and good.text != text:
            kept, _ = self._candidate(good.text, "last_good")
        self._candidates = _in_order(mine, kept)
        if not self._candidates:
            raise ConfigError(self._problems, where=str(self._file), may_pass=self._is_file_right)
        return self._candidates[0].config

    def start(self) -> None:
        """Start with the file, or where that cannot be, with the last good configuration.

        Raises:
            CameraAppError: Neither can be; it says what is wrong with the file, and why the last
                good one could not stand in for it.
        """
        failures: list[CameraAppError] = []
        of_last_good: tuple[Problem, ...] = ()
        for candidate in self._candidates:
            app = App(candidate.config, self._clock, self._restart, self._reload, self._notifier)
            self._running = candidate.running
            app.tell_configuration(_status_of(self._standing_at_start(candidate)))
            try:
                app.start()
            except CameraAppError as error:
                failures.append(error)
                if candidate.running == "file":
                    self._problems += (problem_of(error, "start"),)
                else:
                    _log.error("the last good configuration cannot be started: %s", error)
                    of_last_good = (problem_of(error, "start with the last good configuration"),)
                continue
            self._app = app
            self._settle(candidate)
            return
        raise self._all_of(failures, self._problems + of_last_good)

    def _all_of(
        self, failures: Sequence[CameraAppError], problems: Sequence[Problem]
    ) -> CameraAppError:
        """Return an error that tells every problem; the only one tells itself best."""
        if len(problems) == len(failures) == 1:
            return failures[0]
        return ConfigError(problems, where=str(self._file), may_pass=bool(failures))

    @property
    def running(self) -> App:
        """The camera; for after start."""
        assert self._app is not None, "for after start"
        return self._app

    def stop(self) -> None:
        """Stop the camera."""
        if self._app is not None:
            self._app.stop()

    def reload(self, told: Callable[[str], None] = lambda _: None) -> Standing:
        """Go by the file as it is now, or go on as before and say why; return what became of it.

        Args:
            told: As for `App.change`.
        """
        mine, problems = self._candidate(self._read(), "file")
        if mine is None or problems:
            return self._conclude("refused", problems)
        return self._change_to(mine, told)

    def _change_to(self, mine: Candidate, told: Callable[[str], None]) -> Standing:
        try:
            found, notes = self.running.change(mine.config, told)
        except NeedsRestart as error:
            hint = "restart the service; nothing was changed"
            problems = [Problem(key, "needs a restart", suggestion=hint) for key in error.keys]
            return self._conclude("refused", problems)
        except CameraAppError as error:
            return self._conclude("rolled_back", [_problem_on_the_way(error)])
        except Exception as error:
            # The safety net of a running service: a bug on the way must not end it.
            _log.exception("the configuration could not be applied in a way nobody foresaw")
            what = f"a fault of the program: {error}"
            return self._conclude("rolled_back", [Problem("file", what)])
        self._running = "file"
        self._keep(mine.text)
        return self._conclude("applied" if found else "unchanged", (), found, notes)

    def _settle(self, candidate: Candidate) -> None:
        """Take note of a configuration that has started."""
        if candidate.running == "file":
            self._keep(candidate.text)
        else:
            _log.error("%s is refused; the last good configuration runs", self._file)
        self._tell(self._standing_at_start(candidate))

    def _standing_at_start(self, candidate: Candidate) -> Standing:
        if candidate.running == "file":
            return self._standing("started", candidate.problems)
        return self._standing("refused", self._problems)

    def _keep(self, text: str) -> None:
        assert self._known_good is not None
        good = self._known_good.load()
        if good is not None and good.text == text:
            return
        try:
            self._known_good.keep(text, iso_utc(self._clock.wall_ns()))
        except StoreError as error:
            _log.warning("the last good configuration cannot be kept: %s", error)

    def _conclude(
        self,
        outcome: Outcome,
        problems: Sequence[Problem],
        found: Sequence[Change] = (),
        notes: Sequence[str] = (),
    ) -> Standing:
        """Say everywhere what became of the file, and return it."""
        standing = self._standing(outcome, problems, found, notes)
        self._tell(standing)
        return standing

    def _standing(
        self,
        outcome: Outcome,
        problems: Sequence[Problem],
        found: Sequence[Change] = (),
        notes: Sequence[str] = (),
    ) -> Standing:
        return Standing(
            file=str(self._file.absolute()),
            outcome=outcome,
            running=self._running,
            at=iso_utc(self._clock.wall_ns()),
            problems=tuple(problems),
            changed=tuple(change.where for change in found),
            notes=tuple(notes),
        )

    def _tell(self, standing: Standing) -> None:
        for problem in standing.problems:
            _log.error("configuration: %s", problem)
        for note in standing.notes:
            _log.warning("configuration: %s", note)
        changed = f": {', '.join(standing.changed)}" if standing.changed else ""
        outcome = standing.outcome.replace("_", " ")
        _log.info("configuration %s: %s%s", self._file, outcome, changed)
        if self._known_good is not None:
            self._known_good.note(standing)
        if self._app is not None:
            self._app.tell_configuration(_status_of(standing))

    def _read(self) -> str:
        """Return what stands in the file; one that cannot be read holds nothing."""
        self._unread = ()
        try:
            return self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._unread = (Problem("file", f"cannot be read: {error}"),)
            return ""

    def _candidate(
        self, text: str, running: Running
    ) -> tuple[Candidate | None, tuple[Problem, ...]]:
        """Return a configuration if it can be run, and every problem that shows."""
        if running == "file" and self._unread:
            return None, self._unread
        try:
            config = parse_config(text, where=str(self._file))
        except ConfigError as error:
            return None, error.problems
        self._is_file_right = self._is_file_right or running == "file"
        examination = examine(config)
        if examination.fatal:
            return None, examination.problems
        candidate = Candidate(config, text, running, examination.others)
        return candidate, examination.problems


def _in_order(mine: Candidate | None, kept: Candidate | None) -> list[Candidate]:
    """Return what to try, best first: the file, unless only the other is without problems."""
    if mine is None or kept is None:
        return [one for one in (mine, kept) if one is not None]
    return [kept, mine] if mine.problems and not kept.problems else [mine, kept]


def _problem_on_the_way(error: CameraAppError) -> Problem:
    return Problem(error.where or "file", error.what, suggestion=error.remedy)


def _status_of(standing: Standing) -> ConfigurationStatus:
    """Return what a hub is told: what is wrong and where, never what stands there."""
    return ConfigurationStatus(
        problem=standing.is_problem,
        outcome=standing.outcome,
        running=standing.running,
        problems=tuple(
            ConfigurationProblem(
                problem.where, problem.line, redact(problem.problem), redact(problem.suggestion)
            )
            for problem in standing.problems
        ),
        changed=standing.changed,
        notes=tuple(redact(note) for note in standing.notes),
        at=standing.at,
    )
