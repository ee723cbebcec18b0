"""How a subscriber reaches the broker: address, password, certificates, and the wire's topics."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from camera_app.errors import BrokerRefused, BrokerUnreachable

CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_S = 30
# Messages that we may hold unacknowledged; brokers have a smaller limit of their own, mostly.
RECEIVE_MAXIMUM = 1000


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is, and how it knows us.

    Attributes:
        host: Name or address.
        port: TCP port.
        username: Empty: none.
        password_file: Holds the password and nothing else but a line end.
        tls: Encrypt; also on when a certificate is given.
        ca_file: Certificates to trust, PEM; None: those of the system.
        client_certificate_file: Our certificate, PEM.
        client_key_file: Its key, PEM.
    """

    host: str = "localhost"
    port: int = 1883
    username: str = ""
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"


def new_client(address: BrokerAddress, client_id: str) -> paho.Client:
    """Return a client of MQTT 5 that acknowledges only what it is told to.

    Raises:
        BrokerRefused: A password or certificate cannot be used.
    """
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=paho.MQTTv5,
        manual_ack=True,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    try:
        if address.tls or address.ca_file or address.client_certificate_file:
            client.tls_set_context(_context(address))
        if address.username:
            client.username_pw_set(address.username, _password(address.password_file))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise BrokerRefused(f"a certificate or password cannot be used: {error}") from error
    return client


def connect(client: paho.Client, address: BrokerAddress) -> None:
    """Say hello; the broker's answer comes with the client's loop.

    Raises:
        BrokerUnreachable: Nobody answers.
    """
    try:
        client.connect(
            address.host, address.port, keepalive=KEEPALIVE_S, properties=_connect_properties()
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BrokerUnreachable(f"no broker answers: {reason}", where=address.where) from error


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    return properties


def _context(address: BrokerAddress) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=address.ca_file)
    if address.client_certificate_file is not None:
        context.load_cert_chain(address.client_certificate_file, address.client_key_file)
    return context


def _password(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8").rstrip("\r\n")
