"""What is read in small files of the kernel."""

from __future__ import annotations

import platform
from pathlib import Path

from camera_app.kernel import processor_name
from tests.made_files import MadeFiles


def test_a_board_has_a_name_else_the_processor_has_one(tmp_path: Path) -> None:
    made = MadeFiles(tmp_path)
    assert processor_name(tmp_path) == platform.machine()
    made.write("cpuinfo", "processor\t: 0\nmodel name\t: Made: up\n\nmodel name\t: Another\n")
    assert processor_name(tmp_path) == "Made: up"
    made.write("device-tree/model", "Raspberry Pi 4 Model B Rev 1.5\0")
    assert processor_name(tmp_path) == "Raspberry Pi 4 Model B Rev 1.5"
