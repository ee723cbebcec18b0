"""Finding, naming and opening sticks, as the real library does."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert.interpreter import load_delegate

from tests.edgetpu_sim.conftest import answers, load, load_on_cpu
from tools.edgetpu_sim.build import LIBRARY
from tools.edgetpu_sim.control import PrepMode
from tools.edgetpu_sim.sticks import SLOTS_VARIABLE, SimulatedStick, SimulatedSticks

REFUSAL = "Failed to load delegate from libedgetpu.so.1\n"


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def _listed(library: Path) -> list[tuple[int, str]]:
    plugin = ctypes.CDLL(str(library))
    plugin.edgetpu_list_devices.restype = ctypes.POINTER(_Device)
    plugin.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Device)]
    size = ctypes.c_size_t(99)
    found = plugin.edgetpu_list_devices(ctypes.byref(size))
    listed = [(found[i].type, found[i].path.decode()) for i in range(size.value)]
    plugin.edgetpu_free_devices(found)
    return listed


def _refuses(**options: object) -> bool:
    try:
        load_delegate(LIBRARY, options)
    except ValueError as error:
        return str(error) == REFUSAL
    return False


def test_the_library_says_that_it_is_simulated(library: Path) -> None:
    plugin = ctypes.CDLL(str(library))
    plugin.edgetpu_version.restype = ctypes.c_char_p

    assert b"SIMULATED" in plugin.edgetpu_version()
    plugin.edgetpu_verbosity(10)


def test_devices_are_listed_with_their_places(sticks: SimulatedSticks, library: Path) -> None:
    assert _listed(library) == [
        (0, "/dev/apex_0"),
        (1, "/sys/bus/usb/devices/9-1"),
        (1, "/sys/bus/usb/devices/9-2"),
    ]


def test_an_unplugged_device_is_not_listed(sticks: SimulatedSticks, library: Path) -> None:
    sticks["usb0"].unplug()
    sticks["pci0"].unplug()

    assert _listed(library) == [(1, "/sys/bus/usb/devices/9-2")]


def test_without_slots_there_is_no_device(
    sticks: SimulatedSticks, library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(SLOTS_VARIABLE, str(tmp_path / "nothing"))
    assert (_listed(library), _refuses()) == ([], True)

    monkeypatch.setenv(SLOTS_VARIABLE, "")
    assert (_listed(library), _refuses()) == ([], True)

    monkeypatch.delenv(SLOTS_VARIABLE)
    assert (_listed(library), _refuses()) == ([], True)


def test_a_file_that_is_no_control_file_is_no_device(
    sticks: SimulatedSticks, library: Path
) -> None:
    slots = sticks.folder / "control"
    (slots / "usb2").write_bytes(b"LTPUSIM1")  # too short
    (slots / "usb3").write_bytes(bytes(4096))  # no magic
    (slots / "usb").write_bytes((slots / "usb0").read_bytes())  # no number
    (slots / "usb4.new").write_bytes((slots / "usb0").read_bytes())

    assert len(_listed(library)) == 3


@pytest.mark.parametrize(
    ("device", "opened"),
    [
        ("", "pci0"),
        (":0", "pci0"),
        (":2", "usb1"),
        ("usb", "usb0"),
        ("usb:1", "usb1"),
        ("pci", "pci0"),
        ("pci:0", "pci0"),
    ],
)
def test_a_device_is_opened_by_its_number(
    sticks: SimulatedSticks, device: str, opened: str
) -> None:
    delegate = load_delegate(LIBRARY, {"device": device})

    assert [name for name, stick in sticks.items() if stick.is_open] == [opened]
    del delegate
    assert not sticks[opened].is_open


@pytest.mark.parametrize(
    "device", ["usb:2", ":3", "pci:1", "usb:", "usb:-1", "usb:0x0", "usb:0 ", "usb0", "tpu", ":"]
)
def test_a_device_that_names_nothing_is_refused(sticks: SimulatedSticks, device: str) -> None:
    assert _refuses(device=device)


@pytest.mark.parametrize("speed", ["Low", "Medium", "High", "Max"])
def test_known_options_are_taken(sticks: SimulatedSticks, speed: str) -> None:
    options: dict[str, Any] = {
        "Performance": speed,
        "Usb.AlwaysDfu": "True",
        "Usb.MaxBulkInQueueLength": "256",
    }

    load_delegate(LIBRARY, options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("Performance", "max"),
        ("Usb.AlwaysDfu", "1"),
        ("Usb.MaxBulkInQueueLength", "257"),
        ("Usb.MaxBulkInQueueLength", "many"),
        ("Pefrormance", "Max"),
    ],
)
def test_a_bad_option_is_refused_without_a_reason(
    sticks: SimulatedSticks, option: str, value: str
) -> None:
    assert _refuses(**{option: value})


def test_an_unplugged_stick_cannot_be_loaded_until_it_is_plugged(
    stick: SimulatedStick, compiled: Path
) -> None:
    stick.unplug()
    assert _refuses(device="/sys/bus/usb/devices/9-1")
    with pytest.raises(ValueError, match="Failed to load"):
        load(compiled, "usb:1")  # usb1 is the first one now

    stick.plug()
    answers(load(compiled))
    assert (stick.invokes, stick.opens) == (1, 1)


def test_any_stick_means_one_that_is_free(sticks: SimulatedSticks) -> None:
    with sticks["usb0"].occupied():
        delegate = load_delegate(LIBRARY, {"device": "usb"})

        assert sticks["usb1"].is_open
        assert _refuses(device="usb:0")
        del delegate


def test_a_process_shares_what_it_has_open(stick: SimulatedStick, compiled: Path) -> None:
    first, second = load(compiled), load(compiled)
    answers(first)
    answers(second)

    assert (stick.opens, stick.invokes) == (1, 2)
    del first
    assert stick.is_open
    answers(second)
    del second
    assert (stick.is_open, stick.owner_pid) == (False, 0)


def test_the_making_of_a_delegate_can_fail(stick: SimulatedStick) -> None:
    stick.create_fail = 1
    assert _refuses(device="usb:0")

    stick.create_fail = 0
    assert not _refuses(device="usb:0")
    assert not stick.is_open


def test_the_making_of_a_delegate_can_hang(stick: SimulatedStick, start_owner: Any) -> None:
    stick.create_us = -1
    owner = start_owner()
    while stick.opens == 0:
        assert owner.process.poll() is None
    assert owner.process.poll() is None

    stick.release()

    assert owner.says() == "ready"


def test_a_compiled_file_needs_the_delegate(compiled: Path) -> None:
    with pytest.raises(RuntimeError, match=r"unresolved custom op: edgetpu-custom-op"):
        load_on_cpu(compiled)


def test_a_model_for_a_newer_runtime_says_so(stick: SimulatedStick, compiled: Path) -> None:
    stick.prep_mode = PrepMode.NEEDS_NEWER_RUNTIME

    with pytest.raises(RuntimeError) as raised:
        load(compiled)

    assert "Package requires runtime version (15), which is newer" in str(raised.value)
    assert str(raised.value).endswith("(EdgeTpuDelegateForCustomOp) failed to prepare.")


def test_a_delegate_that_takes_no_model_says_so(stick: SimulatedStick, compiled: Path) -> None:
    stick.prep_mode = PrepMode.FAIL

    with pytest.raises(RuntimeError, match="SIMULATED: the delegate cannot take this model"):
        load(compiled)

    stick.prep_mode = PrepMode.WORK
    answers(load(compiled))


def test_a_library_that_does_not_match_takes_the_process_with_it(
    stick: SimulatedStick, start_owner: Any
) -> None:
    stick.prep_mode = PrepMode.CRASH

    owner = start_owner()

    assert owner.says() == ""
    assert owner.end()[0] == -11
