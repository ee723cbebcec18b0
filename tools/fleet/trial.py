"""One fleet at one broker: its phases in turn, and the figures of each."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from tools.fleet.cameras import Told, Wishes, play
from tools.fleet.figures import Figures, Key, latency
from tools.fleet.limits import process_memory_mb
from tools.fleet.listener import listen
from tools.fleet.wire import FleetError

STOP_LIMIT_S = 30.0


def try_fleet(port: int, broker: int, wishes: Wishes) -> Figures:
    """Return what a fleet does at a broker that nobody else uses.

    Args:
        port: Of the broker, on loopback.
        broker: Its process id.
        wishes: What the fleet is.

    Raises:
        FleetError: A change was lost, or a process ended.
    """
    with _process(listen, port) as listener, _process(play, port, wishes) as cameras:
        _answer(listener)
        greeted: Told = _answer(cameras)
        processor_s = _processor_s(broker)
        live, heard_ns = _phase(cameras, listener)
        share = (_processor_s(broker) - processor_s) / live.took_s
        broker_mb = process_memory_mb(broker, "VmRSS")
        cameras.send(None)
        _answer(cameras)  # the backlog is ready
        late, late_heard_ns = _phase(cameras, listener)
        cameras.send(None)
        listener.send(None)
    late_latency_ns = max(late_heard_ns.values()) - min(late.due_ns.values())
    _checked(late.due_ns, late_heard_ns)
    return Figures(
        cameras=wishes.cameras,
        connections=wishes.connections,
        greeting_s=greeted.took_s,
        changes_per_s=len(live.due_ns) / live.took_s,
        messages_per_s=live.messages / live.took_s,
        latency=latency(live.due_ns, _checked(live.due_ns, heard_ns)),
        broker_cpu_share=share,
        broker_mb=broker_mb,
        clients_mb=live.memory_mb,
        backlog_per_s=len(late.due_ns) / late.took_s,
        backlog_delivered_per_s=len(late.due_ns) / (late_latency_ns / 1e9),
        broker_peak_mb=process_memory_mb(broker, "VmHWM"),
    )


def _phase(cameras: Pipe, listener: Pipe) -> tuple[Told, dict[Key, int]]:
    """Have the cameras do the next; return what they told and what was heard of it."""
    cameras.send(None)
    told: Told = _answer(cameras)
    listener.send(len(told.due_ns))
    heard_ns: dict[Key, int] = _answer(listener)
    return told, heard_ns


def _checked(due_ns: dict[Key, int], heard_ns: dict[Key, int]) -> dict[Key, int]:
    """Return what was heard, if it is what was told: figures of a lossy run mean nothing."""
    missing = due_ns.keys() - heard_ns.keys()
    if missing or not due_ns:
        raise FleetError(f"{len(missing)} of {len(due_ns)} changes were not heard")
    return heard_ns


def _answer(pipe: Pipe) -> Any:  # whatever the process on the other end sends
    try:
        return pipe.recv()
    except EOFError:
        raise FleetError("a process of the trial ended; what it said stands above") from None


@contextlib.contextmanager
def _process(target: Callable[..., None], *arguments: object) -> Iterator[Pipe]:
    """Run a function in a process of its own, which ends with the context."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()  # so that its end is an end of the pipe
    try:
        yield ours
        process.join(STOP_LIMIT_S)
    finally:
        ours.close()
        process.kill()
        process.join()


def _processor_s(process: int) -> float:
    """Return how long a process has computed; the fields are counted behind its name."""
    text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
