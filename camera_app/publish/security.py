"""Passwords and certificates: read from files at each attempt, so that an owner can mend them.

A password is handed to the client library and to nobody else: it is in no value, log or error.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from camera_app.config import MqttSettings
from camera_app.errors import BrokerRefused
from camera_app.logs import keep_secret


def read_password(settings: MqttSettings) -> str | None:
    """Return what stands in the password file without its line end, or None without a file.

    Raises:
        BrokerRefused: It cannot be read.
    """
    if settings.password_file is None:
        return None
    try:
        password = settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable("password_file", settings.password_file, error) from error
    keep_secret(password)
    return password


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """Return how to encrypt, host name checked; None: not at all.

    Raises:
        BrokerRefused: A certificate or key cannot be used.
    """
    if not settings.uses_tls:
        return None
    context = _trusting(settings.ca_file)
    context.sslsocket_class = _TidySocket
    certificate, key = settings.client_certificate_file, settings.client_key_file
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise _unreadable("client_certificate_file", certificate, error) from error
    return context


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise _unreadable("ca_file", ca_file or Path(), error) from error


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the greeting fails: paho forgets it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _no_passphrase() -> str:
    # Without this, OpenSSL would ask at the terminal of a service that has none.
    raise ValueError("the key is locked with a passphrase")


def _unreadable(key: str, path: Path, error: Exception) -> BrokerRefused:
    remedy = f"Correct {key} in [mqtt], or the file and who may read it"
    return BrokerRefused(f"cannot be used: {error}", where=str(path), remedy=remedy)


def unencrypted_password_warning(settings: MqttSettings) -> str:
    """Return what an owner should know who sends a password in the clear, or nothing."""
    has_password = bool(settings.username) or settings.password_file is not None
    if not has_password or settings.uses_tls or is_loopback(settings.host):
        return ""
    return (
        f"the password for {settings.host} crosses the network unencrypted; "
        "give ca_file or tls = true in [mqtt]"
    )


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, as far as its name tells."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
