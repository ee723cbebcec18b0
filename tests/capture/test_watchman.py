"""In the child of a source: what is still is held back while the parent rests, and only then."""

from __future__ import annotations

import numpy as np

from camera_app.capture.watchman import Watchman
from camera_app.capture.wire import Attention, GateMeans
from camera_app.clock import NS_PER_S

MEANS = GateMeans(threshold=12, min_area_share=0.0005, background_s=10.0)
STEP_NS = NS_PER_S // 10
LONG_NS = 3600 * NS_PER_S


class Film:
    """Pictures ten times a second, shown to a watchman; a thing stands where it is told."""

    def __init__(self, attention: Attention) -> None:
        self.watchman = Watchman(show_every_s=0.5)
        self.watchman.heed(attention)
        self.now_ns = NS_PER_S

    def show(self, x: int | None = None) -> bool:
        """Show a picture; return whether it is brought."""
        luma = np.full((432, 768), 90, np.uint8)
        if x is not None:
            luma[100:200, x : x + 80] = 220
        self.now_ns += STEP_NS
        motion = self.watchman.motion_in(luma, self.now_ns)
        return not self.watchman.holds_back(motion, self.now_ns)

    def rest(self, until_ns: int = LONG_NS) -> None:
        self.watchman.heed(Attention(MEANS, until_ns))


def at_rest() -> Film:
    film = Film(Attention(MEANS))
    assert film.show()  # the first is all new
    film.rest()
    return film


def test_everything_is_brought_to_a_parent_that_does_not_rest() -> None:
    film = Film(Attention(MEANS))
    assert all(film.show() for _ in range(20))
    assert film.watchman.still == 0


def test_nothing_is_looked_for_unless_it_is_wanted() -> None:
    film = Film(Attention())
    luma = np.zeros((432, 768), np.uint8)
    assert film.watchman.motion_in(luma, film.now_ns) is None
    assert all(film.show() for _ in range(20))


def test_where_nobody_looks_two_in_a_second_are_brought_whatever_moves() -> None:
    film = Film(Attention(MEANS))
    film.watchman.heed(Attention(None, LONG_NS))
    luma = np.zeros((432, 768), np.uint8)
    assert film.watchman.motion_in(luma, film.now_ns) is None
    brought = [film.show(x) for x in range(50)]
    assert sum(brought) == 10
    assert film.watchman.still == brought.count(False)
    film.watchman.heed(Attention(MEANS))
    assert film.show(300)


def test_what_is_still_is_held_back_and_counted_but_for_two_in_a_second() -> None:
    film = at_rest()
    brought = [film.show() for _ in range(50)]
    assert sum(brought) == 10
    assert film.watchman.still == brought.count(False)


def test_what_moves_is_brought_at_once_and_so_is_all_that_follows() -> None:
    film = at_rest()
    assert not film.show()
    assert film.show(300)
    assert all(film.show(300) for _ in range(20))  # nobody has said that the parent rests again
    film.rest()
    assert film.show(340)


def test_a_rest_ends_with_its_time() -> None:
    film = at_rest()
    film.rest(film.now_ns + 3 * STEP_NS)
    assert [film.show() for _ in range(6)] == [False, False, True, True, True, True]


def test_a_rest_that_is_ended_or_begun_does_not_make_the_gate_forget() -> None:
    film = at_rest()
    film.watchman.heed(Attention(MEANS))
    assert film.show()
    film.rest()
    assert not film.show()  # a gate that began anew would say that all has changed
    assert film.show(300)


def test_another_gate_begins_anew() -> None:
    film = at_rest()
    assert not film.show()
    film.watchman.heed(Attention(GateMeans(200, 0.0005, 10.0), LONG_NS))
    assert film.show()
    film.watchman.heed(Attention(GateMeans(200, 0.0005, 10.0), LONG_NS))
    assert not film.show(300)  # less than its threshold
