"""What is asked of the C library, asked of the real one in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from camera_app.clock import ManualClock, nanoseconds
from camera_app.memory import GIVE_BACK_EVERY_S, MemoryKeeper

PIECES = """
import ctypes
from pathlib import Path
from camera_app.memory import give_back_what_is_free

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
pieces = [libc.malloc(60_000) for _ in range(400)]
for piece in pieces:
    libc.memset(piece, 1, 60_000)
for piece in pieces[:-1]:  # the last one keeps the heap from shrinking by itself
    libc.free(piece)
before = resident_bytes()
give_back_what_is_free()
print(before - resident_bytes())
"""


def told(code: str, *words: str) -> int:
    root = str(Path(__file__).parents[1])
    called = [sys.executable, "-c", code, *words]
    environment = {**os.environ, "PYTHONPATH": root}
    return int(subprocess.check_output(called, env=environment, text=True, timeout=60))


def test_what_is_free_goes_back_to_the_system() -> None:
    assert told(PIECES) > 20_000_000


def test_it_is_given_back_once_in_a_while() -> None:
    clock, given = ManualClock(), []
    keeper = MemoryKeeper(clock, lambda: given.append(clock.monotonic_ns()))
    for _ in range(150):
        clock.advance(1.0)
        keeper.look()
    first, second = given
    assert second - first == nanoseconds(GIVE_BACK_EVERY_S)
