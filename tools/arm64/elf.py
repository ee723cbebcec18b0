"""Whether a kernel can load a program or library of 64-bit ARM. Pure.

A Raspberry Pi 5 has pages of 16 kB. What was put together for smaller ones, or bent by a tool that
rewrites files, is refused there, and at best only when it is first needed.
"""

from __future__ import annotations

import struct

PAGE_BYTES = 16384
_MAGIC = b"\x7fELF"
_LOAD = 1
_HEADER = struct.Struct("<32xQ14xHH")  # where the segments are told, size of one, how many
_SEGMENT = struct.Struct("<IIQQQQQQ")


def is_elf(content: bytes) -> bool:
    """Say whether this is a program or library at all."""
    return content[:4] == _MAGIC


def is_loadable(content: bytes) -> bool:
    """Say whether each segment lies on pages, in the file as in memory."""
    first, size, count = _HEADER.unpack_from(content)
    for number in range(count):
        kind, _, offset, address, *_, align = _SEGMENT.unpack_from(content, first + number * size)
        if kind == _LOAD and (align < PAGE_BYTES or (offset - address) % align):
            return False
    return True
