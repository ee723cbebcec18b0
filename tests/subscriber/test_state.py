from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from camera_app.errors import UsageError
from camera_app.subscriber import FileSink, State, TextSink, load_state, save_state


def test_a_state_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = State("me", {"cam1/front": 7}, out_bytes=123)

    save_state(path, state)

    assert load_state(path) == state
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_a_first_run_gets_a_name_of_its_own(tmp_path: Path) -> None:
    first, second = load_state(tmp_path / "absent"), load_state(tmp_path / "absent")

    assert first.client_id != second.client_id
    assert (first.through_seq, first.out_bytes) == ({}, None)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema":99}', '{"schema":1,"client_id":"a","through_seq":3}']
)
def test_a_file_that_is_no_state_is_left_alone_and_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state"
    path.write_text(text)

    with pytest.raises(UsageError, match="Name another file"):
        load_state(path)
    assert path.read_text() == text


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        save_state(tmp_path / "absent" / "state", State("me"))


def test_lines_after_the_saved_position_are_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("before us\n")
    sink = FileSink(path)
    assert sink.open(None) == 10
    saved = sink.write(["one", "two"])
    sink.write(["three, not saved"])
    sink.close()

    sink.open(saved)
    sink.write(["three"])
    sink.close()

    assert path.read_text() == "before us\none\ntwo\nthree\n"


def test_a_file_that_lost_lines_is_not_written_on(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("short\n")

    with pytest.raises(UsageError, match="lines are gone"):
        FileSink(tmp_path / "out").open(100)


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        FileSink(tmp_path).open(None)


def test_text_goes_out_at_once() -> None:
    out = io.StringIO()

    assert TextSink(out).write([json.dumps({"seq": 1})]) is None
    assert out.getvalue() == '{"seq": 1}\n'
