"""The pages that are generated are those that the code would generate now."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from camera_app.cli import COMMANDS, build_parser
from camera_app.config_reference import markdown
from tools.docs import asyncapi, doctor, wire
from tools.docs.configuration import PAGE

REPOSITORY = PAGE.parent.parent


def test_the_configuration_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run `make docs` and commit the page"


def test_the_reference_of_the_wire_is_current() -> None:
    is_current = wire.DOCUMENT.read_text(encoding="utf-8") == asyncapi.text()
    assert is_current, "run `make docs` and commit docs/asyncapi.json"
    is_current = wire.PAGE.read_text(encoding="utf-8") == wire.markdown()
    assert is_current, "run `make docs` and commit docs/mqtt.md"


def test_the_page_of_the_doctor_is_current() -> None:
    is_current = doctor.PAGE.read_text(encoding="utf-8") == doctor.markdown()
    assert is_current, "run `make docs` and commit docs/guide/doctor.md"


def test_the_readme_names_every_command() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")

    assert [name for name in COMMANDS if f"camera-app {name}" not in readme] == []


def test_every_local_link_in_the_pages_leads_somewhere() -> None:
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not Path(page.parent, link).exists()
    ]

    assert len(pages) >= 4
    assert broken == []


def test_every_command_in_the_pages_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """Their words are those that the program takes; what stands for something is taken as it is."""
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
    lines = [(page.name, line) for page in pages for line in commands_in(page)]
    odd = []
    for page, line in lines:
        words = shlex.split(line, comments=True)[1:]
        try:
            build_parser(words).parse_args(words)
        except SystemExit as ended:
            if ended.code:
                odd.append(f"{page}: {line}: {capsys.readouterr().err.splitlines()[-1]}")

    assert len(lines) >= 30
    assert odd == []


def commands_in(page: Path) -> list[str]:
    """Return the calls of `camera-app` in the listings of a page, without pipes and the like."""
    listings = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    text = "\n".join(listings).replace("\\\n", " ")
    return re.findall(r"^(?:\$ |sudo )?(?:\S+/bin/)?(camera-app [^|&;>\n]+)", text, re.M)


def test_the_architecture_page_has_every_room() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in REPOSITORY.glob("camera_app/*/__init__.py")]

    assert [room for room in rooms if f"`{room}/`" not in page] == []


def test_make_help_lists_every_target() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)

    explained = re.findall(r"^([a-z0-9-]+):.*## ", makefile, flags=re.MULTILINE)
    assert sorted(explained) == sorted(phony.split())
