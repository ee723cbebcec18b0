"""What stops while the disk fills, in which order, and that all of it comes back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.media import SpaceGuard, SpaceLevel, nearest, used_bytes
from camera_app.media.retention import StoredFile
from camera_app.media.space import FULL_BELOW_BYTES, level_of, oldest_worth
from tests.rights import without_rights
from tests.store.test_event_store import in_mount

AMPLE, NO_MEDIA = SpaceLevel.AMPLE, SpaceLevel.NO_MEDIA
NO_SNAPSHOTS, FULL = SpaceLevel.NO_SNAPSHOTS, SpaceLevel.FULL
RESERVE = 100_000_000


@pytest.mark.parametrize(
    ("free_bytes", "was", "expected"),
    [
        (RESERVE, AMPLE, AMPLE),
        (RESERVE - 1, AMPLE, NO_MEDIA),
        (RESERVE // 2, AMPLE, NO_MEDIA),
        (RESERVE // 2 - 1, AMPLE, NO_SNAPSHOTS),
        (FULL_BELOW_BYTES - 1, AMPLE, FULL),
        (RESERVE, NO_MEDIA, NO_MEDIA),  # not well above the limit yet
        (RESERVE * 11 // 10 + 1, NO_MEDIA, AMPLE),
        (RESERVE * 9 // 10, NO_SNAPSHOTS, NO_MEDIA),
        (RESERVE * 2, FULL, AMPLE),
        (FULL_BELOW_BYTES, FULL, FULL),
        (FULL_BELOW_BYTES * 2, FULL, NO_SNAPSHOTS),
    ],
)
def test_levels_worsen_at_once_and_get_better_well_above_a_limit(
    free_bytes: int, was: SpaceLevel, expected: SpaceLevel
) -> None:
    assert level_of(free_bytes, RESERVE, was) is expected


def test_an_owner_who_reserves_nothing_has_pictures_until_the_disk_is_full() -> None:
    assert level_of(FULL_BELOW_BYTES, 0, AMPLE) is AMPLE
    assert level_of(FULL_BELOW_BYTES - 1, 0, AMPLE) is FULL


def test_the_nearest_of_a_folder_is_found_where_nobody_may_look(tmp_path: Path) -> None:
    """Python 3.11 raises where `exists` may not look."""
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    assert nearest(closed / "data" / "a" / "b") == closed / "data"
    closed.chmod(0)
    with without_rights():
        assert nearest(closed / "data") in (closed / "data").parents
    closed.chmod(0o700)
    assert nearest(Path("none/at/all")) == Path.cwd()


def test_what_a_folder_takes_is_counted_up_to_so_many_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("a", "b", "below/c"):
        (tmp_path / name).write_bytes(b"x" * 10)
    (tmp_path / "gone").symlink_to("nowhere")
    assert used_bytes(tmp_path) == 30 + len("nowhere")
    assert used_bytes(tmp_path / "below", most_files=1) == 10
    assert used_bytes(tmp_path / "below", most_files=0) == 0
    assert used_bytes(tmp_path / "none") == 0


@given(st.integers(0, 2 * RESERVE), st.sampled_from(SpaceLevel))
def test_a_level_is_never_better_than_the_free_space_allows(
    free_bytes: int, was: SpaceLevel
) -> None:
    order = list(SpaceLevel)

    found = level_of(free_bytes, RESERVE, was)

    assert order.index(found) >= order.index(level_of(free_bytes, RESERVE, AMPLE))
    assert level_of(free_bytes, RESERVE, found) is found


def test_the_oldest_pictures_go_until_there_is_enough_room() -> None:
    files = [StoredFile(Path(str(n)), 100.0 - n, 10) for n in range(5)]

    assert [file.path.name for file in oldest_worth(files, 25)] == ["4", "3", "2"]
    assert oldest_worth(files, 0) == []
    assert len(oldest_worth(files, 1000)) == 5


def test_pictures_make_room_for_events(tmp_path: Path) -> None:
    """A reserve larger than any disk: stills have stopped, and the oldest go."""
    stills = tmp_path / "stills"
    stills.mkdir()
    for number in range(3):
        file = stills / f"{number}.jpg"
        file.write_bytes(bytes(100))
        os.utime(file, (number, number))
    guard = SpaceGuard(tmp_path, 10**18, [stills])

    space = guard.look()

    assert (space.level, guard.takes_snapshots) == (NO_SNAPSHOTS, False)
    assert (list(stills.iterdir()), guard.made_room) == ([], 3)


def test_what_somebody_else_deletes_meanwhile_is_no_failure(tmp_path: Path) -> None:
    """Who looks after films deletes them too, on a thread of its own; so may the owner."""
    films = tmp_path / "films"
    films.mkdir()
    (films / "gone.mp4").symlink_to(films / "absent")  # in the listing, and not there any more
    (films / "there.mp4").write_bytes(bytes(10))
    guard = SpaceGuard(tmp_path, 10**18, films=[films])
    assert guard.look().level is NO_SNAPSHOTS
    assert guard.made_room == 1
    assert not (films / "there.mp4").exists()


def test_a_disk_that_cannot_be_looked_at_changes_nothing(tmp_path: Path) -> None:
    guard = SpaceGuard(tmp_path / "absent", RESERVE)

    assert guard.look().level is AMPLE


def test_a_filling_disk_stops_one_thing_after_the_other_and_all_resumes(tmp_path: Path) -> None:
    """Level, still kept, event kept: a full disk loses neither an event nor the database."""
    script = Path(__file__).with_name("filling_disk.py")

    done = in_mount(tmp_path, "size=8m", [sys.executable, str(script)])

    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == [
        "ample ample True True",
        "less no_media True True",
        "little no_snapshots False True gone: True",
        "full full False False full",
        "ok",
        "cleared ample True True open 0",
        "complete",
    ]


def test_films_are_the_first_to_go_on_a_filling_disk(tmp_path: Path) -> None:
    """Level, films taken, stills taken: a film that finds the disk full costs no other."""
    script = Path(__file__).with_name("filling_films.py")

    done = in_mount(tmp_path, "size=8m", [sys.executable, str(script)])

    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == [
        "first stopped ample True True",
        "less no_media False True gone: ['1.mp4']",
        "second stopped 30",  # it begins with the key picture before it
        "room ample True True gone: ['1.mp4']",
        "full disk_full True True",
        "mended True True",
        "again ample True True still: True",
        "fourth stopped",
    ]
