"""Counts for automations."""

from __future__ import annotations

from camera_app.config import CameraSettings, EventSettings, ZoneSettings
from camera_app.health import occupancy, places_of
from camera_app.values import BestMoment, Box, Event, Size

CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
BOX = Box(0, 0, 1, 1)


def event(label: str, *zones: str) -> Event:
    best = BestMoment(0, BOX, 0.9)
    return Event("e", "front", label, 0, 0, BOX, 0.9, 0.9, best, Size(9, 9), zones)


def test_every_place_is_counted_from_the_first_moment() -> None:
    settings = CameraSettings(
        source="x",
        events=EventSettings(labels=("person", "dog")),
        zones=(
            ZoneSettings(name="mat", polygon=CORNERS),
            ZoneSettings(name="bed", polygon=CORNERS, labels=("dog",)),
        ),
    )
    places = places_of(settings, ["person", "dog", "cat"])
    assert occupancy(places, []) == {
        ("", "person"): 0,
        ("", "dog"): 0,
        ("mat", "person"): 0,
        ("mat", "dog"): 0,
        ("bed", "dog"): 0,
    }
    now = occupancy(places, [event("person", "mat"), event("person"), event("dog", "mat", "bed")])
    assert now == {
        ("", "person"): 2,
        ("", "dog"): 1,
        ("mat", "person"): 1,
        ("mat", "dog"): 1,
        ("bed", "dog"): 1,
    }


def test_what_no_model_finds_is_not_counted() -> None:
    settings = CameraSettings(
        source="x",
        events=EventSettings(labels=("person", "face")),
        zones=(ZoneSettings(name="mat", polygon=CORNERS, labels=("face", "person")),),
    )
    assert places_of(settings, ["person", "cat"]) == [("", "person"), ("mat", "person")]


def test_without_named_labels_all_that_the_model_knows_is_counted() -> None:
    settings = CameraSettings(source="x", events=EventSettings(labels=()))
    assert places_of(settings, ["person", "cat"]) == [("", "person"), ("", "cat")]
