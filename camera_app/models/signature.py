"""Whose word a manifest is: ed25519 keys, signatures, and the keys that are trusted.

A signature covers the exact bytes of a manifest, and the manifest has the hash of every other
file, so one signature binds the whole pack. What a manifest says is no business of this module.
"""

from __future__ import annotations

import base64
import binascii
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from camera_app.errors import ModelError, PackRejected

SIGNATURE = "manifest.sig"
TRUSTED_VARIABLE = "CAMERA_APP_TRUSTED_KEYS"
SIGNING_KEY_VARIABLE = "CAMERA_APP_SIGNING_KEY"

PUBLIC_PREFIX = "ed25519:"
PRIVATE_PREFIX = "ed25519-private:"
KEY_BYTES = 32
SIGNATURE_BYTES = 64
PROJECT_KEYS = "trusted_keys.toml"


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key and what is known of it.

    Attributes:
        public: As it is written: `ed25519:` and base64.
        name: Whose it is.
        retired: Why it no longer counts; empty if it does.
    """

    public: str
    name: str
    retired: str = ""


Keyring = Mapping[str, TrustedKey]


class PrivateKey:
    """What signs. Its text never appears in an error or a representation."""

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)

    @property
    def public(self) -> str:
        """The public key that belongs to it."""
        return _public_text(bytes(self._key.verify_key))

    def sign(self, manifest: bytes) -> bytes:
        """Return what the signature file of a manifest must hold."""
        return _signature_text(self.public, self._key.sign(manifest).signature)


def new_private_key(path: Path) -> PrivateKey:
    """Make a key and keep it in a new file that only its owner may read.

    Raises:
        ModelError: The file is there already, or cannot be written.
    """
    seed = os.urandom(KEY_BYTES)
    text = f"{PRIVATE_PREFIX}{base64.b64encode(seed).decode()}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A key that is overwritten is lost for good: hence O_EXCL.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
    except FileExistsError as error:
        message = "there is a file of this name already, and a key is never overwritten"
        raise ModelError(message, where=str(path), remedy="Choose another name") from error
    except OSError as error:
        raise ModelError(f"cannot be written: {error.strerror}", where=str(path)) from error
    return PrivateKey(seed)


def read_private_key(path: Path) -> PrivateKey:
    """Read a key that `new_private_key` made.

    Raises:
        ModelError: It cannot be read, is no key, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot be read as a private key: {error}", where=str(path)) from error
    if mode & 0o077:
        message = "others may read this private key"
        raise ModelError(message, where=str(path), remedy=f"Type: chmod 600 {path}")
    seed = _decoded(text, PRIVATE_PREFIX, KEY_BYTES)
    if seed is None:
        raise ModelError(
            "this is no private key",
            where=str(path),
            remedy="`camera-app models keys new FILE` makes one",
        )
    return PrivateKey(seed)


def trusted_keys(pinned: Iterable[str] = ()) -> Keyring:
    """Return the keys whose signatures count here, by their text.

    They are the project's, those of CAMERA_APP_TRUSTED_KEYS, and those given. A key that the
    project has retired stays so, whoever else trusts it.

    Args:
        pinned: Public keys that the owner's configuration trusts.

    Raises:
        ModelError: One of them is no key.
    """
    named = os.environ.get(TRUSTED_VARIABLE, "").replace(",", " ").split()
    ring = {key: TrustedKey(key, TRUSTED_VARIABLE) for key in _checked(named, TRUSTED_VARIABLE)}
    configured = _checked(pinned, "models.trusted_keys")
    ring.update({key: TrustedKey(key, "the configuration") for key in configured})
    ring.update(project_keys())
    return ring


@lru_cache(maxsize=1)
def project_keys() -> Keyring:
    """Return the keys that come with the program, retired ones included."""
    text = Path(__file__).with_name(PROJECT_KEYS).read_text(encoding="utf-8")
    keys = [TrustedKey(**record) for record in tomllib.loads(text)["key"]]
    return {key.public: key for key in keys}


def _checked(keys: Iterable[str], where: str) -> list[str]:
    found = list(keys)
    for key in found:
        if _decoded(key, PUBLIC_PREFIX, KEY_BYTES) is None:
            raise ModelError(
                f"{key!r} is no public key: {PUBLIC_PREFIX} and 44 characters are expected",
                where=where,
                remedy="`camera-app models keys show FILE` prints the one of a private key",
            )
    return found


def check_signature(folder: Path, name: str, manifest: bytes, trusted: Keyring) -> TrustedKey:
    """Refuse a manifest that nobody trusted has signed; else return whose word it is.

    Args:
        folder: Of the pack; the signature is beside the manifest.
        name: Of the manifest's file.
        manifest: Its content.
        trusted: Whose signatures count.

    Raises:
        PackRejected: There is no signature, it is of another manifest, or nobody's we trust.
    """
    path = folder / SIGNATURE
    public, signature = _read_signature(path)
    key = trusted.get(public)
    if key is None:
        raise PackRejected(
            f"signed with a key that is not trusted here, {public}",
            where=str(path),
            remedy=f'If you know whose it is, pin it: trusted_keys = ["{public}"] under [models] '
            f"in the configuration, or {TRUSTED_VARIABLE}={public} in the environment",
        )
    if key.retired:
        raise PackRejected(
            f"signed with a key of {key.name} that counts no longer: {key.retired}",
            where=str(path),
            remedy="Get a newer version of the pack, or sign it with a key of your own",
        )
    try:
        VerifyKey(_decoded(public, PUBLIC_PREFIX, KEY_BYTES) or b"").verify(manifest, signature)
    except BadSignatureError as error:
        raise PackRejected(
            f"the signature in {path} is not of this manifest: one of the two was changed",
            where=str(folder / name),
            remedy="Get the pack anew; if the change is yours, sign it again: "
            f"camera-app models sign {folder} --key FILE",
        ) from error
    return key


def _read_signature(path: Path) -> tuple[str, bytes]:
    """Return the public key and the signature in a signature file.

    Only the one form that `PrivateKey.sign` writes is taken, so that no bit of the file is free.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _unsigned(path) from error
    except OSError as error:
        raise PackRejected(f"cannot be read: {error.strerror}", where=str(path)) from error
    parts = content.decode("ascii", "replace").split()
    signature = _decoded(parts[1], "", SIGNATURE_BYTES) if len(parts) == 2 else None
    is_key = signature and _decoded(parts[0], PUBLIC_PREFIX, KEY_BYTES) is not None
    if not signature or not is_key or _signature_text(parts[0], signature) != content:
        raise PackRejected("this is no signature, or a damaged one", where=str(path))
    return parts[0], signature


def _unsigned(path: Path) -> PackRejected:
    return PackRejected(
        "the pack is not signed",
        where=str(path),
        remedy="If it is yours, make a key, once: camera-app models keys new FILE; pin what that "
        f"prints; and sign: camera-app models sign {path.parent} --key FILE",
    )


def _signature_text(public: str, signature: bytes) -> bytes:
    return f"{public}\n{base64.b64encode(signature).decode()}\n".encode("ascii")


def _public_text(key: bytes) -> str:
    return PUBLIC_PREFIX + base64.b64encode(key).decode()


def _decoded(text: str, prefix: str, length: int) -> bytes | None:
    """Return the bytes of a key or signature; None if the text is not their one right form."""
    try:
        content = base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        return None
    is_canonical = prefix + base64.b64encode(content).decode() == text
    return content if is_canonical and len(content) == length else None
