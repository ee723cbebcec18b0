"""Reading a Dockerfile: every instruction that ours uses, and an error for all else."""

from __future__ import annotations

import pytest

from tools.arm64.dockerfile import (
    Arg,
    Cmd,
    Copy,
    DockerfileError,
    EntryPoint,
    Env,
    HealthCheck,
    Instruction,
    Label,
    Run,
    StopSignal,
    User,
    Workdir,
    expanded,
    parse,
)


def only(line: str) -> Instruction:
    (stage,) = parse(f"FROM debian\n{line}\n")
    (step,) = stage.steps
    return step.instruction


@pytest.mark.parametrize(
    ("line", "instruction"),
    [
        ("ARG VERSION", Arg("VERSION", "")),
        ('ARG VERSION="0.1 beta"', Arg("VERSION", "0.1 beta")),
        ("ENV A=1 B='2 3'", Env((("A", "1"), ("B", "2 3")))),
        ('LABEL a.b="c d"', Label((("a.b", "c d"),))),
        ("WORKDIR /src", Workdir("/src")),
        ("USER 10001:10002", User(10001, 10002)),
        ("RUN a && b 'c  d'", Run("a && b 'c  d'")),
        (
            "RUN --mount=type=cache,target=/x,sharing=locked --mount=type=cache,target=/y do",
            Run("do", ("/x", "/y")),
        ),
        ("COPY a b/", Copy(("a",), "b/")),
        ("COPY --from=debian --chown=1:2 /a/ /b/", Copy(("/a/",), "/b/", "debian", User(1, 2))),
        ('ENTRYPOINT ["a", "b c"]', EntryPoint(("a", "b c"))),
        ('CMD ["run"]', Cmd(("run",))),
        ("STOPSIGNAL SIGTERM", StopSignal("SIGTERM")),
        ('HEALTHCHECK CMD ["ask"]', HealthCheck(("ask",))),
        (
            "HEALTHCHECK --interval=1m --timeout=500ms --start-period=90s --retries=5 "
            'CMD ["ask", "it"]',
            HealthCheck(("ask", "it"), 60.0, 0.5, 90.0, 5),
        ),
        ("run true", Run("true")),  # engines do not mind the case of the word
    ],
)
def test_an_instruction_becomes_a_value(line: str, instruction: Instruction) -> None:
    if isinstance(instruction, Copy) and instruction.stage:
        stages = parse(f"FROM base AS debian\nFROM scratch\n{line}\n")
        assert stages[1].steps[0].instruction == instruction
    else:
        assert only(line) == instruction


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ADD a b", "ADD is not understood"),
        ("VOLUME /data", "VOLUME is not understood"),
        ("RUN", "RUN says nothing"),
        ("RUN --mount=type=secret,target=/x do", "--mount=type=secret,target=/x is not understood"),
        ("RUN --network=none do", "--network=none is not understood"),
        ("RUN <<EOF", "a document inside RUN"),
        ('RUN ["a"]', "RUN without a shell"),
        ("WORKDIR src", "has to begin with /"),
        ("USER camera", "a user and a group by number"),
        ("USER 0", "a user and a group by number"),
        ("COPY a", "expected COPY SOURCE"),
        ("COPY *.py /src/", "without wildcards"),
        ("COPY a $PLACE/", "without wildcards or variables"),
        ("COPY --chown=1:2", "expected COPY SOURCE"),
        ("COPY 'a b/", "No closing quotation"),
        ("COPY a b c", "has to end with /"),
        ("COPY --link a b", "--link of COPY"),
        ("COPY --from=later a b", "no stage 'later' stands before this"),
        ("ENTRYPOINT camera-app run", 'expected ["PROGRAM"'),
        ("CMD []", 'expected ["PROGRAM"'),
        ("ENV A 1", "expected NAME=VALUE"),
        ("ENV A='1", "No closing quotation"),
        ("HEALTHCHECK NONE", "expected HEALTHCHECK CMD"),
        ('HEALTHCHECK --interval=often CMD ["ask"]', "'often' is no time"),
        ('HEALTHCHECK --every=1s CMD ["ask"]', "--every of HEALTHCHECK"),
        ('HEALTHCHECK --retries=many CMD ["ask"]', "--retries of HEALTHCHECK"),
        ("ARG 1=2", "'1' is no name"),
        ("RUN a \\", "ends in the middle"),
    ],
)
def test_what_is_not_understood_is_an_error_that_names_its_line(line: str, problem: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(f"# a comment\nFROM debian\n{line}\n")

    assert caught.value.line == 3
    assert problem in caught.value.problem


@pytest.mark.parametrize("text", ["", "# nothing\n", "RUN true\nFROM debian\n", "FROM a b c\n"])
def test_a_file_without_a_beginning_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError):
        parse(text)


def test_two_stages_of_one_name_are_refused() -> None:
    with pytest.raises(DockerfileError, match="two stages"):
        parse("FROM debian AS a\nFROM debian AS a\n")


def test_lines_go_on_after_a_backslash_and_comments_between_them_are_left_out() -> None:
    (stage,) = parse("FROM --platform=linux/arm64 debian\n\nRUN a && \\\n  # why\n\n  b\nRUN c\n")

    assert [(step.line, step.instruction) for step in stage.steps] == [
        (3, Run("a && b")),
        (7, Run("c")),
    ]


def test_stages_have_names_or_numbers_and_what_they_begin_with() -> None:
    stages = parse("FROM debian AS first\nFROM first\nFROM scratch as last\nCOPY --from=1 a b\n")

    assert [(stage.name, stage.base) for stage in stages] == [
        ("first", "debian"),
        ("1", "first"),
        ("last", "scratch"),
    ]


def test_variables_are_put_in_and_unknown_ones_are_empty() -> None:
    assert expanded("/a:$A:${B}c$D.", {"A": "1", "B": "2"}) == "/a:1:2c."
