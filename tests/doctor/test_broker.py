"""The broker tried for real: mosquitto with every fault that an owner meets."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from camera_app.config import parse_config
from camera_app.doctor import Examined
from camera_app.doctor.checks import broker as check
from camera_app.doctor.checks.broker import BrokerFacts, Telling, judge
from camera_app.errors import BrokerRefused, BrokerUnreachable
from camera_app.publish import Notice
from camera_app.publish.link import Link
from tests.publish.conftest import Subscriber
from tests.publish.mosquitto import Mosquitto, users_only
from tests.publish.test_security import Authority, authority
from tests.waiting import wait_until

from .conftest import MadeMachine, kinds

__all__ = ["authority"]

Brokers = Callable[..., Mosquitto]
SECRET = "hunter2"
EVERYTHING = "user cam1\ntopic readwrite camera_app/cam1/#\n"


def text(port: int, *lines: str) -> str:
    mqtt = "\n".join((f"port = {port}", *lines))
    if not any(line.startswith("host") for line in lines):
        mqtt = f'host = "127.0.0.1"\n{mqtt}'
    return f'device_id = "cam1"\n[mqtt]\n{mqtt}\n[camera.front]\nsource = "front.mp4"\n'


def examined(made: MadeMachine, port: int, *lines: str, more: str = "") -> Examined:
    found = check.examine(made.subject(text(port, *lines) + more))
    assert SECRET not in repr(found)
    return found


@pytest.fixture
def guarded(broker: Brokers, tmp_path: Path) -> Callable[..., Mosquitto]:
    """A broker with the user `cam1`, and rights as they are given."""

    def start(rights: str = EVERYTHING, **options: Any) -> Mosquitto:
        acl = tmp_path / "acl"
        acl.write_text(rights)
        acl.chmod(0o600)
        return broker(acl_file=str(acl), **users_only(tmp_path, cam1=SECRET), **options)

    return start


@pytest.fixture
def login(tmp_path: Path) -> tuple[str, str]:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    return 'username = "cam1"', f'password_file = "{file}"'


# --- what is well --------------------------------------------------------------------------------


def test_an_open_broker_is_well(made: MadeMachine, broker: Brokers) -> None:
    running = broker()
    found = examined(made, running.port)
    assert kinds(found) == []
    assert found.facts == (f"127.0.0.1:{running.port}", "MQTT 5")


def test_the_rights_of_the_guide_are_enough(
    made: MadeMachine, guarded: Callable[..., Mosquitto], login: tuple[str, str]
) -> None:
    rights = (
        "pattern write camera_app/%u/#\npattern read camera_app/%u/+/set\n"
        "pattern read camera_app/%u/+/+/set\npattern read camera_app/%u/events/request\n"
        "pattern write homeassistant/device/%u/config\n"
    )
    assert kinds(examined(made, guarded(rights).port, *login)) == []


def test_a_client_under_our_own_id_is_not_thrown_off(made: MadeMachine, broker: Brokers) -> None:
    """As the running service would be, were its id used; what it hears is one word for nobody."""
    running = broker()
    heard = Subscriber(running.port, "#")
    try:
        examined(made, running.port)
        assert heard.wait_for(bool)
    finally:
        heard.close()
    assert [message.topic for message in heard.messages] == ["camera_app/cam1/events/doctor/set"]
    assert heard.problems() == []
    assert wait_until(lambda: "camera_app-cam1-doctor-" in running.log())
    assert " camera_app-cam1 " not in running.log()


def test_a_service_does_not_act_on_the_word(made: MadeMachine) -> None:
    from camera_app.publish import Hub, Incoming, Topics

    topics = Topics("camera_app", "cam1")
    hub = object.__new__(Hub)
    hub._topics = topics
    hub._inbox = []  # type: ignore[assignment]
    hub._note_command(Incoming(topics.probe, b"word"))
    assert hub._inbox == []  # type: ignore[comparison-overlap]


# --- login and rights ----------------------------------------------------------------------------


def test_a_wrong_password_is_told(
    made: MadeMachine, guarded: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wr0ng\n")
    lines = ('username = "cam1"', f'password_file = "{wrong}"')
    # mosquitto answers a wrong password in MQTT 5 with 0x87, in 3.1.1 with 5: not authorised.
    for protocol in ("auto", "3.1.1"):
        [finding] = examined(made, guarded().port, *lines, f'protocol = "{protocol}"').findings
        assert finding.kind in ("broker.wrong_password", "broker.not_allowed")
        assert "wr0ng" not in repr(finding)


def test_a_broker_that_wants_a_user_is_told(
    made: MadeMachine, guarded: Callable[..., Mosquitto]
) -> None:
    assert kinds(examined(made, guarded().port)) == ["broker.not_allowed"]


def test_a_user_who_may_write_nothing_is_told_with_the_rights_to_add(
    made: MadeMachine, guarded: Callable[..., Mosquitto], login: tuple[str, str]
) -> None:
    [finding] = examined(made, guarded("user other\ntopic #\n").port, *login).findings
    assert finding.kind == "broker.may_not_write"
    assert "code 0x87" in finding.what
    assert finding.line.startswith(
        "printf 'user %s\\ntopic readwrite %s/#\\n' cam1 camera_app/cam1 | sudo tee"
    )


def test_a_user_who_may_write_and_not_hear_is_told(
    made: MadeMachine, guarded: Callable[..., Mosquitto], login: tuple[str, str]
) -> None:
    port = guarded("user cam1\ntopic write camera_app/cam1/#\n").port
    assert kinds(examined(made, port, *login)) == ["broker.may_not_hear"]
    no_commands = "[commands]\nenabled = false\n"
    assert kinds(examined(made, port, *login, more=no_commands)) == []


@pytest.mark.parametrize(
    ("lines", "topic", "line"),
    [
        ("", "homeassistant/device/cam1/config", "homeassistant/device/cam1/config"),
        ('discovery = "entity"', "homeassistant/", "homeassistant/+/+/config"),
        ('prefix = "a/b"', "a/b/device/cam1/config", "a/b/device/cam1/config"),
    ],
)
def test_a_user_who_may_not_announce_to_home_assistant_is_told(
    made: MadeMachine,
    guarded: Callable[..., Mosquitto],
    login: tuple[str, str],
    lines: str,
    topic: str,
    line: str,
) -> None:
    hub = f"[home_assistant]\n{lines}\n"
    [finding] = examined(made, guarded(EVERYTHING).port, *login, more=hub).findings
    assert finding.kind == "broker.may_not_announce"
    assert f"does not take a message to {topic}" in finding.what
    assert f"' cam1 {line} | sudo tee -a /etc/mosquitto/acl" in finding.line


def test_without_discovery_its_topics_are_not_asked_about(
    made: MadeMachine, guarded: Callable[..., Mosquitto], login: tuple[str, str]
) -> None:
    off = '[home_assistant]\ndiscovery = "off"\n'
    assert kinds(examined(made, guarded(EVERYTHING).port, *login, more=off)) == []


def test_a_broker_that_cannot_be_asked_is_not(
    made: MadeMachine, guarded: Callable[..., Mosquitto], login: tuple[str, str]
) -> None:
    """It takes no QoS 2, and MQTT 3.1.1 has no word for no: sending it would end the connection."""
    port = guarded(EVERYTHING, max_qos="1").port
    assert kinds(examined(made, port, *login)) == []
    assert kinds(examined(made, guarded(EVERYTHING).port, *login, 'protocol = "3.1.1"')) == []


def test_a_broker_that_delivers_at_once_is_not_asked_what_others_would_hear(
    made: MadeMachine, broker: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As EMQX does: here each question is a message, which mosquitto delivers at once."""
    asked = list[str]()

    def say(link: Link, topic: str, payload: bytes = b"") -> int:
        asked.append(topic)
        return link.send(Notice(topic, payload, is_retained=False))

    monkeypatch.setattr(Link, "ask", say)
    assert kinds(examined(made, broker().port)) == []
    assert asked == ["camera_app/cam1/events/doctor/set"]


def test_a_broker_that_hangs_up_on_what_is_not_allowed_is_understood(made: MadeMachine) -> None:
    """Some answer so in place of a code."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        welcome = b"\x20\x03\x00\x00\x00"

        def serve() -> None:
            taken, _ = server.accept()
            with taken:
                taken.recv(4096)
                taken.sendall(welcome)
                taken.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        [finding] = examined(made, server.getsockname()[1]).findings
        thread.join(10.0)
    assert finding.kind == "broker.may_not_write"
    assert "it hangs up when something is said below camera_app/cam1" in finding.what


def test_version_3_throws_words_away_in_silence_and_that_is_noticed(
    made: MadeMachine, guarded: Callable[..., Mosquitto], login: tuple[str, str]
) -> None:
    port = guarded("user other\ntopic #\n").port
    found = examined(made, port, *login, 'protocol = "3.1.1"')
    assert kinds(found) == ["broker.may_not_write"]


# --- TLS -----------------------------------------------------------------------------------------


def test_an_encrypted_broker_is_well_and_its_certificates_end_is_told(
    made: MadeMachine, broker: Brokers, authority: Authority
) -> None:
    """The test's certificates last two days."""
    made.now_s = datetime.now(UTC).timestamp()
    port = broker(**authority.options("127.0.0.1")).port
    found = examined(made, port, f'ca_file = "{authority.certificate}"')
    assert kinds(found) == ["broker.expires_soon"]
    assert found.facts[1] == "MQTT 5, TLS"


def test_a_certificate_for_another_name_is_told(
    made: MadeMachine, broker: Brokers, authority: Authority
) -> None:
    port = broker(**authority.options("other.example")).port
    found = examined(made, port, f'ca_file = "{authority.certificate}"')
    assert kinds(found) == ["broker.other_name"]
    assert f"-connect 127.0.0.1:{port} " in found.findings[0].line


def test_a_stranger_is_not_trusted(
    made: MadeMachine, broker: Brokers, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger")
    port = broker(**authority.options("127.0.0.1")).port
    found = examined(made, port, f'ca_file = "{stranger.certificate}"')
    assert kinds(found) == ["broker.untrusted"]


@pytest.mark.parametrize(
    ("begins", "ends", "found"),
    [
        ("20200101000000Z", "20200201000000Z", "broker.expired"),
        ("20900101000000Z", "20910101000000Z", "broker.not_yet_valid"),
    ],
)
def test_a_certificate_out_of_its_time_is_told(
    made: MadeMachine,
    broker: Brokers,
    authority: Authority,
    begins: str,
    ends: str,
    found: str,
) -> None:
    port = broker(**dated(authority, begins, ends)).port
    assert kinds(examined(made, port, f'ca_file = "{authority.certificate}"')) == [found]


def dated(authority: Authority, begins: str, ends: str) -> dict[str, str]:
    """Issue a certificate for these dates, with `openssl ca`, which old versions know too."""
    folder = authority.folder / "dated"
    folder.mkdir()
    for name, content in (("index.txt", ""), ("serial", "01\n")):
        (folder / name).write_text(content)
    settings = folder / "ca.cnf"
    settings.write_text(
        f"[ca]\ndefault_ca = d\n[d]\ndir = {folder}\ndatabase = {folder}/index.txt\n"
        f"serial = {folder}/serial\nnew_certs_dir = {folder}\ndefault_md = sha256\n"
        "policy = p\nx509_extensions = x\n[p]\ncommonName = supplied\n"
        "[x]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = critical,CA:FALSE\n"
        "[req]\ndistinguished_name = n\n[n]\n"
    )
    key, request, certificate = folder / "k.key", folder / "r.csr", folder / "c.crt"
    made = f"req -new -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout {key} -out {request}"
    signed = (
        f"ca -batch -notext -startdate {begins} -enddate {ends} -in {request} -out {certificate}"
        f" -cert {authority.certificate} -keyfile {authority.folder / 'ca.key'}"
    )
    for command in (made, signed):
        words = ["openssl", *command.split(), "-config", str(settings)]
        subprocess.run(words, check=True, capture_output=True)
    key.chmod(0o644)
    return {
        "cafile": str(authority.certificate),
        "certfile": str(certificate),
        "keyfile": str(key),
    }


def test_tls_at_a_port_without_and_the_other_way_round_are_told(
    made: MadeMachine, broker: Brokers, authority: Authority
) -> None:
    plain, encrypted = broker(), broker(**authority.options("127.0.0.1"))
    found = examined(made, plain.port, f'ca_file = "{authority.certificate}"')
    assert kinds(found) == ["broker.no_tls"]
    assert kinds(examined(made, encrypted.port)) == ["broker.hung_up"]


def test_a_broker_that_wants_a_client_certificate_is_told(
    made: MadeMachine, broker: Brokers, authority: Authority
) -> None:
    port = broker(**authority.options("127.0.0.1"), require_certificate="true").port
    [finding] = examined(made, port, f'ca_file = "{authority.certificate}"').findings
    assert finding.kind in ("broker.no_tls", "broker.hung_up")


# --- nobody there --------------------------------------------------------------------------------


def test_files_that_cannot_be_used_are_named(made: MadeMachine, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    [finding] = examined(made, 1, 'username = "cam1"', f'password_file = "{absent}"').findings
    assert (finding.kind, finding.where) == ("broker.file_unusable", str(absent))
    assert finding.line == f"ls -l {absent}"


@pytest.mark.parametrize("folder", ["$CREDENTIALS_DIRECTORY", "/run/credentials/none.service"])
def test_a_password_that_only_the_service_gets_is_no_fault(made: MadeMachine, folder: str) -> None:
    [finding] = examined(
        made, 1, 'username = "cam1"', f'password_file = "{folder}/mqtt-password"'
    ).findings
    assert finding.kind == "broker.withheld"
    assert "LoadCredential=mqtt-password:/etc/camera-app/mqtt-password " in finding.line


def test_a_key_that_only_the_service_gets_is_no_fault(made: MadeMachine) -> None:
    lines = [
        f'client_{name}_file = "$CREDENTIALS_DIRECTORY/{name}"' for name in ("certificate", "key")
    ]
    [finding] = examined(made, 1, "tls = true", *lines).findings
    assert finding.kind == "broker.withheld"
    assert finding.what.startswith("key is handed to the service alone")


def test_a_closed_port_and_an_unknown_name_are_told(made: MadeMachine) -> None:
    found = examined(made, 1)
    assert kinds(found) == ["broker.unreachable"]
    assert found.findings[0].line == "nc -vz 127.0.0.1 1"
    found = examined(made, 1883, 'host = "no-such-host.invalid"')
    assert kinds(found) == ["broker.unknown_host"]


def test_something_that_never_answers_is_told(made: MadeMachine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        subject = made.subject(text(deaf.getsockname()[1]), limit_s=2.0)
        assert kinds(check.examine(subject)) == ["broker.silent"]


def test_without_a_configuration_or_a_broker_nothing_is_tried(made: MadeMachine) -> None:
    assert check.examine(made.subject()).skipped
    off = made.subject('mqtt.enabled = false\n[camera.a]\nsource = "a.mp4"\n')
    assert kinds(check.examine(off)) == ["broker.disabled"]


# --- judgement -----------------------------------------------------------------------------------

SAID = BrokerFacts(was_opened=True, write_code=0, heard=True)


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (SAID, []),
        (replace(SAID, write_code=0x10), []),  # nobody has subscribed, which is well
        (replace(SAID, write_code=None), ["broker.silent"]),
        (replace(SAID, write_code=0x87), ["broker.may_not_write"]),
        (replace(SAID, refused_filters=("a/+/set",)), ["broker.may_not_hear"]),
        (replace(SAID, version="3.1.1"), ["broker.old_version"]),
        (BrokerFacts(BrokerRefused("no"), True, code=0x86), ["broker.wrong_password"]),
        (BrokerFacts(BrokerRefused("no"), True, code=0x85), ["broker.refused"]),
        (BrokerFacts(BrokerUnreachable("quiet")), ["broker.silent"]),
    ],
)
def test_what_the_broker_said_is_judged(facts: BrokerFacts, found: list[str]) -> None:
    config = parse_config(text(1883))
    telling = Telling(config.mqtt, "camera.toml", "camera_app/cam1", "camera-app")
    assert kinds(judge(facts, telling, 0.0)) == found


def test_a_password_in_the_clear_is_told() -> None:
    config = parse_config(text(1883, 'host = "hub.lan"', 'username = "cam1"'))
    telling = Telling(config.mqtt, "camera.toml", "camera_app/cam1", "camera-app")
    assert kinds(judge(SAID, telling, 0.0)) == ["broker.open_password"]
