"""Which files go first."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from camera_app.media import StoredFile, files_to_delete

BEGIN_S = 1_800_000_000.0
NOW_S = BEGIN_S + 1000.0


def file(name: str, written_s: float, size_bytes: int = 10) -> StoredFile:
    return StoredFile(Path(name), BEGIN_S + written_s, size_bytes)


def test_the_oldest_go_when_space_ends() -> None:
    files = [file("b", 20), file("a", 10), file("c", 30)]
    assert files_to_delete(files, 25, 1e9, NOW_S) == [files[1]]


def test_what_is_too_old_goes_though_there_is_space() -> None:
    files = [file("old", 100), file("new", 900)]
    assert files_to_delete(files, 1000, 500, NOW_S) == [files[0]]


def test_age_counts_only_where_the_date_is_known() -> None:
    """What a machine without a clock wrote in 1970 is not fifty years old."""
    undated, old = StoredFile(Path("undated"), 1000.0, 10), file("old", 100)
    assert files_to_delete([undated, old], 1000, 500, NOW_S) == [old]
    assert files_to_delete([undated, old], 1000, 500, 9000.0) == []
    assert files_to_delete([undated, file("new", 900)], 15, 500, NOW_S) == [undated]


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 50)), max_size=30), st.integers(0, 300)
)
def test_what_stays_fits_and_nothing_older_stays_than_goes(
    described: list[tuple[float, int]], limit_bytes: int
) -> None:
    files = [file(str(n), *one) for n, one in enumerate(described)]
    doomed = files_to_delete(files, limit_bytes, 1e9, NOW_S)
    kept = [one for one in files if one not in doomed]
    assert sum(one.size_bytes for one in kept) <= limit_bytes
    if doomed and kept:
        assert max(one.written_s for one in doomed) <= min(one.written_s for one in kept)
