"""What each camera was given, and what it may take when the owner changes that."""

from __future__ import annotations

from camera_app.scheduling import CameraShare, Worth
from camera_app.scheduling.load import Request
from camera_app.scheduling.shares import FairShares

S = 10**9


def request(camera: str, at_ns: int) -> Request:
    return Request(at_ns, camera, 0, "person", next(iter(Worth)), at_ns, at_ns + S)


def turn(shares: FairShares, camera: str, at_ns: int) -> float:
    return shares.standing(request(camera, at_ns), at_ns)[1]


def test_another_weight_counts_from_the_next_turn_on() -> None:
    shares = FairShares({"front": CameraShare(weight=1.0, min_fps=1.0)})
    shares.charge(request("front", S), S, 100.0)
    assert turn(shares, "front", 2 * S) == 100.0
    shares.change({"front": CameraShare(weight=4.0, min_fps=1.0)})
    assert turn(shares, "front", 2 * S) == 100.0  # what it was given is not forgotten
    shares.charge(request("front", 2 * S), 2 * S, 100.0)
    assert turn(shares, "front", 3 * S) == 125.0


def test_a_camera_that_comes_later_has_rested_until_then() -> None:
    """Else it would take everything until it had caught up with those that were there."""
    shares = FairShares({"front": CameraShare()})
    for number in range(1, 6):
        shares.note_waiting({"front"})
        shares.charge(request("front", number * S), number * S, 100.0)
    shares.note_waiting({"front"})
    shares.change({"front": CameraShare(), "side": CameraShare()})
    assert turn(shares, "side", 6 * S) == turn(shares, "front", 6 * S) == 500.0


def test_a_camera_that_goes_and_comes_back_begins_anew() -> None:
    shares = FairShares({"front": CameraShare(), "side": CameraShare()})
    shares.charge(request("side", S), S, 100.0)
    shares.change({"front": CameraShare()})
    shares.change({"front": CameraShare(), "side": CameraShare()})
    assert turn(shares, "side", 2 * S) == 0.0
