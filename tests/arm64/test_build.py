"""Carrying out a Dockerfile, with this machine's own programs instead of emulated ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.arm64.conftest import LENT
from tools.arm64.build import Builder, Image
from tools.arm64.dockerfile import User, parse
from tools.arm64.emulation import Emulator
from tools.arm64.errors import ProofFailed


@pytest.fixture
def context(tmp_path: Path) -> Path:
    context = tmp_path / "context"
    (context / "source").mkdir(parents=True)
    (context / "source/a.py").write_text("a")
    (context / "source/secret").write_text("hush")
    (context / ".dockerignore").write_text("**/secret\n")
    return context


@pytest.fixture
def builder(emulator: Emulator, context: Path, tmp_path: Path) -> Builder:
    cache = tmp_path / "cache"
    return Builder(
        emulator,
        context,
        cache,
        mounts=LENT,
        environment={"OF_HOST": "h"},
        say=lambda _: None,
    )


def built(builder: Builder, text: str) -> Image:
    return builder.build(parse(text))


def test_files_commands_and_words_come_together(builder: Builder) -> None:
    image = built(
        builder,
        """
        FROM scratch AS first
        ENV GREETING="good day"
        ARG NAME=you
        WORKDIR /shop
        COPY source/ source/
        RUN echo "$GREETING, $NAME" >said && ls source >>said && echo $OF_HOST >>said
        FROM scratch
        COPY --from=first --chown=10001:10001 /shop/said /out/
        ENV PATH=/here:$PATH
        LABEL a="b $PATH"
        USER 10001:10001
        ENTRYPOINT ["a"]
        CMD ["b"]
        """,
    )

    said = image.root / "out/said"
    assert said.read_text() == "good day, you\na.py\nh\n"  # and no secret
    assert (said.stat().st_uid, said.parent.stat().st_uid) == (10001, 10001)
    assert not (image.root / "work").exists()
    assert image.environment["PATH"].startswith("/here:/usr/local/sbin:")
    assert image.labels == {"a": f"b {image.environment['PATH']}"}
    assert (image.user, image.entry_point, image.words) == (User(10001, 10001), ("a",), ("b",))
    assert [timing.stage for timing in builder.timings[:2]] == ["first", "first"]


def test_a_stage_that_begins_with_another_leaves_that_and_its_arguments_alone(
    builder: Builder,
) -> None:
    image = built(
        builder,
        "FROM scratch AS one\nENV A=1\nARG B=2\nCOPY source/a.py /a\n"
        "FROM one\nRUN rm /a && touch /$A$B\n",
    )

    assert (image.root / "1").exists()
    assert not (image.root / "a").exists()
    assert (image.root.parent / "one/a").exists()


def test_what_a_command_caches_is_kept_and_is_no_part_of_the_image(builder: Builder) -> None:
    line = "RUN --mount=type=cache,target=/kept echo x >>/kept/log && cp /kept/log /seen\n"
    built(builder, f"FROM scratch\n{line}")
    image = built(builder, f"FROM scratch\n{line}")

    assert (image.root / "seen").read_text() == "x\nx\n"
    assert list((image.root / "kept").iterdir()) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("RUN echo oh dear && exit 3", r"(?s)line 2, RUN echo.*ended with 3.*oh dear"),
        ("COPY none /none", "line 2, COPY none.*is not there"),
        ("COPY source/secret /none", "line 2, COPY source/secret.*is not there"),
    ],
)
def test_a_step_that_fails_is_named(builder: Builder, line: str, problem: str) -> None:
    with pytest.raises(ProofFailed, match=problem):
        built(builder, f"FROM scratch\n{line}\n")


def test_an_image_that_nobody_can_make_here_is_refused(builder: Builder) -> None:
    with pytest.raises(ProofFailed, match="no base image 'alpine'"):
        built(builder, "FROM alpine\n")
