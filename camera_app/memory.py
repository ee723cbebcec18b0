"""What this process does so that it takes no more memory than it needs, for as long as it runs.

Both are requests to the C library; one that does not know them (musl) is left as it is.
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # from malloc.h of the GNU C library


def share_one_heap() -> None:
    """Have all threads take memory from one heap; call before there is a second thread.

    Otherwise what one thread gave back stays with its own heap, of which there may be eight a
    core. Threads of Python take turns anyway, and networks take what they need when they are
    loaded, so that none of them waits for the heap.
    """
    ask = getattr(ctypes.CDLL(None), "mallopt", None)
    if ask is not None:
        ask(_M_ARENA_MAX, 1)


def give_back_what_is_free() -> None:
    """Give the system what was needed for a while only, as to read files and load networks."""
    ask = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if ask is not None:
        ask(0)
