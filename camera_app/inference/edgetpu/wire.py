"""What the child of a stick and its parent say to each other, and how tensors lie in memory.

While it loads, the child tells on the channel what it is doing, and in the end that it is ready, or
why it cannot be. It then brings a piece of shared memory and a few lanes. A lane is a socket and a
part of the memory, for one request at a time: whoever holds it writes the inputs, sends the
request, and reads the outputs after the answer. So an answer has one way to go, and nobody else
reads it; its number shows that it is the one that was asked for.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from camera_app.children import Channel, Packet, attach_shared, make_shared
from camera_app.inference.edgetpu.findings import Finding
from camera_app.inference.runtime import Array, Outputs, TensorSpec
from camera_app.threads import Deadline
from camera_app.values import Pixels

# Requests under way at once: while the stick works on one, the next is there already.
LANES = 2

DOING, FAILED, READY, VERSION = b"D", b"F", b"R", b"V"
ANSWERED, REFUSED = 0, 1

_REQUEST = struct.Struct("<QH")  # number, which model
_ANSWER = struct.Struct("<QBQ")  # number, how it went, nanoseconds inside the network
_LINE_BYTES = 64  # tensors begin where a line of the processor's cache does
_LONGEST_PACKET = 4096


class Unintelligible(Exception):
    """A child says what makes no sense; whatever it has become, it is to be ended."""


class LaneClosed(Exception):
    """The child is gone, or was told to go."""


class RunFailed(Exception):
    """The network failed to run on the stick; the library's last words."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network that the child has loaded and run once.

    Attributes:
        pack: Its name.
        inputs: Of the file for the Edge TPU.
        outputs: Likewise.
        twin_inputs: Of the file for the CPU.
        twin_outputs: Likewise.
        output_bytes: Length of each output, as the first run gave it.
    """

    pack: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    twin_inputs: tuple[TensorSpec, ...]
    twin_outputs: tuple[TensorSpec, ...]
    output_bytes: tuple[int, ...]

    @property
    def bytes_needed(self) -> int:
        return self._offsets[-1]

    @property
    def _offsets(self) -> list[int]:
        """Where each input and then each output begins, and where the last one ends."""
        offsets = [0]
        for length in (*map(_length, self.inputs), *self.output_bytes):
            offsets.append(offsets[-1] + -(-length // _LINE_BYTES) * _LINE_BYTES)
        return offsets

    def over(self, memory: Pixels) -> TensorViews:
        """Return views of a lane's memory, uint8 (at least bytes_needed,)."""
        offsets = self._offsets
        inputs = [
            memory[start : start + _length(spec)].view(spec.dtype).reshape(spec.shape)
            for start, spec in zip(offsets, self.inputs, strict=False)
        ]
        outputs = [
            memory[start : start + length]
            for start, length in zip(offsets[len(inputs) :], self.output_bytes, strict=False)
        ]
        return TensorViews(inputs, outputs)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> LoadedModel:
        kinds = ("inputs", "outputs", "twin_inputs", "twin_outputs")
        specs = {kind: tuple(map(_spec, said[kind])) for kind in kinds}
        return cls(said["pack"], output_bytes=tuple(map(int, said["output_bytes"])), **specs)


@dataclass(frozen=True, slots=True, eq=False)
class TensorViews:
    """The tensors of one model in the memory of one lane.

    Attributes:
        inputs: Of the model's types and shapes.
        outputs: Bytes, because a shape may be known only after a run.
    """

    inputs: list[Array]
    outputs: list[Pixels]


def _length(spec: TensorSpec) -> int:
    return prod(spec.shape) * np.dtype(spec.dtype).itemsize


def _spec(said: Mapping[str, Any]) -> TensorSpec:
    return TensorSpec(**{**said, "shape": tuple(int(side) for side in said["shape"])})


# --- loading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Doing:
    """What the child begins to do.

    Attributes:
        what: Goes into "… while {what}".
        pack: That is in the hands of runtime and library together; empty: none is.
        loaded: Packs that were loaded before.
    """

    what: str
    pack: str = ""
    loaded: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """What the library says of itself, from a child that only asks it that."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """What the child has loaded.

    Attributes:
        library: The version that the library gives itself.
        models: In the order of their numbers in requests.
        refused: Why others are not among them, by pack.
        lanes: To ask on.
    """

    library: str
    models: tuple[LoadedModel, ...]
    refused: dict[str, Finding]
    lanes: tuple[Lane, ...]


Said = Doing | Finding | Ready | Version


def send_doing(channel: Channel, doing: Doing) -> None:
    channel.send(DOING + json.dumps(asdict(doing)).encode())


def send_failed(channel: Channel, finding: Finding) -> None:
    channel.send(FAILED + json.dumps(finding.as_json()).encode())


def send_version(channel: Channel, text: str) -> None:
    channel.send(VERSION + json.dumps({"text": text}).encode())


def send_ready(
    channel: Channel, library: str, models: Sequence[LoadedModel], refused: Mapping[str, Finding]
) -> tuple[ChildLane, ...]:
    """Make memory and lanes, tell the parent of them, and return the child's ends."""
    lane_bytes = max([_LINE_BYTES, *(model.bytes_needed for model in models)])
    descriptor, memory = make_shared("camera-app-tensors", LANES * lane_bytes)
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(LANES)]
    said = {
        "library": library,
        "models": [asdict(model) for model in models],
        "refused": {pack: finding.as_json() for pack, finding in refused.items()},
        "lane_bytes": lane_bytes,
    }
    try:
        packet = READY + json.dumps(said).encode()
        channel.send(packet, [descriptor, *(theirs.fileno() for _, theirs in pairs)])
    finally:
        os.close(descriptor)
        for _, theirs in pairs:
            theirs.close()
    parts = np.split(memory, LANES)
    return tuple(
        ChildLane(ours, models, part) for (ours, _), part in zip(pairs, parts, strict=True)
    )


def understood(packet: Packet) -> Said:
    """Return what a child says while it loads.

    Raises:
        Unintelligible: It makes no sense.
    """
    kind = packet.data[:1]
    left = list(packet.descriptors)
    try:
        said = json.loads(packet.data[1:])
        if kind == READY:
            return _ready(said, left)
        if kind == DOING:
            return Doing(str(said["what"]), str(said["pack"]), int(said["loaded"]))
        if kind == FAILED:
            return Finding.from_json(said)
        if kind == VERSION:
            return Version(str(said["text"]))
        raise ValueError("no such kind of packet")
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise Unintelligible(f"{packet.data[:40]!r}: {error}") from error
    finally:
        for descriptor in left:
            os.close(descriptor)


def _ready(said: Mapping[str, Any], descriptors: list[int]) -> Ready:
    """Attach; a descriptor that has found its owner is taken off the list."""
    if len(descriptors) != 1 + LANES:
        raise ValueError(f"ready with {len(descriptors)} descriptors")
    lane_bytes = int(said["lane_bytes"])
    models = tuple(map(LoadedModel.from_json, said["models"]))
    if lane_bytes < max([1, *(model.bytes_needed for model in models)]):
        raise ValueError(f"{lane_bytes} bytes for a lane are too few")
    refused = {str(pack): Finding.from_json(said["refused"][pack]) for pack in said["refused"]}
    memory = attach_shared(descriptors.pop(0), LANES * lane_bytes)
    parts = np.split(memory, LANES)
    ends = [socket.socket(fileno=descriptors.pop(0)) for _ in range(LANES)]
    lanes = tuple(Lane(end, models, part) for end, part in zip(ends, parts, strict=True))
    return Ready(str(said["library"]), models, refused, lanes)


# --- running -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What a run gave.

    Attributes:
        outputs: Own copies, in the order of the file for the Edge TPU.
        invoke_ns: Time inside the network, the child's own measure.
    """

    outputs: tuple[Array, ...]
    invoke_ns: int


class Lane:
    """The parent's end of a lane. One thread at a time."""

    def __init__(self, end: socket.socket, models: Sequence[LoadedModel], memory: Pixels) -> None:
        self._socket = end
        self._models = models
        self._views = [model.over(memory) for model in models]

    def ask(self, number: int, model: int, inputs: Sequence[Array], deadline: Deadline) -> Reply:
        """Have a model run once.

        Args:
            number: Of the request; each has its own.
            model: Its place in what the child said it has loaded.
            inputs: In the order of the file for the Edge TPU, of its shapes and types.
            deadline: Until when an answer is waited for.

        Raises:
            TimeoutError: There is none; the lane is of no more use.
            LaneClosed: The child is gone.
            RunFailed: The network failed.
            Unintelligible: The answer makes no sense.
        """
        self._put(model, inputs)
        return self._understood(
            self._exchange(_REQUEST.pack(number, model), deadline), number, model
        )

    def _put(self, model: int, inputs: Sequence[Array]) -> None:
        # A function of its own: the names in `ask` live on in the stack of an error.
        for view, array in zip(self._views[model].inputs, inputs, strict=True):
            np.copyto(view, array)

    def _exchange(self, request: bytes, deadline: Deadline) -> bytes:
        try:
            self._socket.settimeout(_waitable(deadline))
            self._socket.send(request)
            answer = self._socket.recv(_LONGEST_PACKET)
        except TimeoutError:
            raise
        except OSError as error:
            raise LaneClosed from error
        if not answer:
            raise LaneClosed
        return answer

    def _understood(self, answer: bytes, asked: int, model: int) -> Reply:
        try:
            number, how, invoke_ns = _ANSWER.unpack_from(answer)
            rest = answer[_ANSWER.size :]
            if number != asked:
                raise ValueError(f"asked for {asked}, answered {number}")
            if how == REFUSED:
                raise RunFailed(rest.decode("utf-8", "replace"))
            return Reply(self._outputs(model, rest), invoke_ns)
        except (ValueError, TypeError, struct.error) as error:
            raise Unintelligible(f"{answer[:40]!r}: {error}") from error

    def _outputs(self, model: int, told_shapes: bytes) -> tuple[Array, ...]:
        specs = self._models[model].outputs
        shapes = json.loads(told_shapes) if told_shapes else [spec.shape for spec in specs]
        views = self._views[model].outputs
        return tuple(
            view[: prod(shape) * np.dtype(spec.dtype).itemsize]
            .view(spec.dtype)
            .reshape(shape)
            .copy()
            for spec, shape, view in zip(specs, shapes, views, strict=True)
        )

    def shut(self) -> None:
        """Tell the child that nothing more will come, and wake whoever waits; from any thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the child was first
            return

    def close(self) -> None:
        """Give socket and memory back; nobody may be waiting on it."""
        self._socket.close()
        self._views.clear()  # an error that somebody keeps must not keep the memory too


def _waitable(deadline: Deadline) -> float:
    """Return the time left; never zero, which a socket takes for "do not wait at all"."""
    return deadline.remaining_s() or 1e-6


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """One run that was asked for. Numbers grow, so requests sort by age."""

    number: int
    model: int
    lane: int


class ChildLane:
    """The child's end of a lane."""

    def __init__(self, end: socket.socket, models: Sequence[LoadedModel], memory: Pixels) -> None:
        self.socket = end
        self._models = models
        self._views = [model.over(memory) for model in models]

    def inputs(self, model: int) -> list[Array]:
        """Return the inputs of the request that came last, in place."""
        return self._views[model].inputs

    def receive(self) -> tuple[int, int]:
        """Return number and model of the request that has come.

        Raises:
            LaneClosed: The parent has no more.
        """
        packet = self.socket.recv(_LONGEST_PACKET)
        if not packet:
            raise LaneClosed
        number, model = _REQUEST.unpack(packet)
        return number, model

    def answer(self, request: Request, outputs: Outputs, invoke_ns: int) -> None:
        """Put the outputs into memory and say so.

        Raises:
            ValueError: An output is larger than it was in the first run.
        """
        specs = self._models[request.model].outputs
        for view, tensor in zip(self._views[request.model].outputs, outputs, strict=True):
            content = np.ascontiguousarray(tensor.values).reshape(-1).view(np.uint8)
            if content.size > view.size:
                raise ValueError(
                    f"output {tensor.name} grew from {view.size} to {content.size} bytes"
                )
            np.copyto(view[: content.size], content)
        shapes = [tensor.values.shape for tensor in outputs]
        is_as_told = shapes == [spec.shape for spec in specs]
        rest = b"" if is_as_told else json.dumps(shapes).encode()
        self.socket.send(_ANSWER.pack(request.number, ANSWERED, invoke_ns) + rest)

    def refuse(self, request: Request, text: str) -> None:
        """Say that the run failed."""
        rest = text.encode()[-_LONGEST_PACKET // 2 :]
        self.socket.send(_ANSWER.pack(request.number, REFUSED, 0) + rest)


class RequestQueue:
    """The requests of all lanes, oldest first, in the child."""

    def __init__(self, lanes: Sequence[ChildLane]) -> None:
        self._lanes = lanes
        self._poll = select.poll()
        self._lane_of = {lane.socket.fileno(): index for index, lane in enumerate(lanes)}
        self._waiting: list[Request] = []  # at most one a lane
        for descriptor in self._lane_of:
            self._poll.register(descriptor, select.POLLIN)

    def next(self) -> Request:
        """Wait for requests and return the oldest.

        Raises:
            LaneClosed: The parent has no more.
        """
        for descriptor, _ in self._poll.poll(0 if self._waiting else None):
            index = self._lane_of[descriptor]
            number, model = self._lanes[index].receive()
            self._waiting.append(Request(number, model, index))
        self._waiting.sort()
        return self._waiting.pop(0)
