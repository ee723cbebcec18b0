"""The reference says everything that the configuration's model says, and nothing else."""

from __future__ import annotations

import re
import tomllib

from camera_app.config import CameraSettings, Config, Section, parse_config
from camera_app.config_reference import CAMERA_NAME, example_toml, markdown, sections


def every_key(model: type[Section], path: str = "") -> set[str]:
    """Return every key below a model, tables left out, found by walking the classes."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inside = re.findall(r"camera_app\.config\.(\w+Settings)", str(field.annotation))
        place = f"{path}.{name}".lstrip(".")
        if inside:
            import camera_app.config as config_module

            found |= every_key(getattr(config_module, inside[0]), place)
        else:
            found.add(place)
    return found


def uncommented(text: str) -> str:
    """Return the example with every commented-out key and table switched on."""
    return re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)


def test_the_reference_has_every_key_of_the_model() -> None:
    listed = {
        f"{section.path}.{key.name}".lstrip(".") for section in sections() for key in section.keys
    }

    assert listed == every_key(Config)
    assert "camera.zones.inertia_s" in listed


def test_every_section_and_key_says_what_it_is_for() -> None:
    for section in sections():
        assert section.meaning.endswith(".")
        for key in section.keys:
            assert key.meaning.endswith("."), key.name


def test_the_example_loads_as_it_stands_and_changes_no_default() -> None:
    config = parse_config(example_toml())

    assert list(config.camera) == [CAMERA_NAME]
    source = config.camera[CAMERA_NAME].source
    assert config == Config(camera={CAMERA_NAME: CameraSettings(source=source)})


def test_the_example_loads_with_every_line_uncommented() -> None:
    text = uncommented(example_toml())
    config = parse_config(text)

    written = tomllib.loads(text)
    camera = written["camera"][CAMERA_NAME]
    assert len(camera["zones"]) == len(camera["privacy_masks"]) == 1
    assert config.camera[CAMERA_NAME].zones[0].name == "path"
    assert set(camera) == set(CameraSettings.model_fields)


def test_the_example_shows_each_default_as_it_is() -> None:
    uncommented_config = parse_config(uncommented(example_toml()))

    assert uncommented_config.retention == Config.model_fields["retention"].default
    assert uncommented_config.mqtt.window == 100


def test_the_page_shows_each_key_with_its_range_and_default() -> None:
    page = markdown()

    assert "## `[[camera.NAME.zones]]`" in page
    assert (
        "| `port` | whole number | `1883` | at least 1, at most 65535 | TCP port; 8883 is usual"
        in page
    )
    assert "| `source` | text | *required* | not empty |" in page
    assert '| `model` | text or list of text | `["person_large"]` | not empty |' in page
    assert '| `protocol` | choice | `"auto"` | `"auto"`, `"5"`, `"3.1.1"` |' in page
    assert "| `background_s` | number | `10.0` | above 0, at most 3600 |" in page
