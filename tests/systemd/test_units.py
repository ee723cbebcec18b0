"""The units as systemd reads them, and as the code needs them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from camera_app.commands.run import EXIT_MISCONFIGURED
from camera_app.config import load_config
from camera_app.inference.edgetpu.lock import LOCK_FOLDER
from camera_app.inference.edgetpu.places import FRESH_IDS, READY_IDS

FOLDER = Path(__file__).resolve().parents[2] / "systemd"
UNIT = FOLDER / "camera-app.service"
TEMPLATE = FOLDER / "camera-app@.service"
MOST_EXPOSURE = 2.0


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """Both units as they are, but for the program, which is not installed here."""
    made = []
    for source, name in ((UNIT, UNIT.name), (TEMPLATE, "camera-app@garden.service")):
        text = source.read_text()
        assert "/opt/camera-app/current/venv/bin/camera-app" in text
        path = tmp_path / name
        path.write_text(text.replace("/opt/camera-app/current/venv/bin/camera-app", sys.executable))
        made.append(path)
    return made


def settings(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_systemd_understands_every_line(units: list[Path]) -> None:
    for unit in units:
        done = subprocess.run(
            [tool("systemd-analyze"), "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        said = [line for line in done.stderr.splitlines() if "camera-app" in line]
        assert (done.returncode, said) == (0, [])


def test_the_sandbox_leaves_little_open(units: list[Path]) -> None:
    for unit in units:
        done = subprocess.run(
            [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
        assert found is not None, done.stderr
        assert float(found[1]) <= MOST_EXPOSURE


def test_an_instance_differs_in_its_name_and_places_and_in_nothing_else() -> None:
    one, many = settings(UNIT.read_text()), settings(TEMPLATE.read_text())
    changed = {key for key in one | many if one.get(key) != many.get(key)}
    assert changed == {
        "Description",
        "ExecStart",
        "StateDirectory",
        "CacheDirectory",
        "RuntimeDirectory",
        "Environment",
    }
    for key in ("StateDirectory", "CacheDirectory", "RuntimeDirectory"):
        assert (one[key], many[key]) == (["camera-app"], ["camera-app-%i"])


def test_a_wrong_configuration_and_wrong_words_are_not_tried_again() -> None:
    assert settings(UNIT.read_text())["RestartPreventExitStatus"] == [f"2 {EXIT_MISCONFIGURED}"]


def test_the_service_may_read_the_clock_lower_a_priority_and_lock_a_stick_for_all() -> None:
    """Each is easily lost by one more line of hardening, and no loss would be noticed."""
    found = settings(UNIT.read_text())
    *_, of_clock, of_priority = found["SystemCallFilter"]
    assert of_clock.split()[:2] == ["adjtimex", "clock_adjtime"]
    assert of_priority == "setpriority"
    assert "ProtectClock" not in found
    assert found["ReadWritePaths"] == [f"-/{LOCK_FOLDER}"]


def test_the_rules_for_devices_know_a_stick_before_and_after_its_first_use() -> None:
    text = (FOLDER / "udev.rules").read_text()
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    for vendor, product in (FRESH_IDS, READY_IDS):
        ids = f'ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}"'
        (rule,) = [rule for rule in rules if ids in rule]
        assert 'GROUP="plugdev", MODE="0660"' in rule
    assert 'SUBSYSTEM=="apex", GROUP="apex", MODE="0660"' in rules
    # Every rule is a list of key, operator and value in quotes, as udev reads them.
    word = r'[A-Z]+(\{[^}]+\})?(==|!=|=|\+=)"[^"]*"'
    assert [rule for rule in rules if not re.fullmatch(rf"{word}(, {word})*", rule)] == []


def test_the_user_is_in_the_groups_that_the_rules_give_devices_to() -> None:
    text = (FOLDER / "sysusers.conf").read_text()
    groups = {line.split()[2] for line in text.splitlines() if line.startswith("m ")}
    assert groups == {"video", "plugdev", "apex"}


def test_systemd_understands_the_user_and_the_folders(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for words in (
        [tool("systemd-sysusers"), f"--root={tmp_path}", str(FOLDER / "sysusers.conf")],
        [tool("systemd-tmpfiles"), "--create", f"--root={tmp_path}", str(FOLDER / "tmpfiles.conf")],
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if "Operation not permitted" in done.stderr or "Permission denied" in done.stderr:
            pytest.skip("only root may make users and folders of others")
        assert (done.returncode, done.stderr.count("Unknown")) == (0, 0), done.stderr
    assert "camera-app" in (tmp_path / "etc/passwd").read_text()
    assert (tmp_path / "etc/camera-app").stat().st_mode & 0o777 == 0o750


def test_the_sample_is_a_configuration_that_is_accepted() -> None:
    config = load_config(FOLDER / "camera.toml")
    assert list(config.camera) == ["front"]


def test_the_installer_is_a_script_that_bash_can_read_and_that_explains_itself() -> None:
    script = str(FOLDER / "install.sh")
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    for command in ("install", "rollback", "instance NAME", "status", "uninstall --purge"):
        assert f"install.sh {command}" in done.stdout
