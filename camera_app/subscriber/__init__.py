"""A subscriber that keeps its place: exactly one copy of each change, and asks for what it missed.

It knows the wire and nothing of the camera's inside, so it shows what any other subscriber can do.
"""

from camera_app.subscriber.connection import BrokerAddress
from camera_app.subscriber.place import Stream, Told
from camera_app.subscriber.sinks import FileSink, ForwardSink, Sink, TextSink
from camera_app.subscriber.state import State, load_state, save_state
from camera_app.subscriber.subscriber import Subscriber, SubscriberStats, Wishes

__all__ = [
    "BrokerAddress",
    "FileSink",
    "ForwardSink",
    "Sink",
    "State",
    "Stream",
    "Subscriber",
    "SubscriberStats",
    "TextSink",
    "Told",
    "Wishes",
    "load_state",
    "save_state",
]
