"""Tracks in, events out. Pure: no thread, socket, file or clock inside."""

from camera_app.events.ids import RandomBits, event_id, random_bits, seeded_bits
from camera_app.events.life_cycle import LifeCycle, NewId
from camera_app.events.record import SCHEMA, Json, Record, box_record, canonical_json, change_record
from camera_app.events.zones import is_inside

__all__ = [
    "SCHEMA",
    "Json",
    "LifeCycle",
    "NewId",
    "RandomBits",
    "Record",
    "box_record",
    "canonical_json",
    "change_record",
    "event_id",
    "is_inside",
    "random_bits",
    "seeded_bits",
]
