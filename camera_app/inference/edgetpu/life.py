"""One child of a stick, from its start to its end, as the parent sees it.

A guardian thread of its own starts the child, hears what it says while it loads, learns of its end
and buries it. Whoever asks something does so on a lane, on his own thread, and waits no longer
than his limit: he may have the child killed, which takes no time, and leaves the rest to the
guardian.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from camera_app.children import ChannelClosed, ChildProcess
from camera_app.inference.edgetpu import findings
from camera_app.inference.edgetpu.child import ENTRY, Errand
from camera_app.inference.edgetpu.findings import Finding, StickFailed
from camera_app.inference.edgetpu.places import find_place
from camera_app.inference.edgetpu.wire import (
    Doing,
    Lane,
    LaneClosed,
    Ready,
    Reply,
    RunFailed,
    Said,
    Unintelligible,
    understood,
)
from camera_app.inference.runtime import Array
from camera_app.roster import ROSTER, Vital
from camera_app.threads import Deadline

_log = logging.getLogger(__name__)

# What an orderly end may take: the run under way, and giving the stick back.
STOP_GRACE_S = 1.0
# How long after its last word a child that is about to end may still be there.
DYING_GRACE_S = 0.5
# What the guardian needs at most for grace, kill and burial.
END_LIMIT_S = 5.0

# Ways in which native code ends its process.
CANNOT_BE_KILLED = "cannot be killed"
_CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"})


class Life:
    """A child and the lanes to it. It is started once; after its end there is another one.

    Attributes:
        place: Name of the stick's place.
        crashed_pack: The pack that crashed the child when it was loaded, although another one did
            not; empty if none did. To be read when the life is over.
    """

    def __init__(self, place: str, make_errand: Callable[[], Errand]) -> None:
        """Remember what to run.

        Args:
            place: Name of the stick's place.
            make_errand: Called on the guardian's thread, because it reads files.
        """
        self.place = place
        self._make_errand = make_errand
        name = f"camera-app-stick-{place}"
        self._guardian = threading.Thread(target=self._guard, name=name, daemon=True)
        self._changed = threading.Condition()  # guards every field below
        self._child: ChildProcess | None = None
        self._pidfd = -1
        self._doing = Doing("starting")
        self._ready: Ready | None = None
        self._free: list[Lane] = []
        self._tickets: deque[object] = deque()  # of those who want a lane, oldest first
        self._finding: Finding | None = None  # why it ended; the first one stays
        self._is_ending = False  # it was told to end, killed, or is over
        self._is_over = False  # nothing is left of the child
        self._died_at_work = False
        self.crashed_pack = ""

    # --- for any thread --------------------------------------------------------------------------

    def start(self) -> None:
        self._guardian.start()

    @property
    def pid(self) -> int | None:
        """The child's process id; None when there is none."""
        with self._changed:
            return self._child.pid if self._child is not None else None

    @property
    def finding(self) -> Finding | None:
        """Why it ended; None while it has not, or if that was wanted."""
        with self._changed:
            return self._finding

    def wait_ready(self, limit_s: float) -> Ready:
        """Wait until the child has loaded everything; one that is late is killed.

        Raises:
            StickFailed: It will not be ready.
        """
        with self._changed:
            is_decided = self._changed.wait_for(
                lambda: self._ready is not None or self._finding is not None or self._is_ending,
                limit_s,
            )
            ready, doing = self._ready, self._doing
        if not is_decided:
            self.kill(findings.hung_at_load(self.place, doing.what, limit_s))
        if ready is None:
            raise self._failure()
        return ready

    def ask(
        self, number: int, model: int, pack: str, inputs: Sequence[Array], limit_s: float
    ) -> Reply:
        """Have a model run once; a child that is late is killed.

        Args:
            number: Of the request; each has its own.
            model: Its place in what the child has loaded.
            pack: Its name, for error texts.
            inputs: In the order of the Edge TPU's file.
            limit_s: From now to the answer, with what is ahead in the queue.

        Raises:
            StickFailed: There is no answer; the child is no more.
        """
        deadline = Deadline(limit_s)
        try:
            lane = self._take_lane(deadline)
            try:
                return lane.ask(number, model, inputs, deadline)
            except LaneClosed:
                self._died_at_work = True
                raise
            finally:
                self._give_back(lane)
        except TimeoutError as error:
            self.kill(findings.hung(self.place, pack, limit_s))
            raise self._failure() from error
        except LaneClosed as error:
            if not self._is_reason_known(deadline):
                self.kill(findings.hung(self.place, pack, limit_s))
            raise self._failure() from error
        except RunFailed as error:
            self.kill(findings.failed(self.place, pack, str(error)))
            raise self._failure() from error
        except Unintelligible as error:
            self.kill(findings.unintelligible(self.place, str(error)))
            raise self._failure() from error

    def kill(self, finding: Finding) -> None:
        """End the child at once, without waiting for it; may be called often.

        Args:
            finding: Why; counts only if nothing else was found before.
        """
        with self._changed:
            self._finding = self._finding or finding
            self._is_ending = True
            self._send_kill()
            self._wake_guardian()  # a child that cannot be killed will not wake it
            self._changed.notify_all()

    def end(self) -> None:
        """Ask the child to end; `wait_over` tells when it has."""
        with self._changed:
            self._is_ending = True
            self._wake_guardian()
            self._changed.notify_all()

    def wait_over(self, limit_s: float) -> bool:
        """Wait until nothing is left of the child; return whether that is so."""
        self._guardian.join(limit_s)
        return not self._guardian.is_alive()

    def _failure(self) -> StickFailed:
        return StickFailed(self.finding or findings.closed(self.place))

    def _take_lane(self, deadline: Deadline) -> Lane:
        """Wait for a lane, first come, first served: under full load nobody waits for ever."""
        ticket = object()
        with self._changed:
            self._tickets.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._is_ending or (bool(self._free) and self._tickets[0] is ticket),
                    deadline.remaining_s(),
                )
                if self._is_ending:
                    raise LaneClosed
                if not self._free or self._tickets[0] is not ticket:
                    raise TimeoutError
                return self._free.pop()
            finally:
                self._tickets.remove(ticket)
                if self._tickets:
                    self._changed.notify_all()

    def _give_back(self, lane: Lane) -> None:
        """A lane is closed by whoever has it last: nobody else can be waiting on it then."""
        with self._changed:
            if self._is_over:
                lane.close()
                return
            self._free.append(lane)
            if self._tickets:
                self._changed.notify_all()

    def _is_reason_known(self, deadline: Deadline) -> bool:
        """Wait until the guardian has seen how the child ended, and return whether it has.

        On a busy machine that may take longer than who asks can wait, and a child may let go of
        its lane without ending: both must not be taken for an end that was wanted.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._finding is not None or self._is_ending, deadline.remaining_s()
            )

    def _send_kill(self) -> None:  # with the lock held
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _wake_guardian(self) -> None:  # with the lock held
        if self._child is not None:
            self._child.channel.interrupt()

    # --- for the guardian ------------------------------------------------------------------------

    def _guard(self) -> None:
        vital = ROSTER.enter(self._guardian.name)
        try:
            child = ChildProcess(ENTRY, self._make_errand().as_json(), name=self._process_name())
            child.start()
            try:
                self._adopt(child)
                self._listen(child, vital)
            finally:
                self._bury(child)
        except Exception as error:
            # The safety net of the thread: whoever waits must hear that nothing will come.
            _log.exception("the guardian of %s failed", self.place)
            self._conclude(findings.unintelligible(self.place, f"{type(error).__name__}: {error}"))
        finally:
            self._conclude(None)
        ROSTER.leave(vital)

    def _process_name(self) -> str:
        return f"tpu-{self.place.partition(':')[2]}"

    def _adopt(self, child: ChildProcess) -> None:
        pid = child.pid
        assert pid is not None  # it was just started, and nobody else ends it
        with self._changed:
            self._child = child
            self._pidfd = os.pidfd_open(pid)
            if self._finding is not None:  # killed before it was there
                self._send_kill()

    def _listen(self, child: ChildProcess, vital: Vital) -> None:
        """Hear the child until it is gone, or has to go."""
        while not self._must_end():
            vital.owe_nothing()  # who waits for the child has a limit, and kills it
            try:
                packet = child.channel.receive()
                said = understood(packet) if packet is not None else None
            except ChannelClosed:
                return
            except Unintelligible as error:
                self.kill(findings.unintelligible(self.place, str(error)))
                return
            finally:
                vital.promise()
            self._note(said)

    def _must_end(self) -> bool:
        with self._changed:
            return self._is_ending

    def _note(self, said: Said | None) -> None:
        with self._changed:
            if isinstance(said, Doing):
                self._doing = said
            elif isinstance(said, Finding):
                self._finding = self._finding or said
            elif isinstance(said, Ready):
                self._ready = said
                self._free = list(said.lanes)
            self._changed.notify_all()

    def _bury(self, child: ChildProcess) -> None:
        """End the child if it is still there, and tell why it ended."""
        ending = child.end(grace_s=self._grace_s())
        with self._changed:
            self._child = None
            if self._pidfd >= 0:
                os.close(self._pidfd)
                self._pidfd = -1
            is_unforeseen = self._finding is None and not self._is_ending
        if ending == CANNOT_BE_KILLED:
            self._conclude(findings.cannot_be_killed(self.place))
        elif is_unforeseen:
            self._conclude(self._why_it_died(ending))

    def _grace_s(self) -> float:
        """Return how long the child may take to end by itself, having asked it to if need be."""
        with self._changed:
            is_killed = self._finding is not None
            lanes = self._ready.lanes if self._ready is not None else ()
            if not self._is_ending or is_killed:
                return DYING_GRACE_S
        for lane in lanes:
            lane.shut()
        return STOP_GRACE_S if lanes else 0.0  # while it loads, it does not listen

    def _why_it_died(self, ending: str) -> Finding:
        doing, ready = self._doing, self._ready
        if find_place(self.place) is None:
            return findings.absent(self.place)
        if ready is not None:
            # A lane that is back already was given back by a thread that has said so before.
            is_idle = len(self._free) == len(ready.lanes) and not self._died_at_work
            return findings.died(self.place, ending, "idle" if is_idle else "running a network")
        if not doing.pack or ending not in _CRASHES:
            return findings.died(self.place, ending, doing.what)
        if doing.loaded == 0:
            return findings.library_mismatch(self.place, ending)
        self.crashed_pack = doing.pack
        text = f"the library crashed while {doing.what} ({ending}); it took another pack before"
        return findings.pack_refused(self.place, doing.pack, text)

    def _conclude(self, finding: Finding | None) -> None:
        """Note that the child is no more, and close what was open to it."""
        with self._changed:
            self._finding = self._finding or finding
            self._is_ending = self._is_over = True
            self._ready = None  # the memory goes when the last answer was copied out of it
            for lane in self._free:
                lane.close()
            self._free.clear()
            self._changed.notify_all()
