"""The camera that Home Assistant is to live with."""

from __future__ import annotations

from pathlib import Path

from tools.service import Service

# A zone in which whoever comes is for longer than two seconds, and a line that some of them cross.
RULES = """
[[camera.front.zones]]
name = "mat"
polygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
loitering_s = 2.0
[[camera.front.lines]]
name = "middle"
points = [[0.5, 1.0], [0.5, 0.0]]
labels = ["person"]
"""


class Camera(Service):
    """The service with one camera."""

    def __init__(self, folder: Path, port: int, source: str) -> None:
        folder.mkdir(parents=True)
        self._folder, self._port, self._source = folder, port, source
        self._settings = folder / "camera.toml"
        self.configure()
        super().__init__(self._settings, folder / "camera.log")

    def configure(self, *, discovery: str = "device", has_rules: bool = True) -> None:
        """Write its configuration; takes effect with the next start."""
        self._settings.write_text(
            f"""device_id = "trial"
[data]
folder = "{self._folder / "data"}"
[mqtt]
host = "127.0.0.1"
port = {self._port}
snapshots = true
live_interval_s = 2.0
status_interval_s = 2.0
[home_assistant]
discovery = "{discovery}"
birth_delay_s = 1.0
[profile.away]
threshold = 0.45
[inference]
model = ["person_large", "face"]
cpu_seats = 1
edgetpu = "off"
[camera.front]
source = "{self._source}"
fps = 5
motion.hold_s = 1.0
{RULES if has_rules else ""}"""
        )
