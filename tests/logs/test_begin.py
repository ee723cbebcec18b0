"""Logging of a process as it is: what it, its native code and its children write to the end."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from camera_app.logs.begin import reads_journal

LIMIT_S = 30.0
OPENING = """
import ctypes, logging, os, sys, threading, warnings
from camera_app.logs import begin_logging, counts, keep_secret
log = logging.getLogger("camera_app.test")
libc = ctypes.CDLL(None)
"""


def output(body: str, form: str = "human", **environment: str) -> str:
    """Run a body within logging; return what stood on standard error."""
    indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
    program = (
        f"{OPENING}\nwith begin_logging(level='info', form={form!r}, window_s=1.0):\n{indented}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
    )
    return done.stderr.decode()


def messages(text: str) -> list[str]:
    return [json.loads(line)["message"] for line in text.splitlines()]


def test_a_flood_is_one_line_and_its_count() -> None:
    text = output("for i in range(133): log.warning('lost %d times', i)")
    assert "lost 0 times\n" in text
    assert "lost 132 times (and 132 more like it in 0 s)" in text
    assert len(text.splitlines()) == 2


def test_what_was_withheld_is_told_although_nothing_more_is_said() -> None:
    text = output(
        """
log.warning('lost'); log.warning('lost')
stop = threading.Event()
logging.Logger.manager.stop = stop
from camera_app.logs import begin
handler = begin._handlers[0]
write = handler._write
handler._write = lambda record: (write(record), stop.set())
assert stop.wait(20)
os.write(handler.stream.fileno(), b"END\\n")
"""
    )
    assert "lost (and 1 more like it in 1 s)\nEND" in text


def test_whoever_wants_debug_lines_gets_all_of_all() -> None:
    text = output(
        """
logging.getLogger().setLevel('DEBUG')
for i in range(5): log.debug('x'); log.warning('y')
"""
    )
    assert (text.count(" x\n"), text.count(" y\n")) == (5, 5)


def test_what_native_code_writes_is_a_line_without_secrets() -> None:
    text = output(
        """
keep_secret('native-secret-9')
libc.dprintf(2, b'INFO: opening rtsp://u:hunter2@cam native-secret-9\\n')
""",
        form="json",
    )
    [told] = [json.loads(line) for line in text.splitlines()]
    assert told["level"] == "info"
    assert "rtsp://u:***@cam ***" in told["message"]


def test_a_childs_crash_is_one_message_under_its_name() -> None:
    text = output(
        """
from camera_app.children import ChildProcess
child = ChildProcess('tests.logs.test_begin:fail', {'secret': 'hunter2'}, name='cam-front')
child.start()
child._process.wait(20)
child.end()
""",
        form="json",
    )
    [told] = [json.loads(line) for line in text.splitlines()]
    assert (told["level"], told["camera"]) == ("error", "front")
    assert told["message"].startswith("cam-front: Traceback")
    assert "rtsp://u:***@cam" in told["message"].splitlines()[-1]
    assert "hunter2" not in told["message"].splitlines()[-1]


def fail(_channel: object, errand: dict[str, str]) -> None:
    """Fail in a child with a secret in the error."""
    raise OSError(f"rtsp://u:{errand['secret']}@cam")


def test_errors_that_nobody_catches_are_logged_and_not_printed() -> None:
    text = output(
        """
warnings.warn('look at rtsp://u:hunter2@cam')
def fail(): raise OSError('thread rtsp://u:hunter2@cam')
thread = threading.Thread(target=fail, name='a-thread'); thread.start(); thread.join()
sys.excepthook(ValueError, ValueError('main rtsp://u:hunter2@cam'), None)
""",
        form="json",
    )
    assert "hunter2" not in text
    told = [json.loads(line) for line in text.splitlines()]
    levels = [one["level"] for one in told]
    assert levels == ["warning", "critical", "critical"]
    assert "thread a-thread ended" in told[1]["message"]
    assert told[2]["error"] == "ValueError: main rtsp://u:***@cam"


def test_a_crash_of_the_process_itself_leaves_its_stack() -> None:
    text = output("os.kill(os.getpid(), 11)")
    assert "Fatal Python error: Segmentation fault" in text


def test_a_full_pipe_loses_lines_and_hangs_nobody() -> None:
    text = output(
        """
from camera_app.logs import begin
handler = begin._handlers[0]
handler.acquire()
for _ in range(5000): libc.dprintf(2, b'y' * 100 + b'\\n')
handler.release()
""",
        form="json",
    )
    assert all("y" * 100 in message for message in messages(text))


def test_credentials_of_systemd_are_known_for_secrets(tmp_path: Path) -> None:
    (tmp_path / "mqtt-password").write_text("from-systemd-5\n")
    text = output("log.warning('from-systemd-5')", CREDENTIALS_DIRECTORY=str(tmp_path))
    assert text.endswith(": ***\n")


def test_where_the_journal_reads_a_line_is_json_with_its_importance() -> None:
    read_end, write_end = os.pipe()
    status = os.fstat(write_end)
    program = f"{OPENING}\nwith begin_logging(level='info'): log.error('x')"
    environment = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    try:
        run(program, write_end, environment)
        line = os.read(read_end, 65536).decode()
    finally:
        os.close(read_end)
        os.close(write_end)
    assert line.startswith('<3>{"time": ')


def test_another_stream_than_the_journals_is_for_a_person() -> None:
    read_end, write_end = os.pipe()
    try:
        status = os.fstat(read_end)
        assert reads_journal(write_end, f"{status.st_dev}:{status.st_ino}")
        assert not reads_journal(write_end, "")
        assert not reads_journal(write_end, "1:1")
    finally:
        os.close(read_end)
        os.close(write_end)
    assert "ERROR   camera_app.test: x" in output("log.error('x')", "auto", JOURNAL_STREAM="1:1")


def test_a_terminal_has_colour_unless_it_is_not_wanted() -> None:
    assert "\033[31m" in on_terminal({})
    assert "\033[31m" not in on_terminal({"NO_COLOR": "1"})


def on_terminal(environment: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    program = f"{OPENING}\nwith begin_logging(level='info'): log.error('x')"
    try:
        run(program, theirs, {**os.environ, **environment})
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def run(program: str, stderr: int, environment: dict[str, str]) -> None:
    words: Sequence[str] = [sys.executable, "-c", program]
    folder = Path(__file__).parents[2]
    subprocess.run(words, stderr=stderr, env=environment, cwd=folder, check=True, timeout=LIMIT_S)
