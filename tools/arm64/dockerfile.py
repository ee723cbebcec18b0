"""A Dockerfile as values: the instructions that ours uses, and an error for any other. Pure.

What is not understood here would be left out of the proof, so nothing is passed over.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

SCRATCH = "scratch"  # Docker's word for an empty image

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class DockerfileError(ValueError):
    """A line that is wrong, or that this program does not understand."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Arg:
    """`ARG`: a variable of the build, with the value that it has unless another is given."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Env:
    """`ENV`: variables of the build and of the container."""

    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Label:
    """`LABEL`: what the image says of itself."""

    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Workdir:
    """`WORKDIR`: where commands are run; made if it is absent."""

    path: str


@dataclass(frozen=True, slots=True)
class User:
    """`USER`: who runs commands, by numbers: names may mean others on the host."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Run:
    """`RUN`: a command for the shell.

    Attributes:
        command: What the shell is given.
        caches: Folders that are kept from build to build, and are no part of the image.
    """

    command: str
    caches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """`COPY`: files from the context, or from an earlier stage.

    Attributes:
        sources: Files and folders; of a folder the contents are copied.
        target: Where to; a folder if it ends with a slash or there are several sources.
        stage: Name of the earlier stage; empty: from the context.
        owner: To whom they belong; None: root.
    """

    sources: tuple[str, ...]
    target: str
    stage: str = ""
    owner: User | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """`HEALTHCHECK CMD [...]`: a command without a shell, and when it is asked."""

    command: tuple[str, ...]
    interval_s: float = 30.0
    timeout_s: float = 30.0
    start_period_s: float = 0.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """`ENTRYPOINT [...]`: the program, without a shell."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cmd:
    """`CMD [...]`: its words, where the owner gives no others."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopSignal:
    """`STOPSIGNAL`: what asks it to end."""

    name: str


Instruction = (
    Arg | Env | Label | Workdir | User | Run | Copy | HealthCheck | EntryPoint | Cmd | StopSignal
)


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction and where it stands.

    Attributes:
        line: 1-based number of its first line.
        text: As written, in one line.
        instruction: What it says.
    """

    line: int
    text: str
    instruction: Instruction


@dataclass(frozen=True, slots=True)
class Stage:
    """From one `FROM` to the next.

    Attributes:
        name: As others call it; its number if it has none.
        base: Image or earlier stage that it begins with, or `scratch`.
        steps: What is done, in order.
    """

    name: str
    base: str
    steps: tuple[Step, ...]


def parse(text: str) -> tuple[Stage, ...]:
    """Return the stages of a Dockerfile, the last of which is the image.

    Raises:
        DockerfileError: A line that is wrong or not understood.
    """
    stages: list[Stage] = []
    steps: list[Step] = []
    for line, logical in _logical_lines(text):
        word, _, rest = logical.partition(" ")
        if word.upper() == "FROM":
            stage = _stage(line, rest.split(), len(stages))
            steps = []
            stages.append(stage)
            continue
        if not stages:
            raise DockerfileError(line, f"{word} stands before the first FROM")
        steps.append(Step(line, logical, _instruction(line, word, rest.strip())))
        stages[-1] = Stage(stages[-1].name, stages[-1].base, tuple(steps))
    if not stages:
        raise DockerfileError(1, "there is no FROM")
    _check_references(stages)
    return tuple(stages)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with each `$NAME` and `${NAME}` replaced; unknown ones are empty."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), text)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give each instruction in one line, with its line number; comments are left out."""
    parts: list[str] = []
    first = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        first = first if parts else number
        is_continued = line.endswith("\\")
        parts.append(line.removesuffix("\\").strip())
        if not is_continued:
            yield first, " ".join(part for part in parts if part)
            parts = []
    if parts:
        raise DockerfileError(first, "the file ends in the middle of an instruction")


def _stage(line: int, words: list[str], number: int) -> Stage:
    words = [word for word in words if not word.startswith("--platform=")]
    match words:
        case [base]:
            return Stage(str(number), base, ())
        case [base, keyword, name] if keyword.upper() == "AS":
            return Stage(name, base, ())
    raise DockerfileError(line, "expected FROM IMAGE, or FROM IMAGE AS NAME")


def _check_references(stages: list[Stage]) -> None:
    known: set[str] = set()
    for stage in stages:
        for step in stage.steps:
            copied = step.instruction
            if isinstance(copied, Copy) and copied.stage and copied.stage not in known:
                raise DockerfileError(step.line, f"no stage {copied.stage!r} stands before this")
        if stage.name in known:
            raise DockerfileError(1, f"two stages are named {stage.name!r}")
        known.add(stage.name)


# --- one instruction -----------------------------------------------------------------------------


def _instruction(line: int, word: str, rest: str) -> Instruction:
    reader = _READERS.get(word.upper())
    if reader is None:
        raise DockerfileError(line, f"{word} is not understood here")
    if not rest:
        raise DockerfileError(line, f"{word} says nothing")
    return reader(line, rest)


def _arg(line: int, rest: str) -> Arg:
    name, _, value = rest.partition("=")
    if not _NAME.fullmatch(name):
        raise DockerfileError(line, f"{name!r} is no name")
    return Arg(name, _unquoted(line, value))


def _env(line: int, rest: str) -> Env:
    return Env(_pairs(line, rest))


def _label(line: int, rest: str) -> Label:
    return Label(_pairs(line, rest))


def _workdir(line: int, rest: str) -> Workdir:
    if not rest.startswith("/"):
        raise DockerfileError(line, "WORKDIR has to begin with /")
    return Workdir(rest)


def _user(line: int, rest: str) -> User:
    found = re.fullmatch(r"(\d+):(\d+)", rest)
    if found is None:
        raise DockerfileError(line, f"expected a user and a group by number, got {rest!r}")
    return User(int(found[1]), int(found[2]))


def _run(line: int, rest: str) -> Run:
    options, command = _options(rest)
    if "<<" in command:
        raise DockerfileError(line, "a document inside RUN is not understood here")
    if command.startswith("["):
        raise DockerfileError(line, "RUN without a shell is not understood here")
    if not command:
        raise DockerfileError(line, "RUN says nothing")
    return Run(command, tuple(_cache(line, name, value) for name, value in options))


def _cache(line: int, name: str, value: str) -> str:
    facts = dict(fact.partition("=")[::2] for fact in value.split(","))
    target = facts.pop("target", "")
    facts.pop("sharing", "")
    if name != "mount" or facts != {"type": "cache"} or not target.startswith("/"):
        raise DockerfileError(line, f"--{name}={value} is not understood here")
    return target


def _copy(line: int, rest: str) -> Copy:
    options, words = _options(rest)
    stage, owner = "", None
    for name, value in options:
        if name == "from":
            stage = value
        elif name == "chown":
            owner = _user(line, value)
        else:
            raise DockerfileError(line, f"--{name} of COPY is not understood here")
    *sources, target = _split(line, words) or [""]
    if not sources or any(character in words for character in "*?[$"):
        raise DockerfileError(line, "expected COPY SOURCE… TARGET, without wildcards or variables")
    if len(sources) > 1 and not target.endswith("/"):
        raise DockerfileError(line, "the target of several sources has to end with /")
    return Copy(tuple(sources), target, stage, owner)


def _health_check(line: int, rest: str) -> HealthCheck:
    options, words = _options(rest)
    keyword, _, command = words.partition(" ")
    if keyword.upper() != "CMD":
        raise DockerfileError(line, "expected HEALTHCHECK CMD […]")
    times: dict[str, float] = {}
    retries = 3
    for name, value in options:
        if name == "retries" and value.isdecimal():
            retries = int(value)
        elif name in {"interval", "timeout", "start-period"}:
            times[f"{name.replace('-', '_')}_s"] = _seconds(line, value)
        else:
            raise DockerfileError(line, f"--{name} of HEALTHCHECK is not understood here")
    return HealthCheck(_words(line, command), retries=retries, **times)


def _entry_point(line: int, rest: str) -> EntryPoint:
    return EntryPoint(_words(line, rest))


def _cmd(line: int, rest: str) -> Cmd:
    return Cmd(_words(line, rest))


def _stop_signal(_line: int, rest: str) -> StopSignal:
    return StopSignal(rest)


_READERS: dict[str, Callable[[int, str], Instruction]] = {
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entry_point,
    "ENV": _env,
    "HEALTHCHECK": _health_check,
    "LABEL": _label,
    "RUN": _run,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "WORKDIR": _workdir,
}


# --- parts of an instruction ---------------------------------------------------------------------


def _options(rest: str) -> tuple[list[tuple[str, str]], str]:
    """Return the leading `--name=value` words, and what follows them."""
    options = []
    while rest.startswith("--"):
        word, _, rest = rest.partition(" ")
        name, _, value = word.removeprefix("--").partition("=")
        options.append((name, value))
        rest = rest.strip()
    return options, rest


def _pairs(line: int, rest: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for word in _split(line, rest):
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise DockerfileError(line, f"expected NAME=VALUE, got {word!r}")
        pairs.append((name, value))
    return tuple(pairs)


def _unquoted(line: int, text: str) -> str:
    words = _split(line, text)
    if len(words) > 1:
        raise DockerfileError(line, f"expected one value, got {text!r}")
    return words[0] if words else ""


def _split(line: int, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise DockerfileError(line, f"{error}: {text!r}") from error


def _words(line: int, text: str) -> tuple[str, ...]:
    """Return a command that needs no shell: a JSON list of texts."""
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise DockerfileError(line, f'expected ["PROGRAM", "WORD", …], got {text!r}')
    return tuple(words)


def _seconds(line: int, text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise DockerfileError(line, f"{text!r} is no time, such as 30s")
    return float(found[1]) * _UNIT_S[found[2]]
