from __future__ import annotations

import json
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from camera_app.errors import DeviceRefused, PackRejected
from camera_app.inference import load_classifier, trial
from camera_app.models import ModelPack
from tests.models.broken import BROKEN

LIKE = "vww_96"

MakePack = Callable[..., ModelPack]


@pytest.mark.shared
@pytest.mark.parametrize("name", BROKEN)
def test_broken_weights_are_refused_even_where_the_manifest_has_their_hash(
    shared: Path, make_pack: MakePack, name: str
) -> None:
    pack = make_pack(LIKE, (shared / "models/broken" / f"{name}.tflite").read_bytes())
    with pytest.raises(PackRejected) as refused:
        load_classifier(pack)
    assert str(pack.folder / pack.weights.file) in str(refused.value)


@pytest.fixture
def unknown(shared: Path, make_pack: MakePack) -> ModelPack:
    """A pack whose weights are good, and not those of the catalogue: a byte follows them."""
    return make_pack(LIKE, (shared / f"models/classify/{LIKE}.tflite").read_bytes() + b"\0")


@pytest.mark.shared
def test_unknown_weights_are_tried_once_and_then_trusted(
    unknown: ModelPack, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_classifier(unknown)
    (kept,) = (cache_home / "camera-app" / "trials").iterdir()
    assert unknown.sha256 in kept.name
    assert "ai-edge-litert-2" in kept.name
    assert json.loads(kept.read_text()) == {"accepted": True, "reason": ""}
    monkeypatch.setattr(trial, "hold_trial", no_second_trial)
    load_classifier(unknown)


def no_second_trial(*_: object) -> trial.Verdict:
    raise AssertionError("the verdict was kept, no second trial is needed")


@pytest.mark.shared
def test_a_refusal_is_kept_as_well(unknown: ModelPack, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = trial.Verdict(False, "the runtime crashed on them (SIGSEGV)")
    monkeypatch.setattr(trial, "hold_trial", lambda *_: crash)
    with pytest.raises(PackRejected, match="SIGSEGV"):
        load_classifier(unknown)
    monkeypatch.setattr(trial, "hold_trial", no_second_trial)
    with pytest.raises(PackRejected, match="failed a trial run: the runtime crashed on them"):
        load_classifier(unknown)


@pytest.mark.shared
def test_a_damaged_verdict_is_asked_for_again(unknown: ModelPack, cache_home: Path) -> None:
    load_classifier(unknown)
    (kept,) = (cache_home / "camera-app" / "trials").iterdir()
    kept.write_text('{"accepted": ')
    load_classifier(unknown)
    assert json.loads(kept.read_text())["accepted"] is True


@pytest.mark.shared
def test_without_a_cache_folder_the_trial_is_held_and_forgotten(
    unknown: ModelPack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert load_classifier(unknown).labels == ("no person", "person")


@pytest.mark.shared
def test_weights_of_the_catalogue_need_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    from camera_app.models import find_pack

    monkeypatch.setattr(trial, "hold_trial", no_second_trial)
    load_classifier(find_pack(LIKE))


def ended(code: int, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.CompletedProcess(["child"], code, b"", text)


def test_a_crash_is_a_verdict_about_the_weights() -> None:
    verdict = trial._judge(ended(-signal.SIGSEGV))
    assert verdict == trial.Verdict(False, "the runtime crashed on them (SIGSEGV)")


def test_a_refusal_is_a_verdict_with_its_reason() -> None:
    assert trial._judge(ended(trial.REFUSED, b"bad\n operator")) == trial.Verdict(
        False, "bad operator"
    )


def test_a_child_that_could_not_start_is_no_verdict() -> None:
    with pytest.raises(DeviceRefused, match="No module named"):
        trial._judge(ended(1, b"No module named numpy"))


def test_a_child_that_hangs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LIMIT_S", 0.001)
    verdict = trial.hold_trial(tmp_path / "none.tflite", "ai-edge-litert")
    assert not verdict.accepted
    assert "did not end" in verdict.reason


def with_giant_input(weights: bytes, side: int) -> bytes:
    """Return weights that say that their input is a picture of so many pixels squared."""
    old, new = ((1).to_bytes(4, "little") + 2 * n.to_bytes(4, "little") for n in (96, side))
    assert old in weights
    return weights.replace(old, new)


@pytest.mark.shared
def test_weights_that_want_the_machine_s_memory_are_refused_in_their_trial(
    shared: Path, make_pack: MakePack
) -> None:
    good = (shared / f"models/classify/{LIKE}.tflite").read_bytes()
    side = 40_000  # 4.8 GB for the input alone
    pack = make_pack(LIKE, with_giant_input(good, side))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PackRejected):
        load_classifier(pack)
    grown_bytes = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown_bytes < trial.MEMORY_LIMIT_BYTES / 4


def test_a_trial_is_held_under_a_memory_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial's own process, its work replaced by a look at its limits."""
    limits = []
    monkeypatch.setattr(trial, "bound_memory", limits.append)
    with pytest.raises((PackRejected, DeviceRefused)):
        trial.main([str(tmp_path / "none.tflite"), "no-such-runtime"])
    assert limits == [trial.MEMORY_LIMIT_BYTES]
