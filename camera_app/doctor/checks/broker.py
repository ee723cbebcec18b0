"""The broker: reached, trusted, and asked whether it lets us say and hear what we must.

All is really tried, on a connection of its own under a client id of its own: the id of the running
service would throw that off the broker. What is written goes to a topic on which nobody acts; about
those of Home Assistant's discovery the broker is only asked, where it keeps that to itself.
"""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from camera_app.config import Config, MqttSettings
from camera_app.doctor.credentials import WITHHELD_LINE, WITHHELD_REMEDY, is_withheld
from camera_app.doctor.findings import Finding, Kind
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.errors import BrokerUnreachable, PublishError
from camera_app.publish import Notice, Topics, unencrypted_password_warning
from camera_app.publish.answers import UNSUPPORTED_VERSION, is_success
from camera_app.publish.client import client_id_of
from camera_app.publish.discovery import AnnouncedDevice, announcements
from camera_app.publish.link import Answer, Link
from camera_app.publish.protocol import ProtocolChoice
from camera_app.publish.waker import Waker
from camera_app.threads import Deadline

PUMP_S = 0.2
HEAR_LIMIT_S = 2.0  # for our own word to come back, once the broker has it
SOON_S = 21 * 86_400.0
_NO_QUESTION = 0  # no message has this id
NOT_AUTHORISED = 0x87  # by MQTT 5

# OpenSSL's numbers for why a certificate is not trusted, from openssl/x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = frozenset({62, 64})

_kinds = Kinds("broker")
_SEE = (
    "openssl s_client -connect <address> -servername <host> </dev/null | openssl x509 -noout -text"
)
FILE_UNUSABLE = _kinds.error(
    "file_unusable",
    "a password, certificate or key that [mqtt] names cannot be read or used",
    "Correct the path, the file, or who may read it",
    "ls -l <file>",
)
UNKNOWN_HOST = _kinds.error(
    "unknown_host",
    "the name of the broker is not known",
    "Correct host in [mqtt], or take the address",
    "getent hosts <host>",
)
UNREACHABLE = _kinds.error(
    "unreachable",
    "nothing answers at the broker's host and port",
    "Check host and port, whether the broker runs, listens beyond its own machine, and no firewall "
    "is between",
    "nc -vz <host> <port>",
)
NO_TLS = _kinds.error(
    "no_tls",
    "the broker does not speak TLS at this port, or wants a client certificate from us",
    "Give the port for TLS, mostly 8883, and the certificate that the broker asks for",
    "openssl s_client -connect <address> -servername <host> </dev/null",
)
WANTS_TLS = _kinds.error(
    "hung_up",
    "the broker hangs up before it answers: it may want TLS, or a client certificate",
    "Give ca_file or tls = true in [mqtt], and the port for TLS",
    "openssl s_client -connect <address> </dev/null",
)
UNTRUSTED = _kinds.error(
    "untrusted",
    "the broker's certificate comes from an authority that is not trusted here",
    "Give the authority's certificate: ca_file in [mqtt]",
    "openssl s_client -connect <address> -servername <host> -showcerts </dev/null",
)
OTHER_NAME = _kinds.error(
    "other_name",
    "the broker's certificate is for another name than host",
    "Write the name in the certificate as host in [mqtt], or have the broker given one for this",
    _SEE,
)
EXPIRED = _kinds.error(
    "expired",
    "the broker's certificate is over, if the clock here is right",
    "Renew it at the broker; see what the check `clock` says",
    _SEE,
)
NOT_YET_VALID = _kinds.error(
    "not_yet_valid",
    "the broker's certificate begins in the future: the clock here is behind",
    "See what the check `clock` says",
    "timedatectl; date",
)
EXPIRES_SOON = _kinds.warning(
    "expires_soon",
    "the broker's certificate is over within three weeks: then no event gets out",
    "Renew it at the broker",
    _SEE,
)
WRONG_PASSWORD = _kinds.error(
    "wrong_password",
    "the broker does not accept user name or password",
    "Write the right ones: username in [mqtt], and the password into its file",
    "sudo install -m 0600 -o <owner> /dev/stdin <file>",
)
NOT_ALLOWED = _kinds.error(
    "not_allowed",
    "the broker does not allow this client to connect: it wants a user, or bans this one",
    "Give username and password_file in [mqtt], or see the broker's log",
    "sudo journalctl -u mosquitto -n 30",
)
REFUSED = _kinds.error(
    "refused",
    "the broker refuses the connection for another reason, which is told",
    "See the broker's log",
    "sudo journalctl -u mosquitto -n 30",
)
SILENT = _kinds.error(
    "silent",
    "something takes the connection and does not answer as a broker",
    "Check that the port is the broker's",
    "nc -vz <host> <port>",
)
MAY_NOT_WRITE = _kinds.error(
    "may_not_write",
    "the broker does not let this user write below its own topic: no event arrives",
    "Allow it in the broker's access list; docs/guide/mqtt-security.md has one",
    "printf 'user %s\\ntopic readwrite %s/#\\n' <user> <topic> | sudo tee -a /etc/mosquitto/acl && "
    "sudo systemctl reload mosquitto",
)
MAY_NOT_HEAR = _kinds.error(
    "may_not_hear",
    "the broker does not let this user hear what is asked of it: commands and switches do nothing",
    "Allow it in the broker's access list; docs/guide/mqtt-security.md has one",
    "printf 'user %s\\ntopic readwrite %s/#\\n' <user> <topic> | sudo tee -a /etc/mosquitto/acl && "
    "sudo systemctl reload mosquitto",
)
MAY_NOT_ANNOUNCE = _kinds.error(
    "may_not_announce",
    "the broker does not let this user write where Home Assistant learns of devices: the camera "
    "does not appear there",
    "Allow it in the broker's access list; where there is no Home Assistant, switch discovery off: "
    'discovery = "off" in [home_assistant]',
    "printf 'user %s\\ntopic write %s\\n' <user> <topic> | sudo tee -a /etc/mosquitto/acl && "
    "sudo systemctl reload mosquitto",
)
OPEN_PASSWORD = _kinds.warning(
    "open_password",
    "the password crosses the network unencrypted",
    "Encrypt: docs/guide/mqtt-security.md tells how",
    "${EDITOR:-nano} <config>",
)
OLD_VERSION = _kinds.note(
    "old_version",
    "the broker speaks MQTT 3.1.1 only: it does not say why it refuses something",
    "Use one that speaks MQTT 5, such as mosquitto 2",
    "mosquitto -h | head -n 1",
)
WITHHELD = _kinds.note(
    "withheld",
    "systemd hands the password or a key to the service alone: whoever asks cannot try the broker "
    "with it",
    WITHHELD_REMEDY,
    WITHHELD_LINE,
)
NO_HUB = _kinds.note(
    "disabled",
    "no broker is configured to be used: events are kept here and told to nobody",
    "Switch it on: enabled = true in [mqtt]",
    "${EDITOR:-nano} <config>",
)


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What trying the broker brought.

    Attributes:
        error: Why there was no connection; None: there was one.
        was_opened: Something took the connection.
        was_greeted: The broker let us in.
        code: Of MQTT, with which the broker refused it; 0: none.
        tls_code: OpenSSL's number for why its certificate is not trusted; 0: it is, or none is.
        is_tls_trouble: TLS failed.
        version: Of MQTT, that was spoken last.
        write_code: What it answered to a word of ours; None: nothing, or it was not asked.
        refused_filters: What it does not let us hear.
        heard: Our own word came back; None: that was not tried.
        refused_topics: Of Home Assistant's discovery, that it does not let us write to.
        certificate_ends_s: Seconds since 1970; None: it showed none.
    """

    error: PublishError | None = None
    was_opened: bool = False
    was_greeted: bool = False
    code: int = 0
    tls_code: int = 0
    is_tls_trouble: bool = False
    version: str = "5"
    write_code: int | None = None
    refused_filters: tuple[str, ...] = ()
    heard: bool | None = None
    refused_topics: tuple[str, ...] = ()
    certificate_ends_s: float | None = None


def examine(subject: Subject) -> Examined:
    """Try the broker of the configuration."""
    config = subject.config
    if config is None:
        return Examined(skipped=subject.lacks_config)
    where = f"{config.mqtt.host}:{config.mqtt.port}"
    if not config.mqtt.enabled:
        finding = NO_HUB.found("no broker is used", config=subject.config_argument)
        return Examined(findings=(finding,))
    withheld = next(filter(is_withheld, _files_of(config.mqtt)), None)
    if withheld is not None:
        what = f"{withheld.name} is handed to the service alone, so that the broker was not tried"
        finding = WITHHELD.found(what, name=withheld.name, config=subject.config_argument)
        return Examined((where,), (finding,))
    facts = tried(config, subject.limit_s)
    told = [where]
    if facts.error is None:
        told.append(f"MQTT {facts.version}{', TLS' if config.mqtt.uses_tls else ''}")
    telling = Telling.of(config, subject)
    findings = judge(facts, telling, subject.machine.wall_s())
    return Examined(tuple(told), tuple(findings))


def _files_of(mqtt: MqttSettings) -> Iterator[Path]:
    """Yield the files without which the broker cannot be tried."""
    named = (mqtt.password_file, mqtt.client_key_file, mqtt.client_certificate_file, mqtt.ca_file)
    yield from (path for path in named if path is not None)


# --- trying --------------------------------------------------------------------------------------


def tried(config: Config, limit_s: float) -> BrokerFacts:
    """Connect as the service does, but for the client id; try what it has to do there."""
    choice, deadline = ProtocolChoice(config.mqtt.protocol), Deadline(limit_s - PUMP_S)
    while True:
        facts = _attempt(config, choice, deadline)
        # As the service does: a broker may not know version 5, and some hang up when they see it.
        is_too_new = facts.code == UNSUPPORTED_VERSION or (
            facts.was_opened
            and not facts.was_greeted
            and facts.error is not None
            and not facts.code
        )
        if not is_too_new or deadline.is_over or not choice.fall_back():
            return facts


def _attempt(config: Config, choice: ProtocolChoice, deadline: Deadline) -> BrokerFacts:
    topics = Topics(config.mqtt.base_topic, config.device_id)
    token = secrets.token_hex(8)
    will = Notice(topics.probe, token.encode(), is_retained=False, qos=0)
    waker = Waker()
    waker.open()
    link = Link(config.mqtt, _client_id(config), will, choice.version, waker)
    try:
        link.open()
        facts = _greeted(link, choice, deadline)
        if facts.error is not None:
            return facts
        return _rights(link, facts, config, topics, token, deadline)
    except PublishError as error:
        cause = error.__cause__
        # What speaks no TLS hangs up at its first word.
        has_hung_up = config.mqtt.uses_tls and isinstance(cause, ConnectionResetError)
        return BrokerFacts(
            error=error,
            was_opened=link.was_opened,
            is_tls_trouble=has_hung_up or isinstance(cause, ssl.SSLError),
            tls_code=getattr(cause, "verify_code", 0),
            version=choice.version,
        )
    finally:
        link.close()
        waker.close()


def _client_id(config: Config) -> str:
    """Return an id that no service has, nor another doctor."""
    ours = client_id_of(config.mqtt, config.device_id)
    return f"{ours}-doctor-{secrets.token_hex(2)}"


def _greeted(link: Link, choice: ProtocolChoice, deadline: Deadline) -> BrokerFacts:
    while not link.is_greeted and link.end is None and not deadline.is_over:
        link.pump(min(PUMP_S, deadline.remaining_s()))
    if link.end is not None or not link.is_greeted:
        silence = BrokerUnreachable("does not answer as a broker", where=link.where)
        return BrokerFacts(
            link.end or silence,
            was_opened=link.end is not None,
            code=link.refused_code,
            version=choice.version,
        )
    return BrokerFacts(
        was_opened=True,
        was_greeted=True,
        version=choice.version,
        certificate_ends_s=link.certificate_ends_s,
    )


def _rights(
    link: Link,
    facts: BrokerFacts,
    config: Config,
    topics: Topics,
    token: str,
    deadline: Deadline,
) -> BrokerFacts:
    """Ask to hear what the service hears, say a word where it should come back, and listen.

    Before that the same word is asked about and never released: a broker that holds it back can be
    asked about topics on which others act.
    """
    hears_commands = config.commands.enabled
    filters = [topics.request, *(topics.command_filters if hears_commands else ())]
    link.subscribe(filters, hears_itself=True)
    unreleased, said = f"{token} unreleased".encode(), token.encode()
    question = link.ask(topics.probe, unreleased) if link.can_ask else _NO_QUESTION
    message = link.send(Notice(topics.probe, said, is_retained=False, qos=1))
    codes, heard, refused = dict[int, int](), set[bytes](), list[str]()
    listening: Deadline | None = None
    while link.end is None and not deadline.is_over:
        codes |= _codes(link.pump(min(PUMP_S, deadline.remaining_s())))
        heard |= {one.payload for one in link.take_incoming()}
        refused += [topic for topic, _ in link.take_refused_filters()]
        if message not in codes:
            continue
        if said in heard or not hears_commands or not is_success(codes[message]):
            break
        listening = listening or Deadline(HEAR_LIMIT_S)
        if listening.is_over:
            break
    facts = replace(
        facts,
        error=None if message in codes else link.end,
        write_code=codes.get(message),
        refused_filters=tuple(refused),
        heard=said in heard if hears_commands else None,
    )
    is_answered = is_success(codes.get(question, NOT_AUTHORISED))
    if not is_answered or said not in heard or unreleased in heard:
        return facts
    return replace(facts, refused_topics=_refused_topics(link, config, topics, deadline))


def _refused_topics(
    link: Link, config: Config, topics: Topics, deadline: Deadline
) -> tuple[str, ...]:
    """Ask about the topics on which the device itself is announced; nobody hears of it."""
    hub = config.home_assistant
    device = AnnouncedDevice(config.device_id, "", "", topics, (), config.mqtt.status_interval_s)
    announced = [one.topic for one in announcements(device, hub.discovery, hub.prefix)]
    asked = {link.ask(topic): topic for topic in announced}
    codes = dict[int, int]()
    while not asked.keys() <= codes.keys() and link.end is None and not deadline.is_over:
        codes |= _codes(link.pump(min(PUMP_S, deadline.remaining_s())))
    return tuple(topic for one, topic in asked.items() if not is_success(codes.get(one, 0)))


def _codes(answers: list[Answer]) -> dict[int, int]:
    return {answer.message_id: answer.code for answer in answers}


# --- judging -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Telling:
    """What may stand in a line about a broker.

    Attributes:
        mqtt: Its section.
        path: The configuration.
        topic: Below which all of ours is.
        owner: As whom the service runs.
    """

    mqtt: MqttSettings
    path: str
    topic: str
    owner: str

    @classmethod
    def of(cls, config: Config, subject: Subject) -> Telling:
        topic = Topics(config.mqtt.base_topic, config.device_id).root
        return cls(config.mqtt, subject.config_argument, topic, subject.user)

    def found(self, kind: Kind, what: str, **more: str) -> Finding:
        mqtt = self.mqtt
        address = f"{mqtt.host}:{mqtt.port}"
        facts = {
            "address": address,
            "host": mqtt.host,
            "port": str(mqtt.port),
            "user": mqtt.username or "anonymous",
            "file": str(mqtt.password_file or "/etc/camera-app/mqtt-password"),
            "topic": self.topic,
            "owner": self.owner,
            "config": self.path,
        }
        return kind.found(what, where=more.get("file", address), **{**facts, **more})


def judge(facts: BrokerFacts, told: Telling, now_s: float) -> Iterator[Finding]:
    """Say what is wrong with the way to the broker."""
    mqtt = told.mqtt
    warning = unencrypted_password_warning(mqtt)
    if warning:
        yield told.found(OPEN_PASSWORD, warning)
    if facts.error is not None and facts.was_greeted:
        what = f"it hangs up when something is said below {told.topic}: {facts.error.what}"
        yield told.found(MAY_NOT_WRITE, what)
        return
    if facts.error is not None:
        kind = _kind_of(facts)
        more = {"file": facts.error.where} if kind is FILE_UNUSABLE else {}
        yield told.found(kind, facts.error.what, **more)
        return
    if facts.version == "3.1.1" and mqtt.protocol == "auto":
        yield told.found(OLD_VERSION, "it speaks MQTT 3.1.1 only")
    yield from _judge_rights(facts, told)
    ends_s = facts.certificate_ends_s
    if ends_s is not None and ends_s - now_s < SOON_S:
        days = max(0.0, ends_s - now_s) / 86_400
        yield told.found(EXPIRES_SOON, f"its certificate is over in {days:.0f} days")


def _judge_rights(facts: BrokerFacts, told: Telling) -> Iterator[Finding]:
    if facts.write_code is None:
        yield told.found(SILENT, "it does not acknowledge what is said to it")
    elif not is_success(facts.write_code):
        what = f"it does not take a message below {told.topic}, code 0x{facts.write_code:02X}"
        yield told.found(MAY_NOT_WRITE, what)
    elif facts.refused_filters:
        what = f"it does not let us hear {', '.join(facts.refused_filters)}"
        yield told.found(MAY_NOT_HEAR, what)
    elif facts.heard is False:
        # Brokers take such a subscription and then keep everything back; version 3.1.1 does not
        # even say that a message was thrown away.
        what = "what is said below our own topic does not come back to us"
        yield told.found(MAY_NOT_HEAR if facts.version == "5" else MAY_NOT_WRITE, what)
    elif facts.refused_topics:
        first, more = facts.refused_topics[0], len(facts.refused_topics) - 1
        others = f" and {more} more" if more else ""
        what = f"it does not take a message to {first}{others}"
        yield told.found(MAY_NOT_ANNOUNCE, what, topic=_pattern(facts.refused_topics))


def _pattern(topics: tuple[str, ...]) -> str:
    """Return under what topics of discovery are, which differ in two levels; of one, itself."""
    if len(topics) == 1:
        return topics[0]
    return f"{topics[0].rsplit('/', 3)[0]}/+/+/config"


def _kind_of(facts: BrokerFacts) -> Kind:
    if facts.is_tls_trouble:
        if facts.tls_code in _OTHER_NAME:
            return OTHER_NAME
        by_code = {_EXPIRED: EXPIRED, _NOT_YET_VALID: NOT_YET_VALID, 0: NO_TLS}
        return by_code.get(facts.tls_code, UNTRUSTED)
    if facts.code:
        codes = {
            0x86: WRONG_PASSWORD,
            NOT_AUTHORISED: NOT_ALLOWED,
            0x8A: NOT_ALLOWED,
            0x8C: NOT_ALLOWED,
        }
        return codes.get(facts.code, REFUSED)
    if facts.was_opened:
        return WANTS_TLS
    return _kind_of_cause(facts.error)


def _kind_of_cause(error: PublishError | None) -> Kind:
    if not isinstance(error, BrokerUnreachable):
        return FILE_UNUSABLE  # nothing else is refused before the broker is asked
    cause = error.__cause__
    if cause is None:
        return SILENT
    return UNKNOWN_HOST if isinstance(cause, socket.gaierror) else UNREACHABLE


CHECK = Check("broker", "reached, trusted, and what it lets us say and hear", examine, _kinds.made)
