"""What counts as refused for ever, and what passes or is mended."""

from __future__ import annotations

import pytest

from camera_app.publish.refusals import (
    ALONE_WITH_REASON,
    ALONE_WITHOUT_REASON,
    QUOTA_EXCEEDED,
    ROUNDS,
    SUSPECT_AFTER,
    WITHOUT_REASON_FOR_NS,
    Refusals,
)

TOO_LARGE = 0x95
TOPIC = "cam/front/event"


def refused_rounds(refusals: Refusals, count: int, *, others: bool, code: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for _ in range(count):
        refusals.refuse(1, TOPIC, code)
        if others:
            refusals.take(2, TOPIC)
        found = refusals.end_round()
    return found


def test_a_row_refused_again_and_again_while_others_are_taken_is_given_up() -> None:
    refusals = Refusals()

    assert refused_rounds(refusals, ROUNDS - 1, others=True, code=TOO_LARGE) == {}
    assert refused_rounds(refusals, 1, others=True, code=TOO_LARGE) == {1: TOO_LARGE}


def test_a_topic_that_is_refused_whole_waits_for_the_owner() -> None:
    assert refused_rounds(Refusals(), 50, others=False, code=0x87) == {}


def test_what_is_taken_on_another_topic_speaks_against_no_row() -> None:
    refusals = Refusals()
    for _ in range(50):
        refusals.refuse(1, TOPIC, 0x87)
        refusals.take(2, "cam/yard/event")
        assert refusals.end_round() == {}


def test_an_access_list_that_is_mended_meanwhile_gives_nothing_up() -> None:
    """In the round of the mending itself others are taken; only rounds in succession count."""
    refusals = Refusals()
    refused_rounds(refusals, 9, others=False, code=0x87)
    refused_rounds(refusals, 1, others=True, code=0x87)

    refusals.take(1, TOPIC)
    refusals.end_round()

    assert refused_rounds(refusals, ROUNDS - 1, others=True, code=0x87) == {}


def test_a_quota_passes_however_long_it_lasts() -> None:
    assert refused_rounds(Refusals(), 50, others=True, code=QUOTA_EXCEEDED) == {}


def test_a_row_with_which_connections_end_is_sent_alone_until_it_gets_through() -> None:
    refusals = Refusals()
    for _ in range(SUSPECT_AFTER):
        assert refusals.suspect is None
        refusals.lose([7, 8, 9], 0, 0)

    assert refusals.suspect == 7
    refusals.take(7, TOPIC)
    assert refusals.suspect is None


def test_a_broker_that_hangs_up_for_a_packet_and_says_so_never_takes_it() -> None:
    refusals = Refusals()
    found = [refusals.lose([7], TOO_LARGE, 0) for _ in range(ALONE_WITH_REASON)]

    assert found == [{}, {}, {7: TOO_LARGE}]
    assert refusals.suspect is None


@pytest.mark.parametrize("code", [0, 0x8B, 0x8D])
def test_a_network_that_breaks_for_minutes_at_one_row_gives_nothing_up(code: int) -> None:
    refusals = Refusals()
    for number in range(500):
        at_ns = number * (WITHOUT_REASON_FOR_NS - 1) // 500
        assert refusals.lose([7], code, at_ns) == {}


def test_a_broker_that_hangs_up_without_a_word_for_long_is_believed_in_the_end() -> None:
    refusals = Refusals()
    for number in range(ALONE_WITHOUT_REASON):
        assert refusals.lose([7], 0, number) == {}

    assert refusals.lose([7], 0, WITHOUT_REASON_FOR_NS) == {7: 0}


def test_connections_that_end_elsewhere_speak_for_a_row() -> None:
    refusals = Refusals()
    for _ in range(ALONE_WITH_REASON - 1):
        refusals.lose([7], TOO_LARGE, 0)
    refusals.lose([8], TOO_LARGE, 0)

    assert refusals.lose([7], TOO_LARGE, 0) == {}
