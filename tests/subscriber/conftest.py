"""The broker, cameras and readers of the publisher's tests."""

from tests.publish.conftest import broker, camera, subscribe

__all__ = ["broker", "camera", "subscribe"]
