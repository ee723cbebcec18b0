"""Which libraries a kernel with pages of 16 kB can load."""

from __future__ import annotations

import struct

import pytest

from tools.arm64.elf import is_elf, is_loadable

KB = 1024


def library(*segments: tuple[int, int, int], kind: int = 1) -> bytes:
    """Return a file with these segments: offset, address, alignment."""
    header = struct.pack("<4s28xQ14xHH4x", b"\x7fELF", 64, 56, len(segments))
    told = [
        struct.pack("<IIQQQQQQ", kind, 5, offset, address, address, 9, 9, align)
        for offset, address, align in segments
    ]
    return header.ljust(64, b"\0") + b"".join(told)


@pytest.mark.parametrize(
    ("content", "loadable"),
    [
        (library((0, 0, 64 * KB), (64 * KB, 128 * KB, 64 * KB)), True),
        (library((0, 0, 16 * KB)), True),
        (library((100, 64 * KB + 100, 64 * KB)), True),  # as far into its page there as here
        (library((0, 0, 4 * KB)), False),  # made for pages of 4 kB
        (library((0, 0, 64 * KB), (0x1773760, 0x1850000, 64 * KB)), False),  # bent by `strip`
        (library((1, 2, 1), kind=4), True),  # a note is not loaded
    ],
)
def test_each_segment_lies_on_pages(content: bytes, loadable: bool) -> None:
    assert is_loadable(content) is loadable


@pytest.mark.parametrize(("content", "verdict"), [(library(), True), (b"#!/bin/sh", False)])
def test_a_library_is_known_by_its_first_bytes(content: bytes, verdict: bool) -> None:
    assert is_elf(content) is verdict
