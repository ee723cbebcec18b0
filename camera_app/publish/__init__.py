"""The way to the hub: topics, payloads, the window, and the thread that sends."""

from camera_app.publish.board import Notice, StateBoard
from camera_app.publish.client import Publisher, PublisherState, PublisherStats
from camera_app.publish.frigate import FrigateMirror
from camera_app.publish.hub import Hub
from camera_app.publish.incoming import Incoming
from camera_app.publish.mirroring import FreshEvents, MirroringBoard
from camera_app.publish.payloads import (
    CameraStatus,
    ConfigurationProblem,
    ConfigurationStatus,
    DeviceStatus,
    FallbackStatus,
    NetworkDevice,
    availability_message,
    configuration_message,
    count_message,
    fallback_message,
    ledger_message,
    motion_message,
    status_message,
)
from camera_app.publish.security import unencrypted_password_warning
from camera_app.publish.topics import Topics, level
from camera_app.publish.window import Window

__all__ = [
    "CameraStatus",
    "ConfigurationProblem",
    "ConfigurationStatus",
    "DeviceStatus",
    "FallbackStatus",
    "FreshEvents",
    "FrigateMirror",
    "Hub",
    "Incoming",
    "MirroringBoard",
    "NetworkDevice",
    "Notice",
    "Publisher",
    "PublisherState",
    "PublisherStats",
    "StateBoard",
    "Topics",
    "Window",
    "availability_message",
    "configuration_message",
    "count_message",
    "fallback_message",
    "ledger_message",
    "level",
    "motion_message",
    "status_message",
    "unencrypted_password_warning",
]
