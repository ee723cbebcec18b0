"""The service as a trial starts it, again and again: `camera-app run`, its output in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from camera_app.bench.running import run_words
from tools.processes import Program


class Service(Program):
    """`camera-app run`.

    Args:
        config: Its configuration; read at each start.
        output: Where its log goes.
        environment: What its environment has beside ours.
    """

    def __init__(
        self, config: Path, output: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(run_words(config), output, environment)
