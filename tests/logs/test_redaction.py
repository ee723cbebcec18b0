"""Secrets are taken out of texts, in whatever form they stand there; harmless text stays."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.logs import keep_address_secret, keep_file_secret, keep_misplaced_secret, redact
from camera_app.logs.redaction import MASK, SHORTEST, Redactor


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot open rtsp://viewer:hunter2@10.0.0.4:554/low", "viewer:***@10.0.0.4:554/low"),
        ("http://:hunter2@cam/", "http://:***@cam/"),
        # Nobody escaped the @ in it.
        ("rtsp://viewer:hunt@hunter2@cam/low", "rtsp://viewer:***@cam/low"),
        ("https://0123456789hunter2@cam/x", "https://***@cam/x"),
        ("GET http://cam/v?user=a&token=hunter2&x=1", "token=***&x=1"),
        ("http://cam/v?API_KEY=hunter2", "API_KEY=***"),
        ("http://cam/v?pwd=hunter2#x", "pwd=***"),
        ("Authorization: Basic aHVudGVyMg== hunter2", "Authorization: Basic ***"),
        ("{'authorization': 'Bearer hunter2'}", "{'authorization': 'Bearer ***'}"),
        ('password = "hunter2 and more"', "password = ***"),
        ('{"mqtt_password": "hunter2\\" and more", "a": 1}', ': ***, "a": 1}'),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nhunter2\nab\n-----END RSA PRIVATE KEY-----\nrest",
            "KEY-----***-----END RSA PRIVATE KEY-----\nrest",
        ),
        ("-----BEGIN PRIVATE KEY-----\nhunter2 and cut off", "-----BEGIN PRIVATE KEY-----***"),
    ],
)
def test_what_stands_where_secrets_stand_is_masked(text: str, left: str) -> None:
    shown = Redactor().redact(text)
    assert left in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://10.0.0.4:554/low?channel=1&subtype=0",
        "connected to 127.0.0.1:1883, MQTT 5",
        "/etc/camera-app/mqtt-password: cannot be used: No such file or directory",
        "Correct password_file in [mqtt], or the file and who may read it",
        'password_file = "/etc/camera-app/mqtt-password"',
        "mail somebody@example.org about rtsp://cam/low",
        "http://cam/?author=me&keyframe=1",
        "the password for hub.lan crosses the network unencrypted",
        "camera front: stalled: brought nothing for 5.0 s; trying again in 1.2 s",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert Redactor().redact(text) == text


@given(st.text(min_size=8, max_size=40), st.text(max_size=20))
def test_a_known_secret_goes_in_each_of_its_forms(secret: str, around: str) -> None:
    redactor = Redactor()
    redactor.keep_secret(secret)
    forms = [
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
    ]
    for form in forms:
        shown = redactor.redact(f"{around}[{form}]{around}")
        assert f"[{form}]" not in shown
        assert MASK in shown


def test_a_secret_as_short_as_a_word_is_masked_where_it_stands_alone() -> None:
    redactor = Redactor()
    redactor.keep_secret("cam1")
    assert redactor.redact("cam1 and /cam1/ and webcam1") == "*** and /***/ and webcam1"


def test_a_secret_that_is_in_every_word_is_left() -> None:
    redactor = Redactor()
    redactor.keep_secret("a" * (SHORTEST - 1))
    redactor.keep_secret("")
    assert redactor.redact("aaa banana") == "aaa banana"


def test_of_two_secrets_the_longer_goes_whole() -> None:
    redactor = Redactor()
    redactor.keep_secret("correct-horse")
    redactor.keep_secret("correct-horse-battery")
    assert redactor.redact("<correct-horse-battery>") == f"<{MASK}>"


def test_a_file_of_secrets_is_kept_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "credential"
    path.write_text("first-of-file-71\r\nsecond-of-file-72\n")
    keep_file_secret(path)
    keep_file_secret(tmp_path / "absent")
    assert redact("first-of-file-71 second-of-file-72") == f"{MASK} {MASK}"


@pytest.mark.parametrize(
    ("source", "secret"),
    [
        ("rtsp://viewer:mistyped-61@cam/low", "mistyped-61"),
        ("rtsp:/viewer:mistyped-62@cam/low", "mistyped-62"),
        ("viewer:mistyped-63@cam/low", "mistyped-63"),
        ("rtsp://viewer:slash/mistyped-64@cam/low", "slash/mistyped-64"),
        ("rtsp://viewer:esc%2Fmistyped-65@cam/low", "esc/mistyped-65"),
    ],
)
def test_the_password_of_an_address_is_kept_however_it_is_mistyped(
    source: str, secret: str
) -> None:
    keep_address_secret(source, "{password}")
    assert redact(f"cannot open <{secret}>") == f"cannot open <{MASK}>"


def test_an_address_without_a_password_keeps_nothing() -> None:
    for source in (
        "rtsp://viewer:{password}@cam/low",
        "rtsp://viewer@cam/low",
        "/clips/day-66.mkv",
    ):
        keep_address_secret(source, "{password}")
    assert redact("{password} viewer day-66.mkv") == "{password} viewer day-66.mkv"


def test_a_password_in_place_of_its_file_is_kept_and_a_path_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("misplaced-67", "mis/placed-68"):
        keep_misplaced_secret(Path(text))
        assert redact(f"{text} is not there") == f"{MASK} is not there"
    for name in ("/etc/absent-69/mqtt-password", "$CREDENTIALS_DIRECTORY/mqtt-password"):
        keep_misplaced_secret(Path(name))
        assert redact(f"{name} is not there") == f"{name} is not there"
    (tmp_path / "secrets").mkdir()
    monkeypatch.chdir(tmp_path)
    keep_misplaced_secret(Path("secrets/front"))
    assert redact("secrets/front is not there") == "secrets/front is not there"


@given(st.text(max_size=300))
def test_any_text_can_be_redacted_and_twice_is_as_once(text: str) -> None:
    redactor = Redactor()
    once = redactor.redact(text)
    assert redactor.redact(once) == once
