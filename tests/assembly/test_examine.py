"""What can be said of a configuration without starting anything."""

from __future__ import annotations

from pathlib import Path

from camera_app.assembly import examine
from camera_app.config import parse_config
from tests.rights import without_rights


def test_what_may_not_be_looked_at_is_told_and_ends_nothing(tmp_path: Path) -> None:
    """As for an owner who checks the file of the service, whose folder is closed to others."""
    closed = tmp_path / "closed"
    closed.mkdir()
    text = (
        f'data.folder = "{closed}/data"\nmqtt.password_file = "{closed}/password"\n'
        f'[camera.a]\nsource = "a.mp4"\npassword_file = "{tmp_path}/none"\n'
    )
    config = parse_config(text)
    told = {one.where: one.problem for one in examine(config).problems}
    assert told["mqtt.password_file"] == f"{closed}/password is not there"
    closed.chmod(0)
    with without_rights():
        told = {one.where: one.problem for one in examine(config).problems}
    closed.chmod(0o700)
    assert told["mqtt.password_file"] == f"{closed}/password cannot be read"
    assert told["data.folder"].endswith("cannot be written")
