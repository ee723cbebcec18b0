"""The file in the data folder that keeps what was set over MQTT."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from camera_app.config import CameraSettings
from camera_app.errors import StoreError
from camera_app.publish.settings import KeptSettings, Value, read_kept, value_of, with_kept
from camera_app.store.small_files import read_small, write_small

_log = logging.getLogger(__name__)

KEPT_NAME = "settings.json"
LIMIT_BYTES = 1_000_000


class KeptFile:
    """What was set, between two runs. Belongs to one thread at a time.

    Args:
        folder: The data folder.
        in_file: The cameras as the configuration file has them.
    """

    def __init__(self, folder: Path, in_file: Mapping[str, CameraSettings]) -> None:
        self._path = folder / KEPT_NAME
        self._in_file = dict(in_file)
        self._kept = KeptSettings()

    def load(self) -> dict[str, CameraSettings]:
        """Return the cameras as they were last set; a file that is damaged costs that, no more."""
        cameras, self._kept, notes = with_kept(self._in_file, self._read())
        for note in notes:
            _log.warning("a setting of before holds no longer: %s", note)
        for camera, settings in self._kept.cameras.items():
            for name, kept in settings.items():
                _log.info("camera %s: %s is %s, as was set over MQTT", camera, name, kept.value)
        return cameras

    def in_file(self, camera: str) -> CameraSettings:
        """Return a camera as the configuration file has it."""
        return self._in_file[camera]

    def keep(self, changed: Mapping[str, Mapping[str, Value]]) -> None:
        """Keep values over the next restart, by camera and setting.

        Raises:
            StoreError: It cannot be written; it is tried again with the next one.
        """
        for camera, settings in changed.items():
            for name, value in settings.items():
                in_file = value_of(self._in_file[camera], name)
                self._kept = self._kept.with_value(camera, name, value, in_file)
        write_small(self._path, self._kept.as_json())

    def _read(self) -> KeptSettings:
        try:
            text = read_small(self._path, LIMIT_BYTES)
            return KeptSettings() if text is None else read_kept(text)
        except (StoreError, ValueError) as error:
            _log.warning("what was set over MQTT is lost: %s: %s", self._path, error)
            return KeptSettings()
