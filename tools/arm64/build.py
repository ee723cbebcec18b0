"""Carries out a Dockerfile, line by line, in folders instead of layers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tools.arm64.bases import PATH, base_root
from tools.arm64.context import is_sent, rules_of
from tools.arm64.dockerfile import (
    SCRATCH,
    Arg,
    Cmd,
    Copy,
    EntryPoint,
    Env,
    HealthCheck,
    Label,
    Run,
    Stage,
    Step,
    StopSignal,
    User,
    Workdir,
    expanded,
)
from tools.arm64.emulation import Emulator, run
from tools.arm64.errors import ProofFailed
from tools.arm64.files import copy_into, copy_root, placed
from tools.arm64.room import Room

_ROOT = User(0, 0)


@dataclass(frozen=True, slots=True)
class Image:
    """A root folder and how a container of it is run.

    Attributes:
        root: The folder.
        environment: Its variables.
        arguments: Variables of the build alone.
        folder: Where commands are run.
        user: Who runs them.
        labels: What it says of itself.
        health_check: How it is asked whether it is well.
        entry_point: The program.
        words: The program's words, where none are given.
        stop_signal: What asks it to end.
    """

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: User = _ROOT
    labels: dict[str, str] = field(default_factory=dict)
    health_check: HealthCheck | None = None
    entry_point: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one step took.

    Attributes:
        stage: In which stage.
        text: The step, as written.
        took_s: Seconds.
    """

    stage: str
    text: str
    took_s: float


class Builder:
    """Carries out the stages, one after the other.

    Args:
        emulator: Runs what a `RUN` says.
        context: The repository.
        cache: For base images, caches of `RUN`, and the stages themselves.
        mounts: Folders of this machine that each `RUN` sees, as those of an engine's host.
        environment: Variables that each `RUN` sees and the image does not keep.
        say: Tells what is being done.
    """

    def __init__(
        self,
        emulator: Emulator,
        context: Path,
        cache: Path,
        *,
        mounts: tuple[tuple[str, str], ...],
        environment: dict[str, str],
        say: Callable[[str], None],
    ) -> None:
        self._emulator = emulator
        self._context = context
        self._cache = cache
        self._mounts = mounts
        self._environment = environment
        self._say = say
        self._rules = rules_of((context / ".dockerignore").read_text(encoding="utf-8"))
        self._images: dict[str, Image] = {}
        self.timings: list[Timing] = []

    def build(self, stages: tuple[Stage, ...]) -> Image:
        """Carry out all stages; return the image of the last.

        Raises:
            ProofFailed: A step failed; its output is in the log that is named.
        """
        for stage in stages:
            image = self._begun(stage)
            for step in stage.steps:
                image = self._timed(stage, step, image)
            self._images[stage.name] = image
        return self._images[stages[-1].name]

    def _begun(self, stage: Stage) -> Image:
        root = self._cache / "stages" / stage.name
        began_s = time.monotonic()
        if stage.base in self._images:
            earlier = self._images[stage.base]
            copy_root(earlier.root, root)
            image = replace(earlier, root=root, arguments={})
        elif stage.base == SCRATCH:
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir(parents=True)
            image = Image(root)
        else:
            base = base_root(self._emulator, stage.base, self._cache, self._say)
            copy_root(base, root)
            image = Image(root)
        self.timings.append(Timing(stage.name, f"FROM {stage.base}", time.monotonic() - began_s))
        return image

    def _timed(self, stage: Stage, step: Step, image: Image) -> Image:
        self._say(f"{stage.name}: {step.text[:90]}")
        began_s = time.monotonic()
        try:
            after = self._done(stage, step, image)
        except ProofFailed as error:
            raise ProofFailed(f"line {step.line}, {step.text[:60]}: {error}") from error
        self.timings.append(Timing(stage.name, step.text, time.monotonic() - began_s))
        return after

    def _done(self, stage: Stage, step: Step, image: Image) -> Image:
        instruction = step.instruction
        if isinstance(instruction, Run):
            self._run(stage, step, instruction, image)
            return image
        if isinstance(instruction, Copy):
            self._copy(instruction, image)
            return image
        if isinstance(instruction, Workdir):
            folder = expanded(instruction.path, _variables(image))
            placed(image.root, folder).mkdir(parents=True, exist_ok=True)
            return replace(image, folder=folder)
        return _described(instruction, image)

    def _run(self, stage: Stage, step: Step, instruction: Run, image: Image) -> None:
        log = self._cache / "logs" / f"{stage.name}-line-{step.line}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        caches = tuple((str(self._kept(place)), place) for place in instruction.caches)
        room = Room(
            root=str(image.root),
            command=("/bin/sh", "-c", instruction.command),
            environment={**image.environment, **image.arguments, **self._environment},
            folder=image.folder,
            uid=image.user.uid,
            gid=image.user.gid,
            mounts=(*self._mounts, *caches),
        )
        with log.open("wb") as opened:
            code = run(self._emulator, room, opened)
        if code:
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise ProofFailed(f"ended with {code}; {log} ends with\n{tail}")

    def _kept(self, place: str) -> Path:
        """Return where a cache of `RUN` is kept."""
        folder = self._cache / "run-caches" / place.strip("/").replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _copy(self, instruction: Copy, image: Image) -> None:
        user = instruction.owner or _ROOT
        target = placed(image.root, str(Path(image.folder) / instruction.target))
        into_folder = instruction.target.endswith("/")
        for name in instruction.sources:
            if instruction.stage:
                source = placed(self._images[instruction.stage].root, f"/{name.lstrip('/')}")
                owner = None if instruction.owner is None else (user.uid, user.gid)
                copy_into(source, target, owner, into_folder=into_folder)
            else:
                source = self._context / name
                owner = (user.uid, user.gid)
                copied = copy_into(
                    source, target, owner, into_folder=into_folder, is_wanted=self._is_sent
                )
                if not copied:
                    raise ProofFailed(f"{name}: .dockerignore leaves nothing of it")

    def _is_sent(self, path: Path) -> bool:
        return is_sent(path.relative_to(self._context).as_posix(), self._rules)


def _described(instruction: object, image: Image) -> Image:
    """Return the image after an instruction that changes no file."""
    known = _variables(image)
    changed: dict[str, object]
    match instruction:
        case Arg(name, value):
            changed = {"arguments": {**image.arguments, name: expanded(value, known)}}
        case Env(values):
            changed = {"environment": {**image.environment, **_expanded(values, known)}}
        case Label(values):
            changed = {"labels": {**image.labels, **_expanded(values, known)}}
        case User():
            changed = {"user": instruction}
        case HealthCheck():
            changed = {"health_check": instruction}
        case EntryPoint(command):
            changed = {"entry_point": command}
        case Cmd(command):
            changed = {"words": command}
        case StopSignal(name):
            changed = {"stop_signal": name}
        case _:
            raise AssertionError(f"nothing carries out {instruction}")
    return replace(image, **changed)  # type: ignore[arg-type]  # each key is a field of its type


def _expanded(values: tuple[tuple[str, str], ...], known: dict[str, str]) -> dict[str, str]:
    return {name: expanded(value, known) for name, value in values}


def _variables(image: Image) -> dict[str, str]:
    return {**image.arguments, **image.environment}
