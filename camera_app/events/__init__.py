"""Tracks in, events out. Pure: no thread, socket, file or clock inside."""

from camera_app.events.record import SCHEMA, Json, Record, box_record, canonical_json, change_record

__all__ = ["SCHEMA", "Json", "Record", "box_record", "canonical_json", "change_record"]
