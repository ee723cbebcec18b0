from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from camera_app.errors import DeviceError
from camera_app.inference.edgetpu import findings
from camera_app.inference.edgetpu.findings import Finding, FindingKind, StickFailed
from camera_app.inference.edgetpu.places import Bus, Place

PLACE = Place("usb:1-1", Bus.USB, "/dev/bus/usb/001/004", speed_mbit=12.0)
VALUES = {"place": "usb:1-1", "pack": "person", "limit_s": 0.25, "holder": 42}


def makers() -> dict[str, Finding]:
    """Every function that makes a finding, called."""
    made = {}
    for name, function in inspect.getmembers(findings, inspect.isfunction):
        if function.__annotations__.get("return") != "Finding":
            continue
        kinds = function.__annotations__
        given = {
            key: PLACE if kinds[key] == "Place" else VALUES.get(key, "the text")
            for key in inspect.signature(function).parameters
        }
        made[name] = function(**given)
    return made


def test_every_kind_has_a_maker() -> None:
    assert {finding.kind for finding in makers().values()} == set(FindingKind)


@pytest.mark.parametrize("name", makers())
def test_a_finding_says_what_where_and_mostly_what_to_do(name: str) -> None:
    finding = makers()[name]
    assert finding.where.startswith("usb:1-1")
    assert not finding.what.endswith(".")
    assert finding.remedy or name in {"closed", "unintelligible", "runtime_refused", "pack_refused"}
    assert Finding.from_json(finding.as_json()) == finding


def test_a_failure_is_a_device_error_with_the_sentence() -> None:
    failure = StickFailed(findings.busy("usb:1-1", 42))
    assert isinstance(failure, DeviceError)
    assert str(failure).startswith("usb:1-1: process 42 has this stick. A stick serves one")
    assert str(failure.finding) == str(failure)


def test_what_only_the_owner_can_change_is_known() -> None:
    assert findings.library_missing("usb:1-1", "").is_for_the_owner
    assert not findings.hung("usb:1-1", "person", 0.1).is_for_the_owner
    assert not findings.absent("usb:1-1").is_for_the_owner


def test_the_guide_has_every_kind() -> None:
    page = Path(__file__).parents[3] / "docs/guide/edge-tpu.md"
    told = re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(kind.value for kind in FindingKind)
