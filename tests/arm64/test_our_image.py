"""What Dockerfile.arm64 says, without carrying it out: `make arm64` does that."""

from __future__ import annotations

import re

from camera_app import __version__
from tools.arm64.__main__ import DOCKERFILE, LOCKS, REPOSITORY
from tools.arm64.bases import DEBIAN
from tools.arm64.context import is_sent, rules_of
from tools.arm64.dockerfile import (
    SCRATCH,
    Arg,
    Cmd,
    Copy,
    EntryPoint,
    HealthCheck,
    Label,
    Run,
    Stage,
    User,
    parse,
)
from tools.arm64.rules import LABELS

STAGES = parse(DOCKERFILE.read_text(encoding="utf-8"))
IMAGE = STAGES[-1]


def all_of(kind: type, stages: tuple[Stage, ...] = STAGES) -> list[object]:
    steps = [step.instruction for stage in stages for step in stage.steps]
    return [one for one in steps if isinstance(one, kind)]


def test_the_image_begins_with_nothing_and_runs_nothing_to_become_what_it_is() -> None:
    """So whatever compiles or installs stays in the stages before it."""
    assert IMAGE.base == SCRATCH
    assert all_of(Run, (IMAGE,)) == []
    assert {stage.base for stage in STAGES} == {DEBIAN, STAGES[0].name, SCRATCH}


def test_it_runs_the_service_as_a_user_without_rights_and_is_asked_whether_it_is_ready() -> None:
    [user] = all_of(User, (IMAGE,))
    [check] = all_of(HealthCheck, (IMAGE,))
    assert isinstance(user, User)
    assert isinstance(check, HealthCheck)
    assert min(user.uid, user.gid) >= 1000
    assert check.command == ("camera-app", "health")
    assert all_of(EntryPoint, (IMAGE,)) == [EntryPoint(("camera-app",))]
    assert all_of(Cmd, (IMAGE,)) == [Cmd(("run", "--config", "/etc/camera-app/camera.toml"))]


def test_it_says_what_it_is() -> None:
    [label] = all_of(Label, (IMAGE,))
    assert isinstance(label, Label)

    assert {name for name, _ in label.values} == {f"org.opencontainers.image.{x}" for x in LABELS}
    assert Arg("VERSION", __version__) in all_of(Arg, (IMAGE,))


def test_everything_is_installed_by_hash_and_nothing_is_compiled() -> None:
    installs = [one for one in all_of(Run) if isinstance(one, Run) and " install " in one.command]
    from_index = [one.command for one in installs if "pip" in one.command]

    assert len(from_index) == 3
    for command in from_index:
        assert "--require-hashes" in command or "--no-index --no-deps" in command
    for lock in LOCKS:
        assert any(f"requirements/{lock.name}" in command for command in from_index)


def test_no_command_hides_the_failure_of_another() -> None:
    """Of a pipe the shell tells how its last command ended."""
    commands = [one.command for one in all_of(Run) if isinstance(one, Run)]

    assert commands
    assert [command for command in commands if re.search(r"[^|]\|[^|]", _unquoted(command))] == []


def _unquoted(command: str) -> str:
    return re.sub(r"'[^']*'", "", command)


def test_all_that_is_copied_is_there_and_lies_before_the_build() -> None:
    rules = rules_of((REPOSITORY / ".dockerignore").read_text(encoding="utf-8"))
    copied = [one for one in all_of(Copy) if isinstance(one, Copy) and not one.stage]
    sources = [REPOSITORY / source for one in copied for source in one.sources]

    assert sources
    for source in sources:
        files = [source] if source.is_file() else list(source.rglob("*.*"))
        assert any(is_sent(file.relative_to(REPOSITORY).as_posix(), rules) for file in files)
