"""A configuration is checked whole: every mistake is named, with its line and a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from camera_app.config import (
    RESERVED_CAMERA_NAMES,
    Config,
    MqttSettings,
    dotted,
    key_lines,
    load_config,
    parse_config,
    signed_area,
)
from camera_app.errors import ConfigError, Problem
from camera_app.models import PrivateKey

CAMERA = '[camera.front]\nsource = "clip.mp4"\n'


def problems_of(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return list(caught.value.problems)


def test_a_camera_with_a_source_is_a_whole_configuration() -> None:
    config = parse_config(CAMERA)

    assert config.camera["front"].source == "clip.mp4"
    assert config.mqtt.port == 1883
    assert config.data.folder == Path("/var/lib/camera-app")


def test_three_mistakes_in_one_file_are_all_named_with_line_and_suggestion() -> None:
    text = """\
device_id = "porch"

[mqtt]
hosst = "hub.lan"
port = 70000

[camera.front]
source = "rtsp://porch"

[[camera.front.zones]]
name = "path"
polygon = [[0.1, 0.5], [0.9, 0.5]]
"""
    assert [str(problem) for problem in problems_of(text)] == [
        "line 4: mqtt.hosst: no such key (did you mean 'host'?)",
        "line 5: mqtt.port: input should be less than or equal to 65535, got 70000",
        "line 12: camera.front.zones[0].polygon: needs at least 3 entries, got 2",
    ]


def test_a_wrong_file_is_refused_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "camera.toml"
    file.write_text(CAMERA + "fbs = 5\n")

    with pytest.raises(ConfigError, match="did you mean 'fps'") as caught:
        load_config(file)
    assert caught.value.where == str(file)


def test_a_file_that_cannot_be_read_is_a_problem_of_the_file(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")

    for path in (tmp_path / "absent.toml", tmp_path, binary):
        with pytest.raises(ConfigError, match="file: cannot be read") as caught:
            load_config(path)
        assert caught.value.__cause__ is not None


def test_a_syntax_error_is_named_with_its_line() -> None:
    [problem] = problems_of('[mqtt]\nhost = "hub.lan\n' + CAMERA)

    assert problem.line == 2
    assert problem.problem.startswith("is not TOML: ")


@pytest.mark.parametrize(
    ("text", "place", "suggestion"),
    [
        (CAMERA + "sorce = 'x'\n", "camera.front.sorce", "did you mean 'source'?"),
        (
            CAMERA + "[camera.front.motion]\ntreshold = 5\n",
            "camera.front.motion.treshold",
            "did you mean 'threshold'?",
        ),
        (
            CAMERA + "[[camera.front.zones]]\nname='a'\npolygon=[[0,0],[1,0],[1,1]]\nlabel=['cat']",
            "camera.front.zones[0].label",
            "did you mean 'labels'?",
        ),
        ("[log]\nzzz = 1\n" + CAMERA, "log.zzz", "known here: level"),
        ("[motion]\n" + CAMERA, "motion", "known here: device_id, data, mqtt, inference"),
    ],
)
def test_an_unknown_key_is_answered_with_what_was_probably_meant(
    text: str, place: str, suggestion: str
) -> None:
    [problem] = problems_of(text)

    assert problem.where == place
    assert problem.suggestion.startswith(suggestion)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("device_id = 'a'\n", "camera", "is missing"),
        ("[camera.front]\nfps = 5\n", "camera.front.source", "is missing"),
        ("[camera]\n", "camera", "needs at least 1 entry, got 0"),
        ("[camera.Front]\nsource = 'x'\n", "camera.Front", "match pattern"),
        ("[camera.status]\nsource = 'x'\n", "camera", "'status' is a topic of the device itself"),
        (CAMERA + "fps = 0\n", "camera.front.fps", "greater than 0, got 0"),
        (CAMERA + "enabled = 'maybe'\n", "camera.front.enabled", "got 'maybe'"),
        ("[mqtt]\nbase_topic = 'a/#'\n" + CAMERA, "mqtt.base_topic", "pattern"),
        (
            "[mqtt]\nclient_key_file = 'key.pem'\n" + CAMERA,
            "mqtt",
            "client_certificate_file and client_key_file go together",
        ),
        (
            CAMERA + "[[camera.front.privacy_masks]]\npolygon = [[0,0],[1,1],[0.5,0.5]]\n",
            "camera.front.privacy_masks[0].polygon",
            "polygon has no area",
        ),
        (
            CAMERA + "[[camera.front.privacy_masks]]\npolygon = [[0,0],[1,0],[1,2]]\n",
            "camera.front.privacy_masks[0].polygon[2][1]",
            "less than or equal to 1, got 2",
        ),
        (
            CAMERA + "[[camera.front.zones]]\nname='a'\npolygon=[[0,0],[1,0],[1,1]]\n" * 2,
            "camera.front.zones",
            "two zones are named a",
        ),
        (
            CAMERA + "[[camera.front.lines]]\nname='a'\npoints=[[0,0],[1,0]]\n" * 2,
            "camera.front.lines",
            "two lines are named a",
        ),
        (
            CAMERA + "[[camera.front.lines]]\nname='a'\npoints=[[0,0],[0,0]]\n",
            "camera.front.lines[0].points",
            "two points that follow each other are the same",
        ),
        (
            CAMERA + "[[camera.front.lines]]\nname='a'\npoints=[[0,0]]\n",
            "camera.front.lines[0].points",
            "needs at least 2 entries, got 1",
        ),
        (
            CAMERA + "[[camera.front.zones]]\nname='a'\npolygon=[[0,0],[1,0],[1,1]]\n"
            "loitering_repeat_s = 5",
            "camera.front.zones[0]",
            "loitering_repeat_s repeats what only loitering_s tells",
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_is_wrong(text: str, place: str, words: str) -> None:
    [problem] = problems_of(text)

    assert problem.where == place
    assert words in problem.text


@pytest.mark.parametrize("name", sorted(RESERVED_CAMERA_NAMES))
def test_a_camera_cannot_take_the_name_of_a_topic(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is a topic"):
        parse_config(f"[camera.{name}]\nsource = 'x'\n")


def test_a_section_never_changes() -> None:
    config = parse_config(CAMERA)

    with pytest.raises(ValidationError, match="frozen"):
        config.mqtt.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "uses_tls"),
    [
        (MqttSettings(), False),
        (MqttSettings(tls=True), True),
        (MqttSettings(ca_file=Path("ca.pem")), True),
        (MqttSettings(client_certificate_file=Path("c"), client_key_file=Path("k")), True),
    ],
)
def test_tls_is_on_by_itself_when_certificates_are_given(
    settings: MqttSettings, uses_tls: bool
) -> None:
    assert settings.uses_tls is uses_tls


def test_lines_are_known_for_tables_keys_and_each_table_of_an_array() -> None:
    text = """\
device_id = "a"   # first
[camera.front]    # a camera
source = '''
not_a_key'''
"quoted" = 1
[[camera.front.zones]]
name = "a"
[[camera.front.zones]]
name = "b"
polygon = [
  [0, 0],
  [1, 1]
]
inertia_s = 1
[camera.back]
motion.threshold = 5
"""
    lines = key_lines(text)

    assert lines["device_id"] == 1
    assert lines["camera.front"] == 2
    assert lines["camera.front.source"] == 3
    assert lines["camera.front.quoted"] == 5
    assert lines["camera.front.zones"] == 6
    assert lines["camera.front.zones[0].name"] == 7
    assert lines["camera.front.zones[1]"] == 8
    assert lines["camera.front.zones[1].polygon"] == 10
    assert lines["camera.front.zones[1].inertia_s"] == 14
    assert lines["camera.back.motion.threshold"] == 16


def test_a_path_is_written_as_an_owner_would() -> None:
    assert dotted(("camera", "front", "zones", 1, "polygon")) == "camera.front.zones[1].polygon"
    assert dotted(()) == ""


def test_the_signed_area_turns_with_the_direction() -> None:
    square = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

    assert signed_area(square) == 2.0
    assert signed_area(tuple(reversed(square))) == -2.0


def test_every_key_says_what_it_is_for() -> None:
    schema = Config.model_json_schema()
    undocumented = [
        f"{section}.{key}"
        for section, definition in schema["$defs"].items()
        for key, entry in definition["properties"].items()
        if "description" not in entry and "$ref" not in entry
    ]

    assert undocumented == []


@pytest.mark.parametrize("key", ["", "ed25519:AAAA", "A" * 43 + "=", f"ed25519:{'A' * 42}B="])
def test_a_trusted_key_that_is_none_is_named(key: str) -> None:
    text = f'[models]\ntrusted_keys = ["{key}"]\n[camera.a]\nsource = "x"\n'
    with pytest.raises(ConfigError, match=r"line 2: models\.trusted_keys\[0\]"):
        parse_config(text)


def test_a_trusted_key_as_it_is_printed_is_taken(signing_key: PrivateKey) -> None:
    text = f'[models]\ntrusted_keys = ["{signing_key.public}"]\n[camera.a]\nsource = "x"\n'
    assert parse_config(text).models.trusted_keys == (signing_key.public,)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"face"', ("face",)),
        ('["face"]', ("face",)),
        ('["person_large", "face"]', ("person_large", "face")),
    ],
)
def test_one_model_needs_no_list_and_several_are_one(written: str, meant: tuple[str, ...]) -> None:
    config = parse_config(f"[inference]\nmodel = {written}\n{CAMERA}model = {written}\n")

    assert config.inference.model == config.camera["front"].model == meant


def test_a_camera_without_a_model_leaves_it_to_inference() -> None:
    for text in (CAMERA, f'{CAMERA}model = ""\n', f"{CAMERA}model = []\n"):
        assert parse_config(text).camera["front"].model == ()


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ('""', "line 2: inference.model: needs at least 1 entry, got 0"),
        ("[]", "line 2: inference.model: needs at least 1 entry, got 0"),
        ('["face", ""]', "line 2: inference.model[1]: string should have at least 1 character"),
        ("3", "line 2: inference.model: input should be a valid tuple, got 3"),
    ],
)
def test_a_model_that_is_no_name_is_named(written: str, complaint: str) -> None:
    [problem] = problems_of(f"[inference]\nmodel = {written}\n{CAMERA}")

    assert complaint in str(problem)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"auto"', ("auto",)),
        ('"off"', ("off",)),
        ('"usb:1-1.4"', ("usb:1-1.4",)),
        ('["usb:1-1.4", "pci:apex_0"]', ("usb:1-1.4", "pci:apex_0")),
    ],
)
def test_an_edge_tpu_is_named_by_its_place(written: str, meant: tuple[str, ...]) -> None:
    config = parse_config(f"[inference]\nedgetpu = {written}\n{CAMERA}")

    assert config.inference.edgetpu == meant


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ('"tpu"', "names no Edge TPU: expected 'auto', 'off' or a place such as 'usb:1-1.4'"),
        ('["usb:0"]', "names no Edge TPU"),
        ('"/dev/apex_0"', "names no Edge TPU"),
        ('["usb:1-1", "usb:1-1"]', "'usb:1-1' is named twice"),
        ('["auto", "usb:1-1"]', "stand alone"),
        ("[]", "at least 1 entry"),
    ],
)
def test_an_edge_tpu_that_names_nothing_is_one_clear_problem(written: str, complaint: str) -> None:
    [problem] = problems_of(f"[inference]\nedgetpu = {written}\n{CAMERA}")

    assert problem.where.startswith("inference.edgetpu")
    assert complaint in problem.problem


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[profile.away]", "profile.away", "sets nothing"),
        ("[profile.away]\ncameras = ['front']", "profile.away", "sets nothing"),
        ("[profile.away]\nthreshold = 2", "profile.away.threshold", "less than or equal to 1"),
        ("[profile.away]\nsource = 'x'", "profile.away.source", "no such key"),
        ("[profile.away]\ncameras = ['gate']\nfaces = true", "file", "no camera 'gate'"),
        ("[profile.configured]\nfaces = true", "file", "has a meaning of its own"),
    ],
)
def test_a_profile_that_means_nothing_is_refused(text: str, where: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"[camera.front]\nsource = 'synthetic:'\n{text}")
    (problem,) = caught.value.problems
    assert (problem.where, what in problem.problem) == (where, True), problem


@pytest.mark.parametrize(
    ("camera", "why"),
    [
        (
            'source = "rtsp://c/"\n[[camera.a.privacy_masks]]\npolygon = [[0,0],[1,0],[1,1]]',
            "masks",
        ),
        ('source = "v4l2:/dev/video0"', "sends pictures"),
        ('source = "picamera:0"', "sends pictures"),
    ],
)
def test_what_must_not_be_kept_as_it_is_sent_is_refused(camera: str, why: str) -> None:
    """What is under a privacy mask is in what the camera sends."""
    text = f"[camera.a]\n{camera}\n[camera.a.recording]\nenabled = true\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(f'{text}method = "copy"')
    (problem,) = caught.value.problems
    assert problem.where == "camera.a"
    assert 'recording.method "copy" cannot be' in problem.problem
    assert why in problem.problem
    for method in ("auto", "encode"):
        parsed = parse_config(f'{text}method = "{method}"').camera["a"]
        assert parsed.recording.enabled
        assert parsed.can_record
    off = parse_config(f'{text}method = "copy"'.replace("true", "false")).camera["a"]
    assert not off.can_record


SECOND = 'recording.source = "rtsp://c/large"\n'


@pytest.mark.parametrize(
    ("camera", "where", "why"),
    [
        ("[[camera.a.privacy_masks]]\npolygon = [[0,0],[1,0],[1,1]]", "camera.a", "privacy masks"),
        ('recording.method = "encode"', "camera.a", "kept as it comes"),
        ('recording.source = "v4l2:/dev/video0"', "camera.a.recording.source", ""),
        ('recording.source = "/films/clip.mp4"', "camera.a.recording.source", ""),
    ],
)
def test_a_stream_for_films_that_must_not_be_kept_is_refused_switched_on_or_not(
    camera: str, where: str, why: str
) -> None:
    second = "" if "recording.source" in camera else SECOND
    with pytest.raises(ConfigError) as caught:
        parse_config(f'[camera.a]\nsource = "rtsp://c/small"\n{second}{camera}\n')
    (problem,) = caught.value.problems
    assert problem.where == where
    assert why in problem.problem


def test_a_camera_that_hands_over_pictures_may_have_a_stream_for_films() -> None:
    text = f'[camera.a]\nsource = "v4l2:/dev/video0"\n{SECOND}recording.method = "copy"\n'
    camera = parse_config(f"{text}recording.enabled = true").camera["a"]
    assert camera.can_record
    assert camera.sources == ("v4l2:/dev/video0", "rtsp://c/large")


def test_a_secrets_file_may_be_a_credential_that_systemd_hands_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/camera-app.service")
    text = '[mqtt]\npassword_file = "$CREDENTIALS_DIRECTORY/mqtt-password"\n'
    text += 'ca_file = "/etc/camera-app/$CREDENTIALS_DIRECTORY/ca.pem"\n' + CAMERA
    text += 'password_file = "$CREDENTIALS_DIRECTORY/front"\n'
    config = parse_config(text)

    assert config.mqtt.password_file == Path("/run/credentials/camera-app.service/mqtt-password")
    assert config.camera["front"].password_file == Path("/run/credentials/camera-app.service/front")
    assert config.mqtt.ca_file == Path("/etc/camera-app/$CREDENTIALS_DIRECTORY/ca.pem")


def test_outside_of_the_service_a_credential_keeps_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    name = "$CREDENTIALS_DIRECTORY/mqtt-password"
    config = parse_config(f'[mqtt]\npassword_file = "{name}"\n' + CAMERA)

    assert config.mqtt.password_file == Path(name)
