"""The parts of the trial with Home Assistant that decide something; `make ha` runs the rest."""

from __future__ import annotations

import json
from pathlib import Path

from tools.home_assistant.environments import EDITIONS, _requirements
from tools.home_assistant.hub import Hub
from tools.home_assistant.trial import Report, table

BEGINNING = "2025-01-01 10:00:00.000"


def integration(folder: Path, name: str, needs: list[str], depends: list[str]) -> None:
    (folder / name).mkdir()
    manifest = {"requirements": needs, "dependencies": depends}
    (folder / name / "manifest.json").write_text(json.dumps(manifest))


def test_what_an_integration_needs_is_found_through_what_it_depends_on(tmp_path: Path) -> None:
    integration(tmp_path, "mqtt", ["paho==1"], ["http"])
    integration(tmp_path, "http", ["cors==2"], ["mqtt"])
    integration(tmp_path, "other", ["never==1"], [])
    assert _requirements(tmp_path, ["mqtt"]) == {"paho==1", "cors==2"}


def test_a_complaint_about_our_messages_is_found_and_one_about_no_broker_is_not(
    tmp_path: Path,
) -> None:
    hub = Hub(tmp_path / "environment", tmp_path / "hub")
    ours = f"{BEGINNING} WARNING (MainThread) [homeassistant.components.mqtt.mixins] bad unit"
    (tmp_path / "hub" / "home-assistant.log").write_text(
        "\n".join(
            [
                ours,
                f"{BEGINNING} INFO (MainThread) [homeassistant.components.mqtt.client] hello",
                f"{BEGINNING} WARNING (MainThread) [homeassistant.components.mqtt.client] "
                "Disconnected from MQTT server 127.0.0.1:1 (7)",
                f"{BEGINNING} ERROR (MainThread) [homeassistant.components.camera] no library",
            ]
        )
    )
    assert hub.complaints() == [ours]


def test_the_table_has_every_figure_of_every_version() -> None:
    first = Report("1.0", "entity", (3, 3), {"a": 1.0})
    second = Report("2.0", "device", (4, 5), {"a": 2.0, "b": 0.5}, ["x"])
    assert list(table([first, second])) == [
        "| | 1.0, entity style | 2.0, device style |",
        "| --- | --- | --- |",
        "| entities made of those announced | 3 of 3 | 4 of 5 |",
        "| a | 1.00 s | 2.00 s |",
        "| b |  | 0.50 s |",
        "| complaints in its log about our messages | 0 | 1 |",
    ]


def test_each_edition_learns_in_a_style_that_it_knows() -> None:
    assert {edition.style for edition in EDITIONS} == {"entity", "device"}
