"""What is told of parts that are not a camera's."""

from __future__ import annotations

import json
import socket

from camera_app.health import summary_of
from tests.assembly.conftest import Rig
from tests.waiting import wait_until

PORCH = """
[camera.porch]
source = "synthetic:"
"""


def test_a_port_of_the_metrics_that_is_taken_is_told_as_other_troubles_are(rig: Rig) -> None:
    """At once, not when the status is due; and that it is over, too."""

    def told() -> str | None:
        house = rig.running._house
        notice = house.board._notices.get(house.topics.status)
        return None if notice is None else json.loads(notice.payload)["metrics_trouble"]

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        rig.start(PORCH, f'[metrics]\nlisten = "127.0.0.1:{port}"')
        trouble = f"nothing can listen on 127.0.0.1:{port}: Address already in use"
        assert wait_until(lambda: told() == trouble)
        assert summary_of(rig.running.figures()).endswith(f"; no metrics: {trouble}")
    assert wait_until(lambda: told() == "")
