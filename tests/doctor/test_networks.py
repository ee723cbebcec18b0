"""Models and accelerators: packs that are wrong, and simulated sticks with every lever pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from camera_app.config import parse_config
from camera_app.doctor import Examined
from camera_app.doctor.checks import accelerator, models
from camera_app.doctor.service import Service
from camera_app.inference.edgetpu import Bus, FindingKind, Place
from camera_app.inference.edgetpu import Finding as StickFinding
from camera_app.inference.edgetpu.lock import StickLock
from camera_app.models import PrivateKey, find_pack
from tools.edgetpu_sim.build import compiler
from tools.edgetpu_sim.packs import make_twin_pack
from tools.edgetpu_sim.sticks import PrepMode, SimulatedSticks

from .conftest import MadeMachine, kinds

CAMERA = '[camera.front]\nsource = "front.mp4"\n'
USB = "usb:9-1"


# --- models --------------------------------------------------------------------------------------


def test_shipped_packs_give_their_answers(made: MadeMachine) -> None:
    found = models.examine(made.subject(f'inference.model = "person_small"\n{CAMERA}'))
    assert kinds(found) == []
    assert found.facts[0].startswith("person_small: ")


def test_a_misspelt_pack_is_told(made: MadeMachine) -> None:
    [finding] = models.examine(made.subject(f'inference.model = "person_smal"\n{CAMERA}')).findings
    assert finding.kind == "models.unknown"
    assert finding.remedy == "Did you mean person_small"


def test_a_pack_that_nobody_trusts_is_told(
    made: MadeMachine, strangers_pack: tuple[Path, str]
) -> None:
    folder, _ = strangers_pack
    [finding] = models.examine(made.subject(f'inference.model = "{folder}"\n{CAMERA}')).findings
    assert finding.kind == "models.rejected"
    assert finding.line == f"camera-app models verify {folder}"


def test_weights_that_are_not_here_are_told(
    made: MadeMachine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", str(tmp_path))
    name = "yolox_nano_coco_320"
    [finding] = models.examine(made.subject(f'inference.model = "{name}"\n{CAMERA}')).findings
    assert finding.kind == "models.missing"
    assert finding.line == f"camera-app models fetch {name}"


def test_answers_that_are_wrong_and_networks_that_cannot_run_are_told() -> None:
    for trouble, kind in (("wrong_answers", "models.wrong_answers"), ("failed", "models.failed")):
        told = {"trouble": trouble, "what": "noise: 9.00 steps off", "remedy": ""}
        assert kinds(models.judge("person_large", told)) == [kind]


def test_a_check_of_a_pack_that_takes_too_long_is_given_up(made: MadeMachine) -> None:
    found = models.examine(made.subject(CAMERA, limit_s=0.01))
    assert kinds(found) == ["models.failed"]
    assert "did not end within" in found.findings[0].what


def test_classes_that_no_model_finds_are_told() -> None:
    zone = '[[camera.front.zones]]\nname = "path"\npolygon = [[0,0],[1,0],[1,1]]\nlabels = ["cat"]'
    config = parse_config(f'{CAMERA}[camera.front.events]\nlabels = ["dog"]\n{zone}\n')
    found = list(models.judge_labels(config, {"person_large": frozenset({"person"})}))
    assert kinds(found) == ["models.no_such_label", "models.no_such_label"]
    assert [finding.where for finding in found] == [
        "camera.front.events.labels",
        "camera.front.zones.path",
    ]
    # Of a pack that is wrong itself nothing is known.
    assert kinds(models.judge_labels(config, {"person_large": frozenset()})) == []


# --- sticks --------------------------------------------------------------------------------------


@pytest.fixture
def sticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedSticks]:
    if compiler() is None:
        pytest.skip("the simulated Edge TPU needs a C compiler")
    with SimulatedSticks(tmp_path / "sticks", usb=1, latency_ms=1.0) as simulated:
        for name, value in simulated.environment().items():
            monkeypatch.setenv(name, value)
        yield simulated


@pytest.fixture
def twin(tmp_path: Path, signing_key: PrivateKey) -> str:
    """A configuration with a pack that has a file for the simulated stick."""
    folder = tmp_path / "pack"
    make_twin_pack(find_pack("person_small"), folder, signing_key)
    return f'inference.model = "{folder}"\n{CAMERA}'


@pytest.fixture
def examine(made: MadeMachine, sticks: SimulatedSticks) -> Callable[..., Examined]:
    """Examine the simulated sticks, as the machine of their folder has them."""
    import os

    made.root = Path(os.environ["CAMERA_APP_SYSTEM_ROOT"])

    def look(config: str, **more: object) -> Examined:
        return accelerator.examine(made.subject(config, **more))  # type: ignore[arg-type]

    return look


def test_a_machine_without_sticks_is_well(
    made: MadeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_APP_SYSTEM_ROOT", str(made.root))
    assert accelerator.examine(made.subject()) == Examined(("no Edge TPU is plugged in",))


def test_a_free_stick_is_opened_and_must_give_its_answers(
    examine: Callable[..., Examined], sticks: SimulatedSticks, twin: str
) -> None:
    found = examine(twin)
    assert kinds(found) == []
    assert sticks["usb0"].opens == 1
    assert any("opened in" in fact and "person_small in" in fact for fact in found.facts)
    sticks["usb0"].garbage()
    assert kinds(examine(twin)) == ["accelerator.wrong_answers"]


def test_a_stick_is_left_alone_while_the_service_runs_or_another_has_it(
    examine: Callable[..., Examined], sticks: SimulatedSticks, made: MadeMachine, twin: str
) -> None:
    assert kinds(examine(twin, service=Service(77))) == []
    lock = StickLock(USB)
    lock.take(4711)
    assert kinds(examine(twin)) == []
    lock.release()
    made.link("sys/bus/usb/devices/9-1:1.0/driver", "../../../../bus/usb/drivers/usbfs")
    assert kinds(examine(twin)) == ["accelerator.busy"]
    assert sticks["usb0"].opens == 0


@pytest.mark.parametrize(
    ("speed", "found"),
    [(12, ["accelerator.wrong_cable"]), (480, ["accelerator.usb2"]), (5000, [])],
)
def test_the_speed_of_the_cable_is_judged(
    examine: Callable[..., Examined],
    sticks: SimulatedSticks,
    speed: int,
    found: list[str],
) -> None:
    sticks["usb0"].unplug()
    sticks["usb0"].plug(speed_mbit=speed)
    assert [k for k in kinds(examine(CAMERA)) if k != "accelerator.no_pack"] == found


def test_a_missing_library_is_told_once(
    examine: Callable[..., Examined], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    assert kinds(examine(CAMERA)) == ["accelerator.library_missing"]


def test_a_library_for_another_runtime_is_told(
    examine: Callable[..., Examined], sticks: SimulatedSticks, twin: str
) -> None:
    sticks["usb0"].prep_mode = PrepMode.CRASH
    assert kinds(examine(twin)) == ["accelerator.library_mismatch"]


def test_a_stick_that_hangs_when_it_is_opened_is_given_up(
    examine: Callable[..., Examined], sticks: SimulatedSticks
) -> None:
    sticks["usb0"].create_us = -1
    assert "accelerator.hung_at_load" in kinds(examine(CAMERA, limit_s=3.0))


def test_a_stick_that_no_model_can_use_and_one_that_is_not_wanted_are_told(
    examine: Callable[..., Examined],
) -> None:
    assert kinds(examine(f'inference.model = "person_small"\n{CAMERA}')) == ["accelerator.no_pack"]
    assert kinds(examine(f'inference.edgetpu = "off"\n{CAMERA}')) == ["accelerator.unused"]


def test_a_place_without_a_stick_is_told(examine: Callable[..., Examined], twin: str) -> None:
    found = examine(f'inference.edgetpu = ["{USB}", "usb:1-3"]\n{twin}')
    assert kinds(found) == ["accelerator.absent"]
    assert found.findings[0].where == "usb:1-3"


def test_a_card_without_its_driver_is_told(
    made: MadeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x1ac1\n")
    made.write("sys/bus/pci/devices/0000:01:00.0/device", "0x089a\n")
    assert kinds(accelerator.judge_cards(made.machine)) == ["accelerator.no_driver"]
    monkeypatch.setattr("os.sysconf", lambda name: 16384)
    assert kinds(accelerator.judge_cards(made.machine)) == ["accelerator.large_pages"]
    made.write("dev/apex_0", "")
    assert kinds(accelerator.judge_cards(made.machine)) == []


def test_a_card_that_is_hot_is_told(made: MadeMachine) -> None:
    from camera_app.inference.edgetpu import Surveyed

    place = Place("pci:apex_0", Bus.PCI, "/dev/apex_0")
    for celsius, found in ((84.9, []), (85.0, ["accelerator.hot"])):
        stick = Surveyed(place, celsius, None, ())
        assert kinds(accelerator.judge_stick(made.subject(), stick)) == found


@pytest.mark.parametrize("kind", FindingKind)
def test_whatever_is_found_with_a_stick_has_a_line_to_type(
    made: MadeMachine, kind: FindingKind
) -> None:
    place = Place(USB, Bus.USB, "/dev/bus/usb/009/001")
    finding = accelerator.told(StickFinding(kind, USB, "what", "do it"), place, made.subject())
    expected = "failed" if kind is FindingKind.CLOSED else kind.value
    assert finding.kind == f"accelerator.{expected}"
    assert finding.line
