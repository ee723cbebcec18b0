"""What is made of what pip-audit says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import audit

CLEAN = {"name": "alpha", "version": "1.0", "vulns": []}
WEAK = {
    "name": "beta",
    "version": "2.0",
    "vulns": [{"id": "GHSA-1", "fix_versions": ["2.1"], "aliases": [], "description": "bad"}],
}
UNKNOWN = {"name": "gamma", "version": "3.0", "skip_reason": "not found"}


def verdict_on(*packages: dict[str, object]) -> audit.Verdict:
    verdict = audit.Verdict()
    verdict.take(json.dumps({"dependencies": list(packages), "fixes": []}))
    return verdict


def test_a_weakness_is_told_with_what_mends_it() -> None:
    verdict = verdict_on(CLEAN, WEAK)
    assert verdict.lines() == [
        "audit: beta 2.0: GHSA-1, mended in 2.1",
        "audit: 2 packages asked for",
    ]
    assert not verdict.is_whole


def test_what_the_database_does_not_know_is_named() -> None:
    verdict = verdict_on(CLEAN, UNKNOWN)
    assert verdict.lines()[0] == "audit: not in the database, so not audited: gamma 3.0"
    assert not verdict.is_whole


def test_all_clean_is_whole() -> None:
    assert verdict_on(CLEAN).is_whole


def test_a_database_that_knows_nothing_is_none() -> None:
    (line,) = verdict_on(UNKNOWN).lines()
    assert line.startswith("audit: the database cannot be reached: not audited")


def test_a_database_that_does_not_answer_in_time_is_given_up(tmp_path: Path) -> None:
    packages = tmp_path / "some.txt"
    packages.write_text("paho-mqtt==2.1.0\n")
    (line,) = audit.audit([packages], 0.01).lines()
    assert line.startswith("audit: the database cannot be reached: not audited (no answer on some")


def test_what_pip_audit_complains_of_is_passed_on(tmp_path: Path) -> None:
    """A list without versions: it ends before it asks anybody."""
    broken = tmp_path / "broken.txt"
    broken.write_text("paho-mqtt\n")
    verdict = audit.audit([broken], 60.0)
    assert verdict.audited == 0
    assert verdict.problems != []


def test_a_list_within_another_is_not_asked_for_twice() -> None:
    names = {path.name for path in audit.widest(sorted(audit.REQUIREMENTS.glob("*.txt")))}
    assert names == {"dev.txt", "workshop.txt"}


def test_what_was_clean_today_is_not_asked_for_again_but_tomorrow_or_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = tmp_path / "some.txt"
    packages.write_text("alpha==1.0\n")
    asked = []

    def ask(lists: list[Path], limit_s: float) -> audit.Verdict:
        asked.append(lists)
        return verdict_on(CLEAN)

    monkeypatch.setattr(audit, "STAMP", tmp_path / "audited")
    monkeypatch.setattr(audit, "audit", ask)
    monkeypatch.setattr("sys.argv", ["audit", str(packages)])
    assert [audit.main(), audit.main()] == [0, 0]
    assert "as asked before today" in capsys.readouterr().out
    packages.write_text("alpha==1.1\n")
    audit.main()
    assert len(asked) == 2


def test_a_weakness_fails_the_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(audit, "STAMP", tmp_path / "audited")
    monkeypatch.setattr(audit, "audit", lambda *_: verdict_on(WEAK))
    monkeypatch.setattr("sys.argv", ["audit"])
    assert audit.main() == 1
    assert not audit.STAMP.exists()
