"""An Edge TPU as the rest of the house sees it: opened, asked, closed, never waited for too long.

When to open it again after it failed is decided elsewhere; so is what is asked of it.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from camera_app.errors import ModelError
from camera_app.inference.edgetpu import findings
from camera_app.inference.edgetpu.child import Errand, ModelFiles
from camera_app.inference.edgetpu.exam import questions, wrong_answer
from camera_app.inference.edgetpu.findings import Finding, FindingKind, StickFailed
from camera_app.inference.edgetpu.life import END_LIMIT_S, Life
from camera_app.inference.edgetpu.places import find_place, temperature_c
from camera_app.inference.edgetpu.twins import Pairing, TwinsDisagree, pairing
from camera_app.inference.edgetpu.wire import LANES, LoadedModel, Ready
from camera_app.inference.runtime import (
    Array,
    Interpreter,
    Outputs,
    Tensor,
    TensorSpec,
    check_inputs,
)
from camera_app.models import ModelPack, locate_weights
from camera_app.threads import Deadline

_log = logging.getLogger(__name__)

# Requests that may be under way at once.
PLACES = LANES
# The first use after a boot loads firmware, which takes 3 s; a small board starts a child in 2 s.
OPEN_LIMIT_S = 15.0


class Performance(StrEnum):
    """How fast the chip runs, and how warm it gets; the library's own words."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    MAX = "Max"


@dataclass(frozen=True, slots=True)
class StickStats:
    """What a stick has done so far.

    Attributes:
        is_open: Whether it can be asked.
        packs: That it can run now, by name.
        refused: Why others cannot run on it, by pack.
        finding: Why it was closed last; None if it never failed, or works again.
        opened: How often it was opened.
        failed: How often it failed, by the finding's kind.
        invokes: Answers that it gave.
        invoke_ns: Time inside networks, all answers together, as its process measured it.
        changes: Answers of another pack than the one before, whose weights had to be brought.
        temperature_c: Of the chip; None where no driver tells.
    """

    is_open: bool = False
    packs: tuple[str, ...] = ()
    refused: dict[str, Finding] = field(default_factory=dict)
    finding: Finding | None = None
    opened: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    invokes: int = 0
    invoke_ns: int = 0
    changes: int = 0
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """A pack on the stick.

    Attributes:
        number: Of the model in requests.
        pairing: Between the two files.
        inputs: As the CPU's interpreter has them, and in its order.
        outputs: Likewise.
    """

    number: int
    pairing: Pairing
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Session:
    """The time between an open and the failure or close that ends it."""

    life: Life
    loaded: dict[str, _Loaded]
    refused: dict[str, Finding]
    questions: list[ModelPack]


class Stick:
    """One Edge TPU with the networks that run on it.

    `open` and `close` belong to one thread at a time; `invoke` and the checks may be called from
    any, `PLACES` of them are served at once and more wait in line. Whatever fails raises
    `StickFailed`, and then the stick is closed: its process is killed, and `open` starts another.

    Attributes:
        place: Name of its place, such as `usb:1-1.4`.
    """

    def __init__(
        self, place: str, packs: Iterable[ModelPack], performance: Performance | None = None
    ) -> None:
        """Remember what to load.

        Args:
            place: Name of its place.
            packs: That are wanted; one without a file for the Edge TPU is refused by name.
            performance: None: as the library thinks.
        """
        self.place = place
        self._packs = {pack.name: pack for pack in packs}
        self._performance = performance
        self._numbers = itertools.count(1)  # of requests, over all lives
        self._turns = itertools.count()  # of known answers asked between the work
        self._opening = threading.Lock()  # one open at a time; guards the next field
        self._crashed: dict[str, Finding] = {}  # packs that are not tried again
        self._guard = threading.Lock()  # guards every field below
        self._life: Life | None = None  # the newest, also when it is over
        self._session: _Session | None = None
        self._is_closing = False
        self._refused: dict[str, Finding] = {}
        self._finding: Finding | None = None
        self._failed: Counter[str] = Counter()
        self._opened = 0
        self._invokes = 0
        self._invoke_ns = 0
        self._changes = 0
        self._asked_last = ""  # the pack that was asked for last; the first is no change

    # --- what is known ---------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it can be asked now, as far as is known; an idle stick may just have died."""
        with self._guard:
            session = self._session
        return session is not None and session.life.finding is None

    @property
    def pid(self) -> int | None:
        """Process id of its child; None when there is none."""
        with self._guard:
            session = self._session
        return session.life.pid if session is not None else None

    @property
    def stats(self) -> StickStats:
        """How it does; from any thread."""
        self._notice_idle_death()
        with self._guard:
            session = self._session
            return StickStats(
                is_open=session is not None,
                packs=tuple(session.loaded) if session is not None else (),
                refused=dict(self._refused),
                finding=self._finding,
                opened=self._opened,
                failed=dict(self._failed),
                invokes=self._invokes,
                invoke_ns=self._invoke_ns,
                changes=self._changes,
                temperature_c=temperature_c(self.place),
            )

    def inputs(self, pack: str) -> tuple[TensorSpec, ...]:
        """Return the inputs of a pack as the CPU's interpreter has them.

        Raises:
            StickFailed: The stick is not open, or does not run this pack.
        """
        return self._loaded(self._open_session(), pack).inputs

    def outputs(self, pack: str) -> tuple[TensorSpec, ...]:
        """Return the outputs of a pack as the CPU's interpreter has them; as `inputs`."""
        return self._loaded(self._open_session(), pack).outputs

    # --- open and close --------------------------------------------------------------------------

    def open(self, limit_s: float = OPEN_LIMIT_S) -> None:
        """Start its process, load every pack, and have each give its known answers.

        A pack that cannot run on it is left out and told in `stats.refused`; only when none is
        left does this fail. A stick that is open already is opened anew.

        Raises:
            StickFailed: It is not open after all; at the latest when the time is over.
        """
        deadline = Deadline(limit_s)
        with self._opening:
            self._end_last_life(deadline)
            try:
                session = self._new_session(deadline)
            except StickFailed as failure:
                self._note_failure(failure.finding)
                raise
            with self._guard:
                if self._is_closing:
                    raise StickFailed(findings.closed(self.place))
                self._session = session
                self._finding = None
                self._opened += 1

    def close(self) -> None:
        """End its process, opened or just being opened; takes a few seconds at most."""
        with self._guard:
            self._is_closing = True
            self._session = None
            life = self._life
        if life is not None:
            life.end()
        with self._opening, self._guard:
            self._is_closing = False
        if life is not None and not life.wait_over(END_LIMIT_S):
            _log.error("the process of %s did not end within %.0f s", self.place, END_LIMIT_S)

    # --- asking ----------------------------------------------------------------------------------

    def invoke(self, pack: str, inputs: Sequence[Array], limit_s: float) -> Outputs:
        """Run a network once.

        Args:
            pack: Its name.
            inputs: Of shape and type of the CPU's file, and in its order.
            limit_s: From now to the answer. It includes what is ahead of this request, so it is
                to be given for two. The caller never waits longer, whatever the stick does.

        Returns:
            Own copies, named and ordered as in the CPU's file.

        Raises:
            StickFailed: It does not run this pack; or it failed or was late, and now it is closed.
            ModelOutputError: The inputs are not those of this network.
        """
        session = self._open_session()
        return self._run(session, pack, self._loaded(session, pack), inputs, limit_s)

    def check_answers(self, limit_s: float) -> None:
        """Ask for every known answer of every pack.

        Raises:
            StickFailed: One is wrong, or the stick failed; now it is closed.
        """
        deadline = Deadline(limit_s)
        session = self._open_session()
        for question in session.questions:
            self._check(session, question, deadline)

    def check_next_answer(self, limit_s: float) -> None:
        """Ask for one known answer, each time the next; cheap enough to be done often.

        Raises:
            StickFailed: It is wrong, or the stick failed; now it is closed.
        """
        session = self._open_session()
        if session.questions:
            question = session.questions[next(self._turns) % len(session.questions)]
            self._check(session, question, Deadline(limit_s))

    def _check(self, session: _Session, question: ModelPack, deadline: Deadline) -> None:
        loaded = session.loaded[question.name]
        asking = self._asking(session, question.name, loaded, deadline)
        difference = wrong_answer(question, asking)
        if difference is not None:
            finding = findings.wrong_answers(self.place, f"{question.name}, {difference}")
            session.life.kill(finding)
            self._end_failed(session, finding)
            raise StickFailed(finding)

    def _asking(
        self, session: _Session, pack: str, loaded: _Loaded, deadline: Deadline
    ) -> Interpreter:
        """Return a pack on the stick as an interpreter, to be used until a deadline."""

        def run(inputs: Sequence[Array]) -> Outputs:
            return self._run(session, pack, loaded, inputs, deadline.remaining_s())

        return _Asking(loaded, run)

    def _run(
        self,
        session: _Session,
        pack: str,
        loaded: _Loaded,
        inputs: Sequence[Array],
        limit_s: float,
    ) -> Outputs:
        check_inputs(inputs, loaded.inputs, where=f"model pack {pack}")
        ordered = [inputs[place] for place in loaded.pairing.inputs]
        with self._guard:  # the stick answers in the order of these numbers
            number = next(self._numbers)
            self._changes += self._asked_last not in ("", pack)
            self._asked_last = pack
        try:
            reply = session.life.ask(number, loaded.number, pack, ordered, limit_s)
        except StickFailed as failure:
            self._end_failed(session, failure.finding)
            raise
        with self._guard:
            self._invokes += 1
            self._invoke_ns += reply.invoke_ns
        return tuple(
            Tensor(spec.name, reply.outputs[place], spec.scale, spec.zero_point)
            for spec, place in zip(loaded.outputs, loaded.pairing.outputs, strict=True)
        )

    def _open_session(self) -> _Session:
        with self._guard:
            session, finding = self._session, self._finding
        if session is None:
            raise StickFailed(finding or findings.closed(self.place))
        return session

    def _loaded(self, session: _Session, pack: str) -> _Loaded:
        loaded = session.loaded.get(pack)
        if loaded is None:
            text = "this pack was not given to the stick"
            finding = session.refused.get(pack) or findings.pack_refused(self.place, pack, text)
            raise StickFailed(finding)
        return loaded

    # --- failing ---------------------------------------------------------------------------------

    def _end_failed(self, session: _Session, finding: Finding) -> None:
        """Close after a failure, once, whoever of several askers comes first."""
        with self._guard:
            is_first = self._session is session
            if is_first:
                self._session = None
        if is_first:
            self._note_failure(finding)

    def _note_failure(self, finding: Finding) -> None:
        if finding.kind is FindingKind.CLOSED:  # that was wanted
            return
        with self._guard:
            self._finding = finding
            self._failed[finding.kind] += 1

    def _notice_idle_death(self) -> None:
        with self._guard:
            session = self._session
        finding = session.life.finding if session is not None else None
        if session is not None and finding is not None:
            self._end_failed(session, finding)

    # --- opening, with _opening held -------------------------------------------------------------

    def _end_last_life(self, deadline: Deadline) -> None:
        """Wait until nothing is left of the process before: it may still have the stick."""
        with self._guard:
            life, self._session = self._life, None
        if life is None:
            return
        life.end()
        if not life.wait_over(deadline.remaining_s()):
            finding = findings.cannot_be_killed(self.place)
            self._note_failure(finding)
            raise StickFailed(finding)

    def _new_session(self, deadline: Deadline) -> _Session:
        if find_place(self.place) is None:  # the child would find out too, a second later
            raise StickFailed(findings.absent(self.place))
        selection = _Selection(self.place, self._packs, self._crashed, self._performance)
        life = Life(self.place, selection.errand)
        with self._guard:
            if self._is_closing:
                raise StickFailed(findings.closed(self.place))
            self._life = life
        life.start()
        try:
            ready = life.wait_ready(deadline.remaining_s())
            return self._examined(life, ready, selection.refused, deadline)
        except StickFailed as failure:
            life.kill(failure.finding)
            if life.crashed_pack:
                self._crashed[life.crashed_pack] = failure.finding
            raise
        except BaseException:
            life.kill(findings.closed(self.place))  # whatever that was, nothing may stay behind
            raise

    def _examined(
        self, life: Life, ready: Ready, refused: Mapping[str, Finding], deadline: Deadline
    ) -> _Session:
        """Take what loaded, pack by pack, if it keeps the twin rule and gives its known answers."""
        session = _Session(life, {}, {**refused, **ready.refused}, [])
        proved, wrong = 0, None
        for number, model in enumerate(ready.models):
            try:
                proved += self._admit(session, number, model, deadline)
            except _NotAdmitted as refusal:
                session.refused[model.pack] = refusal.finding
                if refusal.finding.kind is FindingKind.WRONG_ANSWERS:
                    wrong = refusal.finding
        with self._guard:
            self._refused = dict(session.refused)
        # One wrong pack may be the pack's fault; if no other one has proved the stick, it is not.
        if wrong is not None and not proved:
            raise StickFailed(wrong)
        if self._packs and not session.loaded:
            raise StickFailed(self._why_none(session.refused))
        return session

    def _admit(
        self, session: _Session, number: int, model: LoadedModel, deadline: Deadline
    ) -> bool:
        """Add a pack to the session; return whether known answers have proved the stick."""
        pack = self._packs[model.pack]
        try:
            pairs = pairing(model)
            loaded = _Loaded(number, pairs, model.twin_inputs, model.twin_outputs)
            asked = questions(pack)
            for question in asked:
                asking = self._asking(session, pack.name, loaded, deadline)
                difference = wrong_answer(question, asking)
                if difference is not None:
                    text = f"{pack.name}, {difference}"
                    raise _NotAdmitted(findings.wrong_answers(self.place, text))
        except TwinsDisagree as error:
            files = f"{pack.edgetpu.file if pack.edgetpu else ''} and {pack.weights.file}"
            finding = findings.twins_disagree(self.place, pack.name, f"{files}: {error}")
            raise _NotAdmitted(finding) from error
        except ModelError as error:
            finding = findings.pack_refused(self.place, pack.name, error.what, error.remedy)
            raise _NotAdmitted(finding) from error
        session.loaded[pack.name] = loaded
        session.questions.extend(asked)
        return bool(asked)

    def _why_none(self, refused: Mapping[str, Finding]) -> Finding:
        if find_place(self.place) is None:
            return findings.absent(self.place)
        return next(iter(refused.values()), None) or findings.closed(self.place)


class _NotAdmitted(Exception):
    """A pack cannot run on this stick; others may."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding


class _Selection:
    """Which packs a child is to load, and why not the others."""

    def __init__(
        self,
        place: str,
        packs: Mapping[str, ModelPack],
        crashed: Mapping[str, Finding],
        performance: Performance | None,
    ) -> None:
        self._place = place
        self._packs = dict(packs)
        self._performance = performance
        self.refused = dict(crashed)

    def errand(self) -> Errand:
        """Find and check the files. Called on the guardian's thread, for it reads them whole."""
        files = [
            self._files(pack) for name, pack in self._packs.items() if name not in self.refused
        ]
        models = tuple(file for file in files if file is not None)
        return Errand(self._place, models, self._performance or "")

    def _files(self, pack: ModelPack) -> ModelFiles | None:
        try:
            twin = pack.twin
            if twin is None:
                raise ModelError(
                    "this pack has no file for the Edge TPU",
                    remedy="Compile its file, and name the result under [edgetpu] in the manifest",
                )
            return ModelFiles(pack.name, str(locate_weights(twin)), str(locate_weights(pack)))
        except ModelError as error:
            refusal = findings.pack_refused(self._place, pack.name, error.what, error.remedy)
            self.refused[pack.name] = refusal
            return None


class _Asking:
    """A pack on the stick as an interpreter."""

    def __init__(self, loaded: _Loaded, run: Callable[[Sequence[Array]], Outputs]) -> None:
        self.inputs = loaded.inputs
        self.outputs = loaded.outputs
        self._run = run

    def invoke(self, inputs: Sequence[Array]) -> Outputs:
        return self._run(inputs)
