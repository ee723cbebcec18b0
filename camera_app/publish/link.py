"""One connection to a broker: paho speaks MQTT, this turns its crank. It decides nothing.

Everything runs on the thread that calls: paho starts none. So no lock is fought for with paho,
and its answers are read as values, not in callbacks.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from camera_app.config import MqttSettings
from camera_app.errors import BrokerRefused, BrokerUnreachable, PublishError
from camera_app.publish.answers import connection_error
from camera_app.publish.board import Notice
from camera_app.publish.buffered import BufferedSocket
from camera_app.publish.incoming import PACKET_LIMIT_BYTES, Incoming
from camera_app.publish.protocol import Version
from camera_app.publish.security import read_password, tls_context
from camera_app.publish.waker import Waker

# Below the limit for stopping a part: an attempt that hangs must not hold up the end.
CONNECT_TIMEOUT_S = 3.0

_PROTOCOLS = {"5": paho.MQTTv5, "3.1.1": paho.MQTTv311}
_NO_LIMIT = 65535
# What paho asks of those that do not know when its timers are due.
TIMERS_EVERY_S = 1.0
# Header, lengths, message id and the properties of an event: never more beside topic and payload.
PACKET_OVERHEAD_BYTES = 128


class Packable(Protocol):
    """MQTT 5 properties that know their bytes."""

    def pack(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a broker said to one message.

    Attributes:
        message_id: What `send` returned.
        code: MQTT 5 reason code; from 0x80 on the message was refused.
    """

    message_id: int
    code: int


@dataclass(frozen=True, slots=True)
class _Greeting:
    """What a broker said to our hello.

    Attributes:
        code: Of CONNACK; 0: welcome.
        receive_maximum: Unacknowledged messages that it takes.
        maximum_packet_bytes: Size of a packet that it takes; None: no limit told.
        maximum_qos: Highest quality of service that it takes.
    """

    code: int
    receive_maximum: int
    maximum_packet_bytes: int | None
    maximum_qos: int


class _Code(NamedTuple):
    """A reason code as bare as it came."""

    value: int


class _BufferedClient(paho.Client):
    """paho behind a `BufferedSocket`, and with an ear of its own for acknowledgements.

    paho has no public place for either, so methods of its inside are overridden, which tests
    watch: should the first be called no more, all works, but slowly. Nor does it tell when it wants
    to look at its timers; should it know of them by other names, it looks as often as it asks for.
    """

    @property
    def timers_due_s(self) -> float:
        """How long it is until paho has to ask whether the broker is there, or to give it up."""
        try:
            began_s = [self._last_msg_out, self._last_bytes_received]
            if self._ping_t > 0:  # asked, and not answered
                began_s.append(self._ping_t)
        except AttributeError:
            return TIMERS_EVERY_S
        return min(began_s) + self._keepalive - time.monotonic()

    def _handle_pubackcomp(self, cmd: Any) -> Any:
        """Read an acknowledgement: its message id and its code, whatever that is.

        paho makes several objects of each, which takes longer than all else of a message. And it
        ends the connection where the standard does not list a code for an acknowledgement:
        mosquitto refuses a message with 0x95, too large, and would get it again for ever.
        """
        if cmd != "PUBACK":
            return super()._handle_pubackcomp(cmd)
        return self._hear_answer()

    def _handle_pubrec(self) -> Any:
        """Read what the broker says to a question of `Link.ask`: it is never released."""
        return self._hear_answer()

    def _hear_answer(self) -> Any:
        packet: bytearray = self._in_packet["packet"]
        if len(packet) < 2:
            return paho.MQTT_ERR_PROTOCOL
        message_id = int.from_bytes(packet[:2], "big")
        code = _Code(packet[2]) if len(packet) > 2 else _TAKEN
        with self._out_message_mutex:
            if message_id in self._out_messages:
                # It hands both on to `on_publish`, which is ours, and looks at neither.
                return self._do_on_publish(message_id, cast(ReasonCode, code), _NO_PROPERTIES)
        return paho.MQTT_ERR_SUCCESS

    def _create_socket(self) -> Any:
        opened: Any = super()._create_socket()
        # Bursts are gathered here; a lone event must not wait for company in the kernel.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return BufferedSocket(opened)


_TAKEN = _Code(0)
_NO_PROPERTIES = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]


class Link:
    """From one attempt to connect to the end of that connection; then another is made.

    Attributes:
        version: Of MQTT.
        where: Host and port.
        was_opened: Something listened there, and got our greeting.
        end_code: With which code the broker ended the connection; 0: it gave none.
    """

    def __init__(
        self, settings: MqttSettings, client_id: str, will: Notice, version: Version, waker: Waker
    ) -> None:
        self.version = version
        self.where = f"{settings.host}:{settings.port}"
        self.was_opened = False
        self._settings = settings
        self._waker = waker
        self._answers: deque[Answer] = deque()
        self._incoming: deque[Incoming] = deque()  # bounded by what one `pump` reads
        self._refused_filters: list[tuple[str, int]] = []
        self._filters: dict[int, str] = {}  # message id of a subscription -> its filter
        self._greeting: _Greeting | None = None
        self.end_code = 0
        self._end: PublishError | None = None
        self._client = self._new_client(client_id, will)

    def _new_client(self, client_id: str, will: Notice) -> _BufferedClient:
        client = _BufferedClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            # A session that the broker keeps would add nothing: what is unacknowledged is sent
            # again from the database.
            clean_session=None if self.version == "5" else True,
            protocol=_PROTOCOLS[self.version],
            reconnect_on_failure=False,
        )
        client.will_set(will.topic, will.payload, will.qos, will.is_retained)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)  # the window is ours
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        # With this set, paho leaves writing to `flush`, a burst at a time.
        client.on_socket_register_write = _nothing_to_register
        return client

    # Opening and closing

    def open(self) -> None:
        """Reach the broker and say hello; its answer comes with `pump`.

        Raises:
            BrokerUnreachable: Nobody is there, or does not answer in time.
            BrokerRefused: A certificate, key or password file is of no use.
        """
        settings = self._settings
        context = tls_context(settings)
        if context is not None:
            self._client.tls_set_context(context)
        if settings.username:
            self._client.username_pw_set(settings.username, read_password(settings))
        try:
            # paho asks after this time of silence and waits as long for an answer again.
            self._client.connect(
                settings.host,
                settings.port,
                keepalive=max(1, settings.keepalive_s // 2),
                properties=self._connect_properties(),
            )
            self.was_opened = True
            self.flush()
        except ssl.SSLError as error:
            raise _tls_error(error, self.where) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            remedy = "Check host and port in [mqtt], and whether the broker runs"
            raise BrokerUnreachable(
                f"no broker answers: {reason}", where=self.where, remedy=remedy
            ) from error

    def _connect_properties(self) -> Properties | None:
        if self.version != "5":
            return None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = PACKET_LIMIT_BYTES
        return properties

    @property
    def is_greeted(self) -> bool:
        """The broker has accepted the connection."""
        return self._greeting is not None and self._greeting.code == 0

    @property
    def refused_code(self) -> int:
        """With which code the broker refused the connection; 0: it has not."""
        return 0 if self._greeting is None else self._greeting.code

    @property
    def receive_maximum(self) -> int:
        """How many unacknowledged messages the broker takes; MQTT 3.1.1 knows no such limit."""
        return _NO_LIMIT if self._greeting is None else self._greeting.receive_maximum

    def takes(self, notice: Notice) -> bool:
        """Say whether the broker takes a message of this size; it said so when it greeted."""
        limit = self.maximum_packet_bytes
        if limit is None:
            return True
        return len(notice.payload) + len(notice.topic.encode()) + PACKET_OVERHEAD_BYTES <= limit

    @property
    def maximum_packet_bytes(self) -> int | None:
        """Size of a packet that the broker takes; None: it told no limit."""
        return None if self._greeting is None else self._greeting.maximum_packet_bytes

    @property
    def certificate_ends_s(self) -> float | None:
        """When the broker's certificate is over, seconds since 1970; None: it showed none."""
        return None if self._opened is None else self._opened.certificate_ends_s

    @property
    def end(self) -> PublishError | None:
        """Why the connection is over; None: it is not."""
        if self._end is None and self._client.socket() is None:
            self._end = BrokerUnreachable("the connection was lost", where=self.where)
        return self._end

    def close(self) -> None:
        """Say goodbye, so that the broker does not tell the last will; never waits."""
        self._client.disconnect()
        self.flush()
        opened = self._opened
        if opened is not None:
            opened.close()  # paho closes once the goodbye is out; here it could not be sent

    # Sending and receiving

    def send(self, notice: Notice, properties: Packable | None = None) -> int:
        """Give a message to paho, to be written by `flush`; return its message id.

        Properties are left out where the version of MQTT has none.
        """
        packed = cast(Properties, properties) if self.version == "5" and properties else None
        sent = self._client.publish(
            notice.topic, notice.payload, notice.qos, notice.is_retained, packed
        )
        if sent.rc != paho.MQTT_ERR_SUCCESS and self._end is None:
            problem = paho.error_string(sent.rc)
            self._end = BrokerUnreachable(f"nothing can be sent: {problem}", where=self.where)
        return sent.mid

    @property
    def can_ask(self) -> bool:
        """Whether the broker can answer what `ask` asks: MQTT 3.1.1 knows no word for no."""
        return self.version == "5" and self._greeting is not None and self._greeting.maximum_qos > 1

    def ask(self, topic: str, payload: bytes = b"") -> int:
        """Ask whether we may write to a topic; the answer comes under the id that is returned.

        It is a message of QoS 2 that is never released: a broker says at once whether it may be,
        and forgets it at the end of the connection. Some deliver such a message before it is
        released, so that whoever asks about a topic on which others act has to try that first.
        """
        return self.send(Notice(topic, payload, is_retained=False, qos=2))

    def subscribe(self, topic_filters: Iterable[str], *, hears_itself: bool = False) -> None:
        """Ask for what others say there from now on; what comes is had with `take_incoming`.

        MQTT 3.1.1 knows no way not to hear oneself.
        """
        for topic_filter in topic_filters:
            if self.version == "5":
                # What the broker kept was said to nobody who is here now; our own is seldom news.
                options = SubscribeOptions(
                    qos=1,
                    noLocal=not hears_itself,
                    retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND,
                )
                _, message_id = self._client.subscribe(topic_filter, options=options)
            else:
                _, message_id = self._client.subscribe(topic_filter, qos=1)
            if message_id is not None:
                self._filters[message_id] = topic_filter

    def take_incoming(self) -> list[Incoming]:
        """Return what has come since the last call, in order."""
        taken = list(self._incoming)
        self._incoming.clear()
        return taken

    def take_refused_filters(self) -> list[tuple[str, int]]:
        """Return the filters that the broker does not let us hear, with its code."""
        taken, self._refused_filters = self._refused_filters, []
        return taken

    def flush(self) -> None:
        """Write what was sent, as far as the network takes it now."""
        if self._client.want_write():
            self._client.loop_write()
        opened = self._opened
        if opened is not None:
            opened.flush()

    def pump(self, timeout_s: float) -> list[Answer]:
        """Write, wait for the broker or the waker, read; return the broker's answers.

        Waits no longer than until paho's timers are due.
        """
        self.flush()
        opened = self._opened
        if opened is not None:
            self._wait(opened, min(timeout_s, self._client.timers_due_s))
            self._client.loop_read()
            self._client.loop_misc()
            self.flush()
        answers = list(self._answers)
        self._answers.clear()
        return answers

    def _wait(self, opened: BufferedSocket, timeout_s: float) -> None:
        if opened.pending():
            return  # it lies in memory already, where no wait would see it
        poll = select.poll()
        poll.register(opened.fileno(), select.POLLIN | select.POLLOUT * opened.has_unsent)
        poll.register(self._waker.fileno(), select.POLLIN)
        poll.poll(max(0.0, timeout_s) * 1000)
        self._waker.clear()

    @property
    def _opened(self) -> BufferedSocket | None:
        return cast("BufferedSocket | None", self._client.socket())

    # What paho calls, on our thread

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: Any,
        _flags: paho.ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._greeting = _Greeting(
            code=code.value,
            receive_maximum=getattr(properties, "ReceiveMaximum", _NO_LIMIT),
            maximum_packet_bytes=getattr(properties, "MaximumPacketSize", None),
            maximum_qos=getattr(properties, "MaximumQoS", 2),
        )
        if code.value:
            self._end = connection_error(code.value, self.where)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: Any,
        flags: paho.DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._end is not None:
            return
        if flags.is_disconnect_packet_from_server:
            self.end_code = code.value
            self._end = connection_error(code.value, self.where)
        elif self._greeting is None:
            self._end = BrokerUnreachable(
                "the broker hung up before it answered",
                where=self.where,
                remedy="It may want TLS, a client certificate or another version of MQTT",
            )
        else:
            self._end = BrokerUnreachable("the connection was lost", where=self.where)

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: Any,
        message_id: int,
        code: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._answers.append(Answer(message_id, code.value))

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: Any,
        message_id: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        topic_filter = self._filters.pop(message_id, "")
        self._refused_filters += [(topic_filter, code.value) for code in codes if code.is_failure]

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        properties = message.properties
        self._incoming.append(
            Incoming(
                topic=message.topic,
                payload=bytes(message.payload),
                is_retained=message.retain,
                response_topic=getattr(properties, "ResponseTopic", ""),
                correlation=getattr(properties, "CorrelationData", b""),
            )
        )


def _tls_error(error: ssl.SSLError, where: str) -> PublishError:
    if isinstance(error, ssl.SSLCertVerificationError):
        what = f"the broker's certificate is not trusted: {error.verify_message}"
        remedy = "Check ca_file in [mqtt], and that host is the name in the certificate"
        return BrokerRefused(what, where=where, remedy=remedy)
    remedy = "Check that port in [mqtt] is the one for TLS, and the certificates"
    return BrokerRefused(f"no TLS: {error.reason or error}", where=where, remedy=remedy)


def _nothing_to_register(*_: object) -> None:
    """Stand where an event loop would note that a socket wants to write; ours asks it."""
