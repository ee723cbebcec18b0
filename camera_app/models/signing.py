"""Signs a pack: brings the hashes in its manifest up to date and puts a signature beside it.

For owners and for the model workshop; nothing here runs when a pack is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from camera_app.durable import replace_bytes
from camera_app.errors import PackRejected
from camera_app.models.inspect import sha256_of
from camera_app.models.pack import FILE_PATH_PATTERN, MANIFEST, ModelPack, parse_manifest, read_pack
from camera_app.models.signature import SIGNATURE, PrivateKey

# Tables whose file is no side file, and whose hash and length follow it.
WEIGHTS_TABLES = ("weights", "edgetpu")
READABLE = 0o644  # by the camera, whoever signs


def sign_pack(folder: Path, key: PrivateKey) -> ModelPack:
    """Sign a pack as it stands, and return it as read back.

    The table [files] is written anew; hash and length of weights are brought up to date where
    the file lies in the folder, and left alone where it does not. Signing twice gives the same
    bytes.

    Raises:
        PackRejected: The manifest is wrong, or a file has a name that a pack cannot hold.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PackRejected(f"cannot be read: {error.strerror}", where=str(path)) from error
    # Before and after: what is wrong is told before anything is written.
    parse_manifest(path, content)
    renewed = with_hashes(folder, content.decode("utf-8")).encode("utf-8")
    parse_manifest(path, renewed)
    _write(path, renewed)
    _write(folder / SIGNATURE, key.sign(renewed))
    return read_pack(folder, trusted=[key.public])


def with_hashes(folder: Path, text: str) -> str:
    """Return the text of a manifest with the hashes of the files that lie in the folder.

    Raises:
        PackRejected: A file has a name that a pack cannot hold.
    """
    document = tomllib.loads(text)
    renewed = text
    weights = {table: str(document[table]["file"]) for table in WEIGHTS_TABLES if table in document}
    for table, name in weights.items():
        path = folder / name
        if path.is_file():
            renewed = _replaced(renewed, table, "sha256", f'"{sha256_of(path)}"')
            renewed = _replaced(renewed, table, "size_bytes", str(path.stat().st_size))
    renewed = _without_table(renewed, "files").rstrip("\n") + "\n"
    names = list(_side_files(folder, frozenset(weights.values())))
    if names:
        lines = (f'"{name}" = "{sha256_of(folder / name)}"\n' for name in names)
        renewed += "\n[files]\n" + "".join(lines)
    if not _says_the_same(renewed, document):
        raise PackRejected(
            "the hashes cannot be written into this manifest, its form is unusual",
            where=str(folder / MANIFEST),
            remedy="Begin each table with a line of its own, such as [weights]",
        )
    return renewed


def _side_files(folder: Path, weights: frozenset[str]) -> Iterator[str]:
    """Return the paths of the files that the manifest must list, hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        if is_hidden or not path.is_file() or name in {MANIFEST, SIGNATURE, *weights}:
            continue
        if not re.fullmatch(FILE_PATH_PATTERN, name):
            raise PackRejected(
                "a file of a pack may have letters, digits, '.', '_' and '-' in its name only",
                where=str(path),
                remedy="Give it another name, or move it out of the folder",
            )
        yield name


def _table(name: str) -> re.Pattern[str]:
    """Match a table: its header, and all until the next one or the end."""
    return re.compile(rf"^\[{name}\][^\n]*\n(?:(?!\[).*(?:\n|\Z))*", re.MULTILINE)


def _replaced(text: str, table: str, key: str, value: str) -> str:
    def renew(found: re.Match[str]) -> str:
        line = re.compile(rf"^{key}\s*=.*$", re.MULTILINE)
        return line.sub(f"{key} = {value}", found[0], count=1)

    return _table(table).sub(renew, text, count=1)


def _without_table(text: str, table: str) -> str:
    return _table(table).sub("", text)


def _says_the_same(text: str, document: Mapping[str, Any]) -> bool:
    """Tell whether a text is a document but for its hashes; a table given twice is no TOML."""
    try:
        return _without_hashes(tomllib.loads(text)) == _without_hashes(document)
    except tomllib.TOMLDecodeError:
        return False


def _without_hashes(document: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in document.items() if key != "files"}
    for table in WEIGHTS_TABLES:
        if table in rest:
            hashes = ("sha256", "size_bytes")
            rest[table] = {key: rest[table][key] for key in rest[table] if key not in hashes}
    return rest


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; one that holds this already is left as it is."""
    try:
        if path.is_file() and path.read_bytes() == content:
            return
        replace_bytes(path, content)
        path.chmod(READABLE)
    except OSError as error:
        raise PackRejected(f"cannot be written: {error.strerror}", where=str(path)) from error
