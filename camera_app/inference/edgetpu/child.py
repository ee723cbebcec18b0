"""The child of one stick: takes the lock, loads library and networks, and runs what it is asked to.

Everything that touches the stick happens here, where a hang or a crash costs nobody else
anything. One thread does it all: the stick does one thing at a time, and each invoke returns to a
thread that nothing else in this process keeps waiting.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from camera_app.children import Channel, ChannelClosed, bound_memory
from camera_app.errors import DeviceRefused, ModelError, PackRejected
from camera_app.inference.edgetpu import findings
from camera_app.inference.edgetpu.findings import LIBRARY, Finding, StickFailed
from camera_app.inference.edgetpu.library import Library, device_option
from camera_app.inference.edgetpu.lock import LockTaken, StickLock
from camera_app.inference.edgetpu.places import Place, find_place, is_permitted
from camera_app.inference.edgetpu.wire import (
    ChildLane,
    Doing,
    LaneClosed,
    LoadedModel,
    Request,
    RequestQueue,
    send_doing,
    send_failed,
    send_ready,
    send_version,
)
from camera_app.inference.runtime import TensorSpec, TfliteInterpreter, choose_runtime, last_words

ENTRY = "camera_app.inference.edgetpu.child:run"

# Of what a process writes for itself (RLIMIT_DATA), not of its address space: the real library maps
# the registers of a card and the memory that it shares with its driver as shared, and a network's
# file is mapped to be read; none of it counts. What counts, by the library's sources: copies of
# instructions and weights (some megabytes; the chip holds 8), 32 buffers of 1 KB for what comes in,
# pieces of 1 MB on their way out, and the stacks of a handful of threads, 8 MB each. All that is
# little beside Python, the runtime and several networks, which take less than a quarter of it.
MEMORY_LIMIT_BYTES = 1024 * 1024 * 1024

LIBRARY_ENTRY = "camera_app.inference.edgetpu.child:tell_library"

# In what the library says of a model that was compiled for a newer one.
_NEWER = "requires runtime version"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The two files of a pack, checked by the parent.

    Attributes:
        pack: Its name.
        edgetpu: Path of the file for the Edge TPU.
        cpu: Path of its twin.
    """

    pack: str
    edgetpu: str
    cpu: str


@dataclass(frozen=True, slots=True)
class Errand:
    """What the child of a stick is told, in values that JSON carries.

    Attributes:
        place: Name of the stick's place.
        models: To load.
        performance: The library's option of that name; empty: its own choice.
    """

    place: str
    models: tuple[ModelFiles, ...] = ()
    performance: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Errand:
        models = tuple(ModelFiles(**files) for files in said["models"])
        return cls(said["place"], models, said["performance"])


def run(channel: Channel, errand: Mapping[str, Any]) -> None:
    """Serve the stick of the errand until the parent has had enough."""
    _leave_no_core_dump()
    bound_memory(MEMORY_LIMIT_BYTES)
    with suppress(ChannelClosed):  # the parent is gone, or has no use for us
        _Serving(channel, Errand.from_json(errand)).run()


def tell_library(channel: Channel, _: Mapping[str, Any]) -> None:
    """Load the library and tell its version, or why that cannot be done; touch no stick."""
    try:
        send_version(channel, Library(LIBRARY).version)
    except StickFailed as failure:
        send_failed(channel, failure.finding)


def _leave_no_core_dump() -> None:
    # The library aborts when a plug is pulled, which is no bug to be examined. While the kernel
    # writes a dump, which takes seconds, the parent would not learn that this process has died.
    # One byte, because Linux heeds no limit but that when dumps go to a program.
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (limit, hard))


class _Serving:
    """One life of one stick."""

    def __init__(self, channel: Channel, errand: Errand) -> None:
        self._channel = channel
        self._errand = errand
        self._place = errand.place
        self._lock = StickLock(errand.place)
        self._interpreters: list[TfliteInterpreter] = []
        self._models: list[LoadedModel] = []
        self._refused: dict[str, Finding] = {}

    def run(self) -> None:
        try:
            lanes = self._open()
        except StickFailed as failure:
            send_failed(self._channel, failure.finding)
            return
        with suppress(LaneClosed, OSError):
            self._serve(lanes)

    def _open(self) -> tuple[ChildLane, ...]:
        place = self._ready_place()
        self._take_lock()
        self._tell("loading the library")
        library = Library(self._place)
        self._tell("opening the stick")
        option = device_option(library.devices(), place.bus, place.port)
        if option is None:
            raise StickFailed(self._why_unseen())
        self._device = self._delegate(option)  # kept, so that the stick stays open between models
        for files in self._errand.models:
            self._load(files, option)
        return send_ready(self._channel, library.version, self._models, self._refused)

    def _ready_place(self) -> Place:
        place = find_place(self._place)
        if place is None:
            raise StickFailed(findings.absent(self._place))
        if place.is_too_slow:
            raise StickFailed(findings.wrong_cable(place))
        if not is_permitted(place):
            raise StickFailed(findings.no_permission(place))
        return place

    def _take_lock(self) -> None:
        try:
            self._lock.take(os.getppid())
        except LockTaken as taken:
            raise StickFailed(findings.busy(self._place, taken.holder)) from taken
        except OSError as error:
            text = f"the lock of this stick cannot be made: {error}"
            raise StickFailed(findings.runtime_refused(self._place, text, "")) from error

    def _delegate(self, option: str) -> Any:
        options = {"device": option}
        if self._errand.performance:
            options["Performance"] = self._errand.performance
        try:
            return choose_runtime().load_delegate(LIBRARY, options)
        except DeviceRefused as error:
            refusal = findings.runtime_refused(self._place, error.what, error.remedy)
            raise StickFailed(refusal) from error
        except ValueError as error:
            raise StickFailed(self._why_refused()) from error

    def _why_unseen(self) -> Finding:
        is_there = find_place(self._place) is not None
        return (findings.not_seen_by_library if is_there else findings.absent)(self._place)

    def _why_refused(self) -> Finding:
        is_there = find_place(self._place) is not None
        return (findings.refused if is_there else findings.absent)(self._place)

    def _load(self, files: ModelFiles, option: str) -> None:
        try:
            self._try_to_load(files, option)
        except ModelError as error:
            self._refused[files.pack] = self._refusal(files.pack, error)

    def _try_to_load(self, files: ModelFiles, option: str) -> None:
        self._tell(f"loading the CPU's file of {files.pack}")
        twin = choose_runtime().load(Path(files.cpu))
        self._tell(f"loading {files.pack}", files.pack)
        # Each network has a delegate of its own, as the library wants it; the stick is one.
        interpreter = choose_runtime().load_on(Path(files.edgetpu), self._delegate(option))
        self._tell(f"running {files.pack} for the first time", files.pack)
        outputs = interpreter.invoke([_zeros(spec) for spec in interpreter.inputs])
        self._interpreters.append(interpreter)
        self._models.append(
            LoadedModel(
                pack=files.pack,
                inputs=interpreter.inputs,
                outputs=interpreter.outputs,
                twin_inputs=twin.inputs,
                twin_outputs=twin.outputs,
                output_bytes=tuple(tensor.values.nbytes for tensor in outputs),
            )
        )

    def _refusal(self, pack: str, error: ModelError) -> Finding:
        if _NEWER in error.what:
            return findings.newer_runtime_needed(self._place, pack, error.what)
        if not isinstance(error, PackRejected):  # it loaded, and failed to run: no matter of files
            raise StickFailed(findings.failed(self._place, pack, error.what)) from error
        return findings.pack_refused(self._place, pack, error.what, error.remedy)

    def _tell(self, what: str, pack: str = "") -> None:
        send_doing(self._channel, Doing(what, pack, len(self._models)))

    def _serve(self, lanes: tuple[ChildLane, ...]) -> None:
        """Answer requests until one fails: then the device is as good as dead for this process."""
        # From here on it aborts when a plug is pulled: the library's own line says enough.
        faulthandler.disable()
        queue = RequestQueue(lanes)
        while True:
            request = queue.next()
            lane = lanes[request.lane]
            try:
                self._answer(lane, request)
            except (ModelError, ValueError) as error:
                text = error.what if isinstance(error, ModelError) else last_words(error)
                lane.refuse(request, text)
                return

    def _answer(self, lane: ChildLane, request: Request) -> None:
        began_ns = time.perf_counter_ns()
        outputs = self._interpreters[request.model].invoke(lane.inputs(request.model))
        lane.answer(request, outputs, time.perf_counter_ns() - began_ns)


def _zeros(spec: TensorSpec) -> np.ndarray[Any, np.dtype[Any]]:
    return np.zeros(spec.shape, spec.dtype)
