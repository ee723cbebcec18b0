"""What must not stand in the code, and what SECURITY.md promises of tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "SECURITY.md"

# Modules that run what they read, or read what may run.
FORBIDDEN_MODULES = {
    "cPickle",
    "cloudpickle",
    "code",
    "codeop",
    "dbm",
    "dill",
    "joblib",
    "marshal",
    "multiprocessing",
    "pickle",
    "pty",
    "runpy",
    "shelve",
    "telnetlib",
    "xmlrpc",
    "yaml",
}
FORBIDDEN_CALLS = {
    "__import__",
    "builtins.exec",
    "builtins.eval",
    "compile",
    "eval",
    "exec",
    "os.popen",
    "os.system",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "tempfile.mktemp",
}
# Modules whose names stand in the code: chosen by us, from lists of ours.
MAY_CHOOSE_MODULES = {
    "camera_app/children.py": "the entry that the parent named, over a socket that only it has",
    "camera_app/cli.py": "names of commands, from a tuple beside it",
    "camera_app/doctor/errands.py": "libraries of a list of ours, told to a child of ours",
    "camera_app/inference/onnx.py": "a runtime that may be absent, its name a constant",
    "camera_app/inference/runtime.py": "runtimes that may be absent, from a table beside it",
    "camera_app/lazy.py": "names of a room, from the table in its `__init__.py`",
}
# The desk's own processes, which speak with their own children.
MAY_IMPORT = {
    "tools/fleet/cameras.py": {"multiprocessing"},
    "tools/fleet/listener.py": {"multiprocessing"},
    "tools/fleet/trial.py": {"multiprocessing"},
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("camera_app", "tools"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            yield str(path.relative_to(REPOSITORY)), ast.parse(path.read_text(encoding="utf-8"))


def findings(name: str, tree: ast.Module) -> list[str]:
    """Return what in a file must not be, with its line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [f"{name}:{node.lineno}: imports {module}" for module in _bad(name, node)]
        elif isinstance(node, ast.Call):
            found += [f"{name}:{node.lineno}: {what}" for what in _bad_call(name, node)]
    return found


def _bad(name: str, node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        modules = {node.module or ""} if not node.level else set()
    else:
        modules = {alias.name for alias in node.names}
    tops = {module.partition(".")[0] for module in modules}
    return (tops & FORBIDDEN_MODULES) - MAY_IMPORT.get(name, set())


def _bad_call(name: str, node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    words = {word.arg: word.value for word in node.keywords if word.arg}
    if called in FORBIDDEN_CALLS:
        yield called
    if "shell" in words and not _is(words["shell"], False):
        yield "a shell"
    if called.endswith("np.load") and "allow_pickle" in words:
        yield "np.load with pickles"
    if called == "torch.load" and not _is(words.get("weights_only"), True):
        yield "torch.load of more than weights"
    if called == "importlib.import_module" and name.startswith("camera_app/"):
        is_constant = bool(node.args) and isinstance(node.args[0], ast.Constant)
        if not is_constant and name not in MAY_CHOOSE_MODULES:
            yield "a module by a name that is not a constant"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_nothing_that_is_read_is_run() -> None:
    files = list(sources())
    assert len(files) > 200
    assert [found for name, tree in files for found in findings(name, tree)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from multiprocessing.connection import Client",
        "import yaml",
        "eval(text)",
        "exec(text)",
        "os.system(line)",
        "subprocess.run(line, shell=True)",
        "subprocess.Popen(line, shell=wanted)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "importlib.import_module(name)",
        "__import__(name)",
    ],
)
def test_each_thing_that_must_not_be_is_found(line: str) -> None:
    assert len(findings("camera_app/new.py", ast.parse(line))) == 1


@pytest.mark.parametrize(
    "line",
    ["import json", "re.compile(text)", "model.eval()", "torch.load(path, weights_only=True)"],
)
def test_what_only_looks_like_it_is_not(line: str) -> None:
    assert findings("camera_app/new.py", ast.parse(line)) == []


def test_what_is_let_through_is_still_there() -> None:
    """An exception that nobody needs any more goes."""
    for name in (*MAY_CHOOSE_MODULES, *MAY_IMPORT):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert "import_module(" in text or "multiprocessing" in text, name


def named_tests(text: str) -> list[tuple[str, str]]:
    """Return the tests that a page names, as file and function."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)


def test_every_test_that_the_security_page_names_exists() -> None:
    named = named_tests(PAGE.read_text(encoding="utf-8"))
    missing = []
    for file, function in named:
        path = REPOSITORY / file
        there = ast.walk(ast.parse(path.read_text())) if path.is_file() else []
        names = {node.name for node in there if isinstance(node, ast.FunctionDef)}
        if function not in names:
            missing.append(f"{file}::{function}")
    assert len(named) > 30
    assert missing == []


def test_every_line_of_the_threat_model_names_its_test() -> None:
    """What is not met says so itself, in bold."""
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith(("| what", "| ---"))
    ]
    assert len(rows) > 20
    assert [row for row in rows if not named_tests(row) and "**not met**" not in row] == []
