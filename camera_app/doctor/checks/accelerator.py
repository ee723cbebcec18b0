"""Edge TPUs: presence, driver, cable, permission, library, and an exam of those that are free.

A stick that is in use is looked at from outside only: by the service, or by a program of others,
which would lose it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from camera_app.config import ALL_STICKS, NO_STICK, Config
from camera_app.doctor.checks.models import packs_of
from camera_app.doctor.findings import Finding, Kind
from camera_app.doctor.machine import Machine
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.errors import CameraAppError
from camera_app.inference.edgetpu import (
    Bus,
    FindingKind,
    Place,
    StickFailed,
    Surveyed,
    Trial,
    library_version,
    survey_sticks,
    try_out,
)
from camera_app.inference.edgetpu import Finding as StickFinding
from camera_app.models import ModelPack, find_pack
from camera_app.threads import Deadline

MARGIN_S = 1.0  # of the check's time, for closing and telling
USB3_MBIT = 5000.0
HOT_C = 85.0  # at which the driver of cards begins to slow them down
# Vendor and product of a card on the PCIe bus.
PCI_IDS = ("0x1ac1", "0x089a")
SMALL_PAGE_BYTES = 4096

_kinds = Kinds("accelerator")
_REPLUG = "camera-app devices --probe"
ABSENT = _kinds.error(
    FindingKind.ABSENT,
    "the configuration names a place, and no Edge TPU is in it",
    "Plug it in, or correct the place",
    "camera-app devices",
)
BUSY = _kinds.error(
    FindingKind.BUSY,
    "another process has the stick",
    "A stick serves one program: end the other one, or give each a stick of its own",
    "sudo fuser -v <device>",
)
NO_DRIVER = _kinds.error(
    "no_driver",
    "a card is in the PCIe slot, and its driver is not loaded: there is no /dev/apex_0",
    "Install the driver gasket (apex) for this kernel, and restart",
    "sudo apt-get install -y gasket-dkms && sudo reboot",
)
LARGE_PAGES = _kinds.error(
    "large_pages",
    "a card is in the PCIe slot, and this kernel has memory pages of 16 KB, which its driver does "
    "not work with",
    "Boot the kernel with pages of 4 KB",
    "echo 'kernel=kernel8.img' | sudo tee -a /boot/firmware/config.txt && sudo reboot",
)
LIBRARY_MISSING = _kinds.error(
    FindingKind.LIBRARY_MISSING,
    "a stick is there, and the library libedgetpu.so.1 cannot be loaded",
    "Install libedgetpu, as docs/guide/edge-tpu.md tells",
    "ldconfig -p | grep edgetpu",
)
LIBRARY_MISMATCH = _kinds.error(
    FindingKind.LIBRARY_MISMATCH,
    "the library crashes, or is not what it should be: it was built for another runtime",
    "Install a build for TensorFlow 2.16 or newer, as docs/guide/edge-tpu.md tells",
    "dpkg -l 'libedgetpu*'",
)
NEWER_RUNTIME_NEEDED = _kinds.error(
    FindingKind.NEWER_RUNTIME_NEEDED,
    "a model was compiled for a newer library",
    "Install a newer libedgetpu, or compile the model for an older one",
    "dpkg -l 'libedgetpu*'",
)
WRONG_CABLE = _kinds.error(
    FindingKind.WRONG_CABLE,
    "the stick is connected more slowly than USB 2",
    "Use the cable that came with it, in a USB 3 port, without an old hub between",
    "lsusb -t",
)
USB2 = _kinds.warning(
    "usb2",
    "the stick is connected at USB 2 speed: it works, at about half its speed",
    "Use a blue USB 3 port, and a cable for USB 3",
    "lsusb -t",
)
NO_PERMISSION = _kinds.error(
    FindingKind.NO_PERMISSION,
    "this user may not use the stick's device file",
    "Install the udev rule that comes with libedgetpu, add the user to the group, plug it in again",
    "sudo usermod -aG plugdev <user> && sudo udevadm control --reload && sudo udevadm trigger",
)
HUNG_AT_LOAD = _kinds.error(
    FindingKind.HUNG_AT_LOAD,
    "the stick was not ready in time",
    "Plug it out and in; if it stays: cable, power, port",
    _REPLUG,
)
HUNG = _kinds.error(
    FindingKind.HUNG,
    "an answer of the stick did not come in time",
    "Plug it out and in; if it stays: cable, power, port",
    _REPLUG,
)
DIED = _kinds.error(
    FindingKind.DIED,
    "the library ended its process, as it does when the connection breaks",
    "Use another cable, and a port or hub with a supply of its own",
    "journalctl -k --grep 'usb|apex' -n 30",
)
FAILED = _kinds.error(
    FindingKind.FAILED,
    "the library reported an error",
    "Plug it out and in; if it stays: cable, power, port",
    _REPLUG,
)
REFUSED = _kinds.error(
    FindingKind.REFUSED,
    "the library does not open the stick, and does not say why",
    "End other programs that may have it; plug it out and in",
    "sudo fuser -v <device>",
)
PACK_REFUSED = _kinds.error(
    FindingKind.PACK_REFUSED,
    "a pack cannot run on the stick: its file is missing or wrong",
    "Get the pack anew",
    "camera-app models verify",
)
TWINS_DISAGREE = _kinds.error(
    FindingKind.TWINS_DISAGREE,
    "the two files of a pack are not one network",
    "Compile the file of this very pack, and put both into it",
    "camera-app models verify",
)
WRONG_ANSWERS = _kinds.error(
    FindingKind.WRONG_ANSWERS,
    "the stick does not give the known answers of a pack",
    "Plug it out and in; if it stays, the stick is broken",
    _REPLUG,
)
HOT = _kinds.warning(
    "hot",
    "the chip of a card has 85 °C or more, and slows down",
    "Give it air, or a lower clock: inference.edgetpu_performance",
    "cat /sys/class/apex/apex_*/temp",
)
NO_PACK = _kinds.warning(
    "no_pack",
    "a stick is plugged in, and no model that the configuration names has a file for it",
    "Name a pack that has one; docs/guide/model-workshop.md tells how to make one",
    "camera-app models list",
)
UNUSED = _kinds.note(
    "unused",
    "a stick is plugged in, and the configuration does not use it",
    'Write inference.edgetpu = "auto", or leave it so',
    "${EDITOR:-nano} <config>",
)

_BY_KIND: dict[FindingKind, Kind] = {
    FindingKind(kind.name.partition(".")[2]): kind
    for kind in _kinds.made
    if kind.name.partition(".")[2] in FindingKind.__members__.values()
}


@dataclass(frozen=True, slots=True)
class Use:
    """Whether somebody has a stick.

    Attributes:
        is_service: It is the running camera.
        is_other: It is some other program.
    """

    is_service: bool = False
    is_other: bool = False


def examine(subject: Subject) -> Examined:
    """Survey all sticks, and examine those that are free."""
    machine, config, deadline = subject.machine, subject.config, Deadline(subject.limit_s)
    sticks = survey_sticks()
    findings = [*judge_cards(machine), *judge_places(config, sticks)]
    if not sticks:
        return Examined(("no Edge TPU is plugged in",), tuple(findings))
    wanted = [stick for stick in sticks if is_wanted(config, stick.place)]
    facts = [_described(stick) for stick in sticks]
    findings += [_unused(subject, stick) for stick in sticks if stick not in wanted]
    for stick in wanted:
        findings += judge_stick(subject, stick)
    if wanted:
        library_facts, library_findings = _library(subject)
        facts += library_facts
        findings += library_findings
    if wanted and not any(map(_forbids_exam, findings)):
        packs = _packs(config)
        findings += judge_packs(packs, wanted)
        for stick in wanted:
            facts_of_exam, found = _examined(subject, stick, packs, deadline)
            facts += facts_of_exam
            findings += found
    return Examined(tuple(facts), tuple(dict.fromkeys(findings)))


def is_wanted(config: Config | None, place: Place) -> bool:
    """Say whether the configuration has a stick used."""
    words = config.inference.edgetpu if config is not None else (ALL_STICKS,)
    return ALL_STICKS in words or place.name in words


def judge_cards(machine: Machine) -> Iterator[Finding]:
    """Say whether a card is in the machine that has no driver."""
    cards = [
        device
        for device in machine.entries("sys/bus/pci/devices")
        if (
            machine.text(f"sys/bus/pci/devices/{device}/vendor"),
            machine.text(f"sys/bus/pci/devices/{device}/device"),
        )
        == PCI_IDS
    ]
    if cards and not any(machine.entries("dev", "apex_")):
        if os.sysconf("SC_PAGE_SIZE") != SMALL_PAGE_BYTES:
            yield LARGE_PAGES.found("the driver cannot work with this kernel", where=cards[0])
        else:
            yield NO_DRIVER.found("the driver of the card is not loaded", where=cards[0])


def judge_places(config: Config | None, sticks: tuple[Surveyed, ...]) -> Iterator[Finding]:
    """Say which places of the configuration are empty."""
    there = {stick.place.name for stick in sticks}
    for word in config.inference.edgetpu if config is not None else ():
        if word not in (ALL_STICKS, NO_STICK) and word not in there:
            yield ABSENT.found("no Edge TPU is in this place", where=word)


def judge_stick(subject: Subject, stick: Surveyed) -> Iterator[Finding]:
    """Judge what is seen of a stick from outside."""
    place = stick.place
    for finding in stick.findings:
        yield told(finding, place, subject)
    if place.speed_mbit is not None and not place.is_too_slow and place.speed_mbit < USB3_MBIT:
        what = f"it is connected at {place.speed_mbit:g} Mbit/s"
        yield USB2.found(what, where=place.name)
    if stick.temperature_c is not None and stick.temperature_c >= HOT_C:
        yield HOT.found(f"it has {stick.temperature_c:.1f} °C", where=place.name)


def judge_packs(packs: list[ModelPack], sticks: list[Surveyed]) -> Iterator[Finding]:
    """Say whether no model can use the sticks."""
    if packs and not any(pack.edgetpu for pack in packs):
        names = ", ".join(pack.name for pack in packs)
        yield NO_PACK.found(f"{names}: none has a file for it", where=sticks[0].place.name)


def use_of(machine: Machine, stick: Surveyed, *, service_runs: bool) -> Use:
    """Say who has a stick, as far as the kernel tells."""
    place = stick.place
    if stick.used_by is not None:
        return Use(is_service=True)
    if place.bus is Bus.PCI:
        is_owned = machine.text(f"sys/class/apex/{place.port}/is_device_owned") == "1"
        return Use(is_service=service_runs, is_other=is_owned and not service_runs)
    drivers = {
        _driver(machine, name) for name in machine.entries("sys/bus/usb/devices", f"{place.port}:")
    }
    # A program that has the stick has claimed its interface; the kernel calls that usbfs. While
    # the service runs it may open the stick any moment: it is not ours to try.
    is_claimed = "usbfs" in drivers
    return Use(is_service=service_runs, is_other=is_claimed and not service_runs)


def told(finding: StickFinding, place: Place, subject: Subject) -> Finding:
    """Return what the house of the sticks found, as a finding of ours."""
    kind = _BY_KIND.get(finding.kind, FAILED)
    user = subject.user
    device = place.device_file
    where = finding.where or place.name
    return kind.found(finding.what, where=where, remedy=finding.remedy, user=user, device=device)


def _driver(machine: Machine, interface: str) -> str:
    return Path(machine.link(f"sys/bus/usb/devices/{interface}/driver")).name


def _unused(subject: Subject, stick: Surveyed) -> Finding:
    config = subject.config_argument
    return UNUSED.found("the configuration does not use it", where=stick.place.name, config=config)


def _library(subject: Subject) -> tuple[list[str], list[Finding]]:
    try:
        return [f"library {library_version(subject.limit_s / 2)}"], []
    except StickFailed as failure:
        place = Place(failure.finding.where, Bus.USB, "/dev/bus/usb")
        return [], [told(failure.finding, place, subject)]


def _forbids_exam(finding: Finding) -> bool:
    """Say whether an exam would only find the same again."""
    return finding.kind in (LIBRARY_MISSING.name, LIBRARY_MISMATCH.name, NO_PERMISSION.name)


def _packs(config: Config | None) -> list[ModelPack]:
    """Return the packs of the configuration that can be read; others are another check's."""
    trusted = config.models.trusted_keys if config is not None else ()
    found = []
    for name in packs_of(config):
        try:
            found.append(find_pack(name, trusted))
        except CameraAppError:
            continue
    return found


def _examined(
    subject: Subject, stick: Surveyed, packs: list[ModelPack], deadline: Deadline
) -> tuple[list[str], list[Finding]]:
    use = use_of(subject.machine, stick, service_runs=subject.service.is_running)
    name = stick.place.name
    if use.is_service:
        return [f"{name}: not opened, the service may have it"], []
    if use.is_other:
        device = stick.place.device_file
        return [], [BUSY.found("another program has this stick", where=name, device=device)]
    fitting = [pack for pack in packs if pack.edgetpu]
    limit_s = max(1.0, deadline.remaining_s() - MARGIN_S)
    trial = try_out(stick.place, fitting, open_limit_s=limit_s)
    return [_described_trial(name, trial)], [
        told(finding, stick.place, subject) for finding in trial.findings
    ]


def _described(stick: Surveyed) -> str:
    place = stick.place
    speed = f", {place.speed_mbit:g} Mbit/s" if place.speed_mbit is not None else ""
    heat = f", {stick.temperature_c:.1f} °C" if stick.temperature_c is not None else ""
    return f"{place.name}: {place.product or 'Edge TPU'}{speed}{heat}"


def _described_trial(name: str, trial: Trial) -> str:
    if trial.findings:
        return f"{name}: the exam failed"
    times = "".join(f", {pack} in {ms:.1f} ms" for pack, ms in trial.invoke_ms.items())
    return f"{name}: opened in {trial.open_s:.1f} s{times}"


CHECK = Check(
    "accelerator",
    "Edge TPUs: driver, cable, library, and an exam of free ones",
    examine,
    _kinds.made,
)
