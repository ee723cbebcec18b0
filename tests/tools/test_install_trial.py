"""What the trial of the installer does to a checkout fits the code as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import camera_app.commands.run as command
from tools.install_trial.container import Container, Failed
from tools.install_trial.trial import broken, copy_checkout


def test_the_broken_release_is_python_and_dies_with_a_code_that_is_tried_again() -> None:
    text = broken(Path(command.__file__).read_text(encoding="utf-8"))
    compile(text, "run.py", "exec")
    assert "raise SystemExit(9)" in text


def test_a_checkout_is_copied_with_its_installer_and_without_what_git_ignores(
    tmp_path: Path,
) -> None:
    copy_checkout(tmp_path)
    script = tmp_path / "systemd" / "install.sh"
    assert subprocess.run([script, "--help"], capture_output=True, check=False).returncode == 0
    assert (tmp_path / "requirements" / "run.txt").is_file()
    assert not list(tmp_path.rglob("__pycache__"))


def test_who_is_not_root_is_told_so() -> None:
    asked = "import os; os.getuid = lambda: 1; from tools.install_trial.__main__ import main; "
    words = "import sys; sys.argv = ['x', '--clip', 'x']; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", asked + words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "needs root" in done.stderr) == (2, True)


def test_a_container_that_does_not_start_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its folder is gone when somebody reads that, and so is the log that was pointed at."""
    made = ["unshare", "--mount", "--pid", "--cgroup", "--fork", "true"]
    if os.getuid() or subprocess.run(made, check=False).returncode:
        pytest.skip("only root can make a container")
    root = tmp_path / "empty"
    root.mkdir()
    container = Container(root)
    try:
        with pytest.raises(Failed, match=r"(?s)did not start:.*mount point does not exist"):
            container.boot()
        assert container.journal() == ""
    finally:
        container.stop()
    assert not container._group.exists()
