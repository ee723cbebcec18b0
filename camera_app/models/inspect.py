"""What a weights file is, told from its bytes, before any runtime reads it.

Runtimes trust their input: one of them dies of a file that was cut short. So the file's hash and
its outer structure are checked here, and what is wrong is said in words that help.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

from camera_app.errors import PackRejected
from camera_app.models.onnx_file import fault_of_onnx
from camera_app.models.pack import ModelPack

IDENTIFIER = b"TFL3"
LFS_POINTER = b"version https://git-lfs"
# A flatbuffer begins with the offset of its root table and, here, the identifier; the smallest
# useful root table needs some bytes more.
HEADER_BYTES = 8
SMALLEST_BYTES = 32


class WeightsKind(StrEnum):
    """What a weights file is, and so which runtimes read it."""

    TFLITE = "tflite"
    ONNX = "onnx"


def kind_of(name: str) -> WeightsKind:
    """Return the kind of weights that a file's name stands for: its ending decides."""
    return WeightsKind.ONNX if name.lower().endswith(".onnx") else WeightsKind.TFLITE


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        PackRejected: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PackRejected(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def structural_fault(path: Path, kind: WeightsKind | None = None) -> str:
    """Return in a sentence why a file is no model of its kind; empty if it may be one.

    Args:
        path: The file.
        kind: What it must be; None: what its own name stands for.

    Raises:
        PackRejected: The file cannot be read.
    """
    kind = kind or kind_of(path.name)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(256)
            rest = file.read() if kind is WeightsKind.ONNX else b""
    except OSError as error:
        raise PackRejected(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    fault = _fault_of_other_kinds(head)
    if not fault and kind is WeightsKind.ONNX:
        return _fault_of_onnx(head, rest)
    return fault or _fault_of_flatbuffer(head, size)


def _fault_of_other_kinds(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if head.startswith(LFS_POINTER):
        return "this is a Git LFS pointer, not the file itself; run `git lfs pull` where it is from"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "this is a web page, not a model: the download failed"
    return ""


def _fault_of_onnx(head: bytes, rest: bytes) -> str:
    if head[4:HEADER_BYTES] == IDENTIFIER:
        return "this is a TensorFlow Lite file, and its name says ONNX; let it end in .tflite"
    return fault_of_onnx(head + rest)


def _fault_of_flatbuffer(head: bytes, size: int) -> str:
    if size < SMALLEST_BYTES:
        return f"the file has only {size} bytes: it was cut short"
    identifier = head[4:HEADER_BYTES]
    if identifier != IDENTIFIER:
        return f"no TensorFlow Lite file: identifier is {identifier!r}, expected {IDENTIFIER!r}"
    root = int.from_bytes(head[:4], "little")
    if not HEADER_BYTES <= root <= size - 4:
        return f"the file is damaged: its root table is at byte {root} of {size}"
    return ""


def check_structure(path: Path, kind: WeightsKind | None = None) -> None:
    """Refuse a file that is no model of its kind at all; as `structural_fault`.

    Raises:
        PackRejected: It says what the file is instead.
    """
    fault = structural_fault(path, kind)
    if fault:
        raise PackRejected(fault, where=str(path))


def verify_weights(pack: ModelPack, path: Path) -> None:
    """Refuse weights that are not, byte for byte, the ones of the pack.

    Raises:
        PackRejected: Both hashes are in it, and a guess at what happened.
    """
    if not pack.sha256:
        raise not_pinned(pack)
    found = sha256_of(path)
    if found != pack.sha256:
        raise PackRejected(
            f"these are not the weights of {pack.name}: {_guess(pack, path)}; "
            f"sha256 is {found}, expected {pack.sha256}",
            where=str(path),
            remedy="Put the right file there, or remove it",
        )
    check_structure(path, kind_of(pack.weights.file))


def not_pinned(pack: ModelPack) -> PackRejected:
    """Return the error for weights of which no hash is known yet."""
    return PackRejected(
        f"nobody has published the hash of {pack.weights.file}, so no file can be checked against "
        "it",
        where=f"model pack {pack.name}",
        remedy=f"`camera-app models fetch --accept-unpinned {pack.name}` takes the file as it "
        "comes from its official address, writes its hash down and holds to it from then on",
    )


def _guess(pack: ModelPack, path: Path) -> str:
    fault = structural_fault(path, kind_of(pack.weights.file))
    if fault:
        return fault
    size, expected = path.stat().st_size, pack.weights.size_bytes
    if not expected:
        return f"another file ({size} bytes)"
    if size < expected:
        return f"the file was cut short, or is another one ({size} of {expected} bytes)"
    if size > expected:
        return f"another file ({size} bytes, expected {expected})"
    return "same length, other content: the file is damaged"
