"""A child that says and does what no child of ours should, and a parent that copes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from camera_app.children import ChildProcess
from camera_app.inference.edgetpu import findings
from camera_app.inference.edgetpu import life as life_module
from camera_app.inference.edgetpu.child import Errand
from camera_app.inference.edgetpu.findings import FindingKind, StickFailed
from camera_app.inference.edgetpu.life import Life
from camera_app.inference.edgetpu.wire import Ready
from camera_app.roster import ROSTER, ROUND_LIMIT_S
from camera_app.threads import Deadline
from tests.inference.edgetpu.conftest import LIMIT_S
from tests.waiting import wait_until
from tools.edgetpu_sim.system_root import Showing, UsbFiles, make_root

SHORT_S = 0.2

ERRANDS = '''
import os, signal, socket, threading
import numpy as np
from camera_app.inference.edgetpu import wire
from camera_app.inference.edgetpu.wire import Doing, LoadedModel, Request, RequestQueue
from camera_app.inference.runtime import Tensor, TensorSpec

ONE = TensorSpec("one", (4,), "int8")
LATER = TensorSpec("later", (), "float32")
MODEL = LoadedModel("pack", (ONE,), (ONE, LATER), (ONE,), (ONE, LATER), (4, 24))

def ready(channel):
    lanes = wire.send_ready(channel, "test", [MODEL], {})
    return lanes, RequestQueue(lanes)

def plus_one(inputs, rows=2):
    return [Tensor("one", inputs[0] + 1), Tensor("later", np.full((rows, 3), 0.5, np.float32))]

def honest(channel, errand):
    """Add one; the other output has as many rows as the first number says."""
    lanes, queue = ready(channel)
    while True:
        request = queue.next()
        inputs = lanes[request.lane].inputs(request.model)
        lanes[request.lane].answer(request, plus_one(inputs, int(inputs[0][0])), 5)

def other_number(channel, errand):
    lanes, queue = ready(channel)
    request = queue.next()
    wrong = Request(request.number + 1, request.model, request.lane)
    lanes[request.lane].answer(wrong, plus_one(lanes[request.lane].inputs(0)), 5)
    queue.next()

def half_answer(channel, errand):
    lanes, queue = ready(channel)
    request = queue.next()
    lanes[request.lane].socket.send(b"half")
    queue.next()

def shape_beyond_memory(channel, errand):
    lanes, queue = ready(channel)
    request = queue.next()
    answer = wire._ANSWER.pack(request.number, wire.ANSWERED, 5) + b"[[4], [999, 3]]"
    lanes[request.lane].socket.send(answer)
    queue.next()

def leaves_when_asked(channel, errand):
    lanes, queue = ready(channel)
    queue.next()
    os._exit(3)

def hangs_up_and_stays(channel, errand):
    lanes, queue = ready(channel)
    request = queue.next()
    lanes[request.lane].socket.shutdown(socket.SHUT_RDWR)
    threading.Event().wait()

def babbles(channel, errand):
    channel.send(b"D{")
    threading.Event().wait()

def ready_without_memory(channel, errand):
    channel.send(wire.READY + b'{"library": "", "models": [], "refused": {}, "lane_bytes": 64}')
    threading.Event().wait()

def ready_with_unsealed_memory(channel, errand):
    descriptors = [os.memfd_create("test") for _ in range(3)]
    for descriptor in descriptors:
        os.ftruncate(descriptor, 4096)
    told = b'{"library": "", "models": [], "refused": {}, "lane_bytes": 64}'
    channel.send(wire.READY + told, descriptors)
    threading.Event().wait()

def crashes_at_second(channel, errand):
    wire.send_doing(channel, Doing("loading second", "second", 1))
    os.kill(os.getpid(), signal.SIGSEGV)

def crashes_in_driver(channel, errand):
    wire.send_doing(channel, Doing("opening the stick", "", 0))
    os.kill(os.getpid(), signal.SIGABRT)

def busy_at_end(channel, errand):
    """Deaf to a hang-up of its lanes."""
    os.dup(channel._socket.fileno())
    ready(channel)
    threading.Event().wait()
'''

StartLife = Callable[[str], Life]


@pytest.fixture
def start_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartLife]:
    (tmp_path / "edgetpu_errands_for_tests.py").write_text(ERRANDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    make_root(tmp_path)
    UsbFiles(tmp_path, "9-1").show(Showing(3, is_loaded=True, speed_mbit=5000))
    monkeypatch.setenv("CAMERA_APP_SYSTEM_ROOT", str(tmp_path))
    lives: list[Life] = []

    def start(errand: str) -> Life:
        monkeypatch.setattr(life_module, "ENTRY", f"edgetpu_errands_for_tests:{errand}")
        life = Life("usb:9-1", lambda: Errand("usb:9-1"))
        life.start()
        lives.append(life)
        return life

    yield start
    for life in lives:
        life.end()
        assert life.wait_over(LIMIT_S)


def ask(life: Life, first: int = 2, *, number: int = 1, limit_s: float = LIMIT_S) -> list[int]:
    reply = life.ask(number, 0, "pack", [np.array([first, 7, 8, 9], np.int8)], limit_s)
    assert reply.outputs[1].shape == (first, 3)
    assert (reply.outputs[1] == 0.5).all()
    return [int(value) for value in reply.outputs[0]]


def why_not_ready(life: Life) -> StickFailed:
    with pytest.raises(StickFailed) as failure:
        life.wait_ready(LIMIT_S)
    return failure.value


def test_outputs_whose_shape_is_known_only_after_a_run_come_with_it(
    start_life: StartLife,
) -> None:
    life = start_life("honest")
    assert isinstance(life.wait_ready(LIMIT_S), Ready)
    assert ask(life, 2, number=1) == [3, 8, 9, 10]
    assert ask(life, 1, number=2) == [2, 8, 9, 10]


def test_an_output_that_outgrows_its_memory_ends_the_child_not_the_parent(
    start_life: StartLife,
) -> None:
    life = start_life("honest")
    life.wait_ready(LIMIT_S)
    with pytest.raises(StickFailed, match="ended .exit status 1. while running a network"):
        ask(life, 3)


def owed_s() -> list[float]:
    """Return within which time the guardian of a stick owes its next sign of life."""
    return [one.within_s for one in ROSTER.signs() if one.thread == "camera-app-stick-usb:9-1"]


def test_the_guardian_owes_a_sign_of_life_but_while_it_hears_the_child(
    start_life: StartLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that says nothing is no hang of ours; one that cannot be buried is."""
    is_free, bury = threading.Event(), Life._bury

    def late(life: Life, child: ChildProcess) -> None:
        is_free.wait(LIMIT_S)
        bury(life, child)

    monkeypatch.setattr(Life, "_bury", late)
    life = start_life("honest")
    life.wait_ready(LIMIT_S)
    assert wait_until(lambda: owed_s() == [math.inf])
    life.end()
    assert wait_until(lambda: owed_s() == [ROUND_LIMIT_S])
    is_free.set()
    assert life.wait_over(LIMIT_S)
    assert owed_s() == []


@pytest.mark.parametrize("errand", ["other_number", "half_answer", "shape_beyond_memory"])
def test_an_answer_that_is_not_the_one_asked_for_is_never_taken(
    start_life: StartLife, errand: str
) -> None:
    life = start_life(errand)
    life.wait_ready(LIMIT_S)
    with pytest.raises(StickFailed, match="not to be understood"):
        ask(life)


@pytest.mark.parametrize(
    "errand", ["babbles", "ready_without_memory", "ready_with_unsealed_memory"]
)
def test_a_child_that_makes_no_sense_at_its_start_is_ended(
    start_life: StartLife, errand: str
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    life = start_life(errand)
    assert "not to be understood" in str(why_not_ready(life))
    assert life.wait_over(LIMIT_S)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_child_that_leaves_at_work_is_told_with_how(start_life: StartLife) -> None:
    life = start_life("leaves_when_asked")
    life.wait_ready(LIMIT_S)
    with pytest.raises(StickFailed, match="ended .exit status 3. while running a network"):
        ask(life)


def test_a_child_that_lets_go_of_its_lane_and_stays_is_no_stick_that_somebody_closed(
    start_life: StartLife,
) -> None:
    """So it looks, too, where a child that died is not buried before the asker's time is over."""
    life = start_life("hangs_up_and_stays")
    life.wait_ready(LIMIT_S)
    with pytest.raises(StickFailed) as failure:
        ask(life, limit_s=SHORT_S)
    assert failure.value.finding.kind is FindingKind.HUNG
    assert life.wait_over(LIMIT_S)


def test_a_pack_that_crashes_after_another_has_loaded_is_to_blame(start_life: StartLife) -> None:
    life = start_life("crashes_at_second")
    failure = why_not_ready(life)
    assert failure.finding.kind is FindingKind.PACK_REFUSED
    assert life.crashed_pack == "second"


def test_an_abort_of_the_driver_at_load_is_no_mismatch(start_life: StartLife) -> None:
    failure = why_not_ready(start_life("crashes_in_driver"))
    assert failure.finding.kind is FindingKind.DIED
    assert "(SIGABRT) while opening the stick" in failure.finding.what


def test_a_child_that_does_not_go_when_asked_is_killed(
    start_life: StartLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life_module, "STOP_GRACE_S", SHORT_S)
    life = start_life("busy_at_end")
    life.wait_ready(LIMIT_S)
    pid = life.pid
    life.end()
    assert life.wait_over(LIMIT_S)
    assert not Path(f"/proc/{pid}").exists()
    assert life.finding is None


def test_who_waits_in_line_when_it_is_closed_is_told(start_life: StartLife) -> None:
    life = start_life("busy_at_end")
    life.wait_ready(LIMIT_S)
    told: list[FindingKind] = []

    def wait() -> None:
        try:
            ask(life)
        except StickFailed as failure:
            told.append(failure.finding.kind)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    life.end()
    for thread in threads:
        thread.join(LIMIT_S)
    assert told == [FindingKind.CLOSED] * 3


def test_a_reason_that_cannot_be_made_fails_the_open(
    start_life: StartLife, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> Errand:
        raise RuntimeError("a bug of ours")

    life = Life("usb:9-1", refuse)
    life.start()
    assert "RuntimeError: a bug of ours" in str(why_not_ready(life))
    assert life.wait_over(LIMIT_S)
    assert "the guardian of usb:9-1 failed" in caplog.text


def test_the_first_finding_stays(start_life: StartLife) -> None:
    life = start_life("busy_at_end")
    life.wait_ready(LIMIT_S)
    life.kill(findings.hung("usb:9-1", "pack", 0.1))
    life.kill(findings.absent("usb:9-1"))
    assert life.wait_over(LIMIT_S)
    assert life.finding == findings.hung("usb:9-1", "pack", 0.1)
    life.kill(findings.absent("usb:9-1"))
    assert life.finding.kind is FindingKind.HUNG


def test_lanes_are_given_in_the_order_in_which_they_were_wanted(start_life: StartLife) -> None:
    """Else a known answer might never be asked for beside two cameras that ask without pause."""
    life = start_life("honest")
    life.wait_ready(LIMIT_S)
    lanes = [life._take_lane(Deadline(LIMIT_S)) for _ in range(2)]
    got: list[int] = []

    def want(number: int) -> None:
        lane = life._take_lane(Deadline(LIMIT_S))
        got.append(number)
        life._give_back(lane)

    threads = [threading.Thread(target=want, args=(number,)) for number in range(5)]
    pause = threading.Event()
    for number, thread in enumerate(threads):
        thread.start()
        while len(life._tickets) <= number:
            pause.wait(0.001)
    life._give_back(lanes[0])
    for thread in threads:
        thread.join(LIMIT_S)
    assert got == [0, 1, 2, 3, 4]
    life._give_back(lanes[1])
