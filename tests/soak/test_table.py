"""What people read at the end of a run, whatever came of it."""

from __future__ import annotations

from dataclasses import replace

from tools.soak.__main__ import table
from tools.soak.trial import Kill, Outcome

GOOD = Outcome(
    seconds=1200.0,
    cameras={"yard": "rtsp", "door": "file"},
    happened={"BROKER_AWAY": 8, "UNPLUG": 30},
    kills=(Kill("cam-yard", 1.0), Kill("cam-door", 2.0), Kill("tpu-usb0", 6.0)),
    exits=0,
    exit_code=0,
    changes=900,
    findings=(),
    tracebacks=0,
    growths=(),
    tree_mb=250.0,
    stick_answers=5000,
    frames=9000,
)


def test_a_good_run_has_nothing_to_complain_of() -> None:
    assert GOOD.problems() == []
    lines = table(GOOD)
    assert "| cameras | 2, of these over RTSP 1 |  |" in lines
    assert "| back after a kill | 2.0 s, at most 6.0 s |  |" in lines


def test_a_run_in_which_nothing_came_back_is_told_as_well() -> None:
    """It used to end in a mean of nothing, and the problems were never printed."""
    bad = replace(GOOD, kills=(Kill("cam-yard", None),))
    assert "| back after a kill | none came back |  |" in table(bad)
    assert bad.problems() == ["not back after a kill: cam-yard"]
