"""What is promised about the steps: their help, the guides' commands, the script of all models."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.workshop.__main__ import _parser, main
from tools.workshop.steps import STEPS

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDES = sorted((REPOSITORY / "docs" / "guide").glob("*.md"))
GUIDE = REPOSITORY / "docs" / "guide" / "model-workshop.md"
SCRIPT = REPOSITORY / "tools" / "workshop" / "make_models.sh"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"^(?:\.venv-workshop/bin/)?(?:python -m tools\.workshop|workshop) (.+)$")


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yield the words of each call of a step in the blocks of a page, as a shell reads them."""
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language not in ("", "sh"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if call := CALL.match(line.removeprefix("$ ")):
                yield shlex.split(call[1], comments=True)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_explains_itself(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([step, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m tools.workshop " + step in capsys.readouterr().out


def test_every_module_of_a_step_is_offered() -> None:
    modules = {path.stem for path in (REPOSITORY / "tools/workshop/steps").glob("[!_]*.py")}
    assert modules == set(STEPS)


def test_every_command_of_the_guides_is_understood() -> None:
    """Only read, not run: a step or option that is gone, or misspelt, ends the parser."""
    commands = [words for page in GUIDES for words in commands_in(page)]
    for words in commands:
        _parser().parse_args(words)
    assert len(commands) > 15


def test_the_guide_of_the_workshop_takes_every_step() -> None:
    taken = {words[0] for words in commands_in(GUIDE)}
    assert set(STEPS) - taken == set()


# --- the script of all models ---------------------------------------------------------------

# Stands for the workshop's Python: writes its words down, and leaves what the real one would.
STAND_IN = """#!/usr/bin/env bash
if [ "$1" = -c ]; then echo start.tflite; exit; fi
shift 2
{ printf '%q ' "$@" && echo; } >>"$CALLS"
out=
for word in "$@"; do
  case $previous in --run | --out) out=${out:-$word} ;; esac
  previous=$word
done
[ -z "$out" ] || mkdir -p "$out"
case $1 in
prepare | train | distill | prune | convert | quantize) echo '{}' >"$out/$1.json" ;;
evaluate) mkdir -p "$out/report" && echo '{}' >"$out/report/figures.json" ;;
compare) echo '{}' >"$out/comparison.json" ;;
esac
[ "$1" != "$FAILS" ]
"""


class Script:
    """The script with a stand-in for what it calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._python = folder / "python"
        self._python.write_text(STAND_IN)
        self._python.chmod(0o755)

    def run(self, fails: str = "") -> tuple[int, list[list[str]]]:
        """Return its exit code and the steps that it called."""
        calls = self._folder / "calls"
        calls.write_text("")
        folders = {name: str(self._folder / name.lower()) for name in ("RUNS", "SETS", "PACKS")}
        variables = {
            **os.environ,
            **folders,
            "PEOPLE": "people",
            "FACES": "faces",
            "CALLS": str(calls),
            "FAILS": fails,
            "WORKSHOP_PYTHON": str(self._python),
        }
        done = subprocess.run(
            [str(SCRIPT), "photos"], env=variables, capture_output=True, check=False
        )
        return done.returncode, [shlex.split(line) for line in calls.read_text().splitlines()]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_the_script_gives_only_words_that_the_steps_understand(script: Script) -> None:
    code, calls = script.run()
    assert code == 0
    for words in calls:
        _parser().parse_args(words)
    assert {"prepare", "distill", "prune", "quantize", "compare", "pack"} <= {c[0] for c in calls}


def test_the_script_passes_over_what_is_done(script: Script) -> None:
    script.run()
    code, calls = script.run()
    assert code == 0
    assert {"prepare", "train", "distill", "prune", "convert"} & {c[0] for c in calls} == set()


def test_the_script_stops_at_a_step_that_fails_and_takes_it_again(script: Script) -> None:
    code, calls = script.run(fails="convert")
    assert code == 1
    assert calls[-1][0] == "convert"

    code, again = script.run()
    assert code == 0
    assert again[0] == calls[-1]


def test_the_script_goes_on_where_quantization_only_complains(script: Script) -> None:
    code, calls = script.run(fails="quantize")
    assert code == 0
    assert calls[-1][0] == "pack"
