"""What `python -m tools.soak` says of words that make no run."""

from __future__ import annotations

import sys

import pytest

from tools.soak.__main__ import SHORTEST_MINUTES, main, wishes_for
from tools.soak.chaos import QUIET_FIRST_S, QUIET_LAST_S, plan


@pytest.mark.parametrize("minutes", ["0.3", "0", "-1", "nan", "inf", "many"])
def test_a_run_in_which_nothing_could_happen_is_refused_with_the_reason(
    minutes: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was planned with things that went wrong before the beginning."""
    words = ["soak", "--clip", "none.mkv", "--minutes", minutes]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"at least {SHORTEST_MINUTES} minutes" in capsys.readouterr().err


def test_in_the_shortest_run_all_happens_between_the_quiet_ends() -> None:
    wishes = wishes_for(SHORTEST_MINUTES)
    moments = [happening.at_s for happening in plan(wishes, seed=1)]
    assert len(moments) == wishes.kills + 2 * (wishes.outages + wishes.flaps)
    assert min(moments) >= QUIET_FIRST_S
    assert max(moments) <= wishes.seconds - QUIET_LAST_S
