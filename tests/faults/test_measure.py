"""The figures of a fault, from what was seen when."""

from __future__ import annotations

import pytest

from tools.faults.measure import Outcome, back_at_s, believed_s, blind_s, gaps
from tools.faults.rig import Heard

EVERY_TENTH = [number / 10 for number in range(100)]


def test_a_camera_that_sees_every_frame_is_not_blind() -> None:
    assert blind_s(EVERY_TENTH, 2.0, 8.0, 0.1) == 0.0


def test_a_gap_counts_less_the_frame_that_would_have_been_next() -> None:
    seen_s = [at_s for at_s in EVERY_TENTH if not 3.05 < at_s < 4.55]
    assert blind_s(seen_s, 2.0, 8.0, 0.1) == pytest.approx(1.5)
    assert max(gaps(seen_s, 2.0, 8.0)) == pytest.approx(1.6)


def test_one_frame_left_out_is_no_blindness() -> None:
    assert blind_s([at_s for at_s in EVERY_TENTH if at_s != 4.0], 2.0, 8.0, 0.1001) == 0.0


def test_nothing_seen_at_all_is_blind_all_the_time() -> None:
    assert blind_s([], 2.0, 8.0, 0.1) == pytest.approx(5.9)


def test_a_stick_is_back_when_it_gives_its_answers_again_and_not_at_the_first_one() -> None:
    """One answer a second while it is tried, ten from 5.0 on."""
    counts = [(at_s, int(at_s)) for at_s in EVERY_TENTH if at_s < 5.0]
    counts += [(at_s, 5 + round((at_s - 5.0) * 10)) for at_s in EVERY_TENTH if at_s >= 5.0]
    back_s = back_at_s(counts, 2.0, 10.0)
    assert back_s is not None
    assert 4.5 < back_s <= 5.0
    assert back_at_s(counts[:50], 2.0, 10.0) is None


def test_nonsense_is_believed_from_its_first_answer_until_the_stick_went() -> None:
    counts = [(0.0, 7), (1.0, 7), (1.2, 8), (1.3, 9)]
    assert believed_s(counts, [0.5, 1.6], 1.0, 4.0) == pytest.approx(0.4)
    assert believed_s(counts, [0.5], 1.0, 4.0) == pytest.approx(2.8)  # nobody noticed
    assert believed_s(counts[:2], [], 1.0, 4.0) == 0.0  # nobody asked it


def test_the_log_tells_what_was_seen_shed_and_lost() -> None:
    heard = Heard()
    heard.take("x DEBUG y: camera front: frame of 1500000000 seen at 1600000000", 9.0)
    heard.take("x DEBUG y: camera front: 3 frames shed: busy", 9.0)
    heard.take("x DEBUG y: camera front: 1 frames shed: late", 9.5)
    heard.take("x INFO z: Edge TPU usb:9-1 is in use", 9.6)
    heard.take("x WARNING z: Edge TPU usb:9-1 is not used any more, others look instead: o", 9.7)
    assert heard.seen_s == [1.6]
    assert heard.shed_since(9.2) == {"late": 1}
    assert heard.shed_since(0.0) == {"busy": 3, "late": 1}
    assert (heard.in_use_s, heard.lost_s, len(heard.lines)) == ([9.6], [9.7], 2)


def test_a_promise_is_kept_only_with_all_its_parts() -> None:
    assert Outcome("x", 0.9, 0.9, back_s=4.9).is_good()
    assert not Outcome("x", 1.1, 1.1, back_s=4.9).is_good()
    assert not Outcome("x", 0.0, 0.1, back_s=5.1).is_good()
    assert not Outcome("x", 0.0, 0.1, back_s=None).is_good()
    assert not Outcome("x", 0.0, 0.1, back_s=1.0, exits=1).is_good()
