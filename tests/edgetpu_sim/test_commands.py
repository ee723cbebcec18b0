"""`python -m tools.edgetpu_sim`: building, compiling, running, pulling levers."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from camera_app.models import TRUSTED_VARIABLE, find_pack
from tests.edgetpu_sim.conftest import LIMIT_S
from tests.waiting import wait_until
from tools.edgetpu_sim import build as building
from tools.edgetpu_sim.__main__ import main
from tools.edgetpu_sim.build import build
from tools.edgetpu_sim.errors import SimulationError
from tools.edgetpu_sim.levers import LEVERS
from tools.edgetpu_sim.sticks import SimulatedSticks

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDE = REPOSITORY / "docs" / "guide" / "simulated-edgetpu.md"
CROSS_COMPILER = "aarch64-linux-gnu-gcc"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[SimulatedSticks]:
    """Sticks to pull levers of."""
    with SimulatedSticks(tmp_path / "sim", usb=1, pci=1, library=tmp_path) as sticks:
        yield sticks


def _lever(sticks: SimulatedSticks, *words: str) -> int:
    return main(["lever", "--folder", str(sticks.folder), *words])


def test_the_library_is_built_once(library: Path) -> None:
    before = library.stat().st_mtime_ns

    assert build(library.parent) == library
    assert library.stat().st_mtime_ns == before


def test_the_library_compiles_for_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(CROSS_COMPILER) is None:
        pytest.skip("needs a compiler for arm64: sudo apt-get install gcc-aarch64-linux-gnu")
    monkeypatch.setenv("CC", CROSS_COMPILER)

    header = build(tmp_path).read_bytes()[:20]

    assert header[18:20] == b"\xb7\x00", "not an ELF file for AArch64"


def test_without_a_compiler_the_command_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")

    assert main(["build", "--out", str(tmp_path)]) == 2
    assert "sudo apt-get install -y gcc" in capsys.readouterr().err


def test_what_the_compiler_says_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Path
) -> None:
    for source in building.SOURCES.iterdir():
        if source.suffix in (".c", ".h") or source.name == "Makefile":
            shutil.copy(source, tmp_path)
    (tmp_path / "plugin.c").write_text("int x = ;\n")
    monkeypatch.setattr(building, "SOURCES", tmp_path)

    with pytest.raises(SimulationError, match=r"plugin\.c:1:9: error"):
        build(tmp_path / "out")


def test_a_network_is_compiled(
    two_layers: Path, compiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "x_edgetpu.tflite"

    assert main(["compile", str(two_layers), str(target)]) == 0
    assert target.read_bytes() == compiled.read_bytes()
    assert "2 operators on the Edge TPU, 0 before and 0 after" in capsys.readouterr().out


def test_packs_for_simulated_sticks_are_made_with_what_uses_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["pack", "person_small", "--out", str(tmp_path / "packs")]
    assert main(words) == 0
    said = tomllib.loads(capsys.readouterr().out)
    (folder,) = said["inference"]["model"]
    monkeypatch.setenv(TRUSTED_VARIABLE, ",".join(said["models"]["trusted_keys"]))
    pack = find_pack(folder)
    assert pack.name == "person_small"
    assert pack.edgetpu is not None
    assert (pack.folder / pack.edgetpu.file).is_file()
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_file_that_is_not_there_cannot_be_compiled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", str(tmp_path / "x.tflite"), str(tmp_path / "y.tflite")]) == 2
    assert "x.tflite: cannot be read: No such file" in capsys.readouterr().err


def test_levers_are_pulled_from_another_terminal(made: SimulatedSticks) -> None:
    usb0, pci0 = made["usb0"], made["pci0"]

    assert _lever(made, "usb0", "latency", "9") == 0
    assert _lever(made, "usb0", "slow", "10") == 0
    assert usb0.latency_us == 90_000
    assert _lever(made, "usb0", "hang", "0.5") == 0
    assert (usb0.control["hang_us"], usb0.control["hang_next"]) == (500_000, 1)
    assert _lever(made, "usb0", "wedge") == 0
    assert (usb0.control["hang_us"], usb0.control["hang_next"]) == (-1, -1)
    assert _lever(made, "usb0", "hang-at-load") == 0
    assert usb0.create_us == -1
    assert _lever(made, "usb0", "release") == 0
    assert (usb0.control["hang_us"], usb0.control["hang_next"], usb0.create_us) == (0, 0, 0)
    assert _lever(made, "usb0", "fail", "-1") == 0
    assert usb0.control["fail_next"] == -1
    assert _lever(made, "usb0", "garbage", "on") == 0
    assert usb0.control["garbage"] == 1
    assert _lever(made, "usb0", "refuse", "on") == 0
    assert usb0.create_fail == 1
    assert _lever(made, "usb0", "first", "3") == 0
    assert usb0.first_us == 3000
    assert _lever(made, "usb0", "on-unplug", "abort-at-once") == 0
    assert usb0.on_unplug == 2
    assert _lever(made, "usb0", "busy", "steal") == 0
    assert usb0.busy_mode == 1
    assert _lever(made, "usb0", "load", "crash") == 0
    assert usb0.prep_mode == 3
    assert _lever(made, "pci0", "temperature", "80") == 0
    assert _lever(made, "pci0", "reset") == 0
    assert pci0.control["generation"] == 1
    assert _lever(made, "usb0", "steal", "0") == 0
    assert usb0.control["generation"] == 1
    assert _lever(made, "usb0", "occupy", "0") == 0
    assert _lever(made, "usb0", "unplug") == 0
    assert not usb0.is_plugged
    assert _lever(made, "usb0", "plug", "12") == 0
    assert (usb0.is_plugged, usb0.control["speed_mbit"]) == (True, 12)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("usb7", "unplug"), "no stick 'usb7'. There are: pci0, usb0"),
        (("usb0", "explode"), "no lever 'explode'. There are: plug, unplug"),
        (("usb0", "unplug", "now"), "usb0: the lever is: unplug"),
        (("usb0", "slow"), "usb0: the lever is: slow FACTOR"),
        (("usb0", "slow", "very"), "'very' is no number"),
        (("usb0", "garbage", "yes"), "'yes' is neither `on` nor `off`"),
        (("usb0", "busy", "x"), "'x' is none of: refuse, steal"),
    ],
)
def test_a_lever_that_cannot_be_pulled_is_explained(
    made: SimulatedSticks,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    complaint: str,
) -> None:
    assert _lever(made, *words) == 2
    assert complaint in capsys.readouterr().err


def test_show_tells_how_the_sticks_are(
    made: SimulatedSticks, capsys: pytest.CaptureFixture[str]
) -> None:
    made["usb0"].unplug()
    with made["pci0"].occupied():
        assert main(["show", "--folder", str(made.folder)]) == 0

    pci0, usb0 = capsys.readouterr().out.splitlines()
    assert pci0.startswith("pci0 at /dev/apex_0: plugged, open in process 0, invokes 0")
    assert usb0.startswith("usb0 at /sys/bus/usb/devices/9-1: unplugged, not open, invokes 0")


def _command(folder: Path, *words: str) -> list[str]:
    begin = [sys.executable, "-m", "tools.edgetpu_sim", "run", "--folder", str(folder)]
    return [*begin, "--sticks", "2", "--unplugged", "--", *words]


def test_a_command_finds_its_sticks_and_its_exit_code_is_ours(
    library: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sim"
    script = 'ls "$EDGETPU_SIM_DIR"; ls -d "$CAMERA_APP_SYSTEM_ROOT"; exit 3'

    done = subprocess.run(
        _command(folder, "sh", "-c", script),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert done.returncode == 3
    assert done.stdout.splitlines()[1:] == ["usb0", "usb1", str(folder / "root")]
    assert not (folder / "control").exists(), "the sticks go with the command"


def test_a_running_command_ends_when_it_is_told_to(library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sim"
    script = f"trap 'exit 7' TERM; touch {tmp_path}/up; while :; do sleep 0.01; done"
    process = subprocess.Popen(_command(folder, "sh", "-c", script), cwd=REPOSITORY)
    try:
        assert wait_until((tmp_path / "up").exists)
        assert main(["run", "--folder", str(folder), "--", "true"]) == 2, "it has its sticks alone"
        process.send_signal(signal.SIGTERM)

        assert process.wait(LIMIT_S) == 7
    finally:
        process.kill()
        process.wait()


def test_a_command_that_is_not_there_is_named(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--folder", str(tmp_path / "sim"), "--", "no-such-command"]) == 2
    assert "no-such-command: cannot be started: No such file" in capsys.readouterr().err
    assert main(["run", "--folder", str(tmp_path / "sim")]) == 2
    assert "Name it after --" in capsys.readouterr().err


def test_the_guide_names_every_lever() -> None:
    guide = GUIDE.read_text(encoding="utf-8")

    assert [name for name in LEVERS if f"`{name}" not in guide] == []
