"""`camera-app demo`: a made scene through the whole camera, to the ears of a subscriber."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tqdm import tqdm

from camera_app.commands.replay import Progress, change_line, write_summary, written_files
from camera_app.demo import (
    STANDARDS,
    ClassVerdict,
    DemoHooks,
    DemoRequest,
    DemoResult,
    Message,
    VisitVerdict,
    parse_address,
    run_demo,
)
from camera_app.errors import ModelError, PackRejected
from camera_app.models import ModelSet, find_models, locate_weights
from camera_app.replay import ReplayHooks

DEFAULT_MODELS = ("person_large", "face")
EXIT_WRONG = 1
EXIT_NO_MODEL = 3
BROKER_VARIABLE = "CAMERA_APP_DEMO_BROKER"
SHOWN_MESSAGES = 60
TOLD_KEYS = ("seq", "type", "reason", "label", "score", "zones")


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "demo",
        help="play a made scene through the whole camera",
        description="Draw a scene with two people, play it through the camera as if it were live, "
        "and show what a subscriber at an MQTT broker hears. Exit code 0 if each person and each "
        "face was tracked well and every visit told as one event, 1 if not, 3 if the weights of a "
        "model are missing.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-out"), metavar="DIR", help="default: demo-out"
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="PACK",
        help=f"may be given often; default: {' '.join(DEFAULT_MODELS)}",
    )
    parser.add_argument(
        "--broker",
        default=os.environ.get(BROKER_VARIABLE, ""),
        metavar="HOST[:PORT]",
        help=f"a broker that lets everybody in; default: {BROKER_VARIABLE}, else one is started",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and print what came of it."""
    models = find_models(arguments.model or DEFAULT_MODELS)
    lacking = _lacking(models)
    if lacking is not None:
        sys.stderr.write(f"The demo needs a model that is not here yet.\n{lacking}\n")
        return EXIT_NO_MODEL
    broker = parse_address(arguments.broker) if arguments.broker else None
    request = DemoRequest(arguments.out, models, broker)
    with Progress() as progress, _Drawing() as drawing:
        hooks = DemoHooks(
            frame_drawn=drawing.frame_drawn,
            broker_found=lambda address: progress.write(f"\nbroker: {address}\n\nevents:"),
            replay=ReplayHooks(
                progress.clip_opened,
                progress.frame_done,
                lambda change: progress.write(f"  {change_line(change)}"),
            ),
        )
        result = run_demo(request, hooks)
    write_summary(arguments.out, result.summary)
    _print_result(result)
    return 0 if result.is_right else EXIT_WRONG


def _lacking(models: ModelSet) -> ModelError | None:
    """Return what is to be said of weights that are missing; None if all are here."""
    try:
        for pack in models.packs:
            locate_weights(pack)
    except PackRejected:
        raise
    except ModelError as error:
        return error
    return None


class _Drawing:
    """A progress bar for the drawing of the scene; a context manager."""

    def __enter__(self) -> Self:
        self._bar = tqdm(
            desc="drawing the scene",
            unit="frame",
            dynamic_ncols=True,
            disable=None,  # shown on a terminal only
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def frame_drawn(self, done: int, in_all: int) -> None:
        """Move the bar; the last frame closes it."""
        self._bar.total = in_all
        self._bar.update()
        if done == in_all:
            self._bar.close()


def _print_result(result: DemoResult) -> None:
    _print_messages(result.messages)
    print("\nwhat is true in the scene, and what the camera made of it:")
    for one in result.verdict.classes:
        _print_class(one)
    if result.missing:
        print(f"  the subscriber did not hear {result.missing} event changes")
    summary = result.summary
    print(
        f"\n{summary.frames} frames, {summary.clip_seconds:.1f} s of film, in"
        f" {summary.seconds:.1f} s with {summary.model}"
    )
    for what, path in [("scene", result.request.clips[0]), *written_files(result.request)]:
        print(f"  {what + ':':17}{path}")


def _print_messages(messages: Sequence[Message]) -> None:
    print(f"\nwhat a subscriber heard, {len(messages)} messages:")
    width = max((len(message.topic) for message in messages[:SHOWN_MESSAGES]), default=0)
    for message in messages[:SHOWN_MESSAGES]:
        print(f"  {message.topic:{width}}  {_shortened(message)}")
    if len(messages) > SHOWN_MESSAGES:
        print(f"  … and {len(messages) - SHOWN_MESSAGES} more")


def _shortened(message: Message) -> str:
    """Return a payload, of an event change only what tells it from the others."""
    record = message.json()
    told = {key: record[key] for key in TOLD_KEYS if key in record}
    return f"{json.dumps(told)[:-1]}, …}}" if told else message.text()


def _print_class(seen: ClassVerdict) -> None:
    standard = STANDARDS[seen.label]
    looks, frames = (sum(n) for n in zip(*((v.looks, v.frames) for v in seen.visits), strict=True))
    print(f"  {seen.label}s, at least half of whom is to be seen:")
    for visit in seen.visits:
        print(f"    {_visit_line(visit)}")
    for event in seen.stray_events:
        print(f"    an event about nobody: {event.event_id}")
    print(
        f"    found     recall {seen.found_recall:.3f} of {looks} looks at them;"
        f" {seen.found.wrong} wrong boxes beside {seen.found.right} right ones"
    )
    print(
        f"    tracked   recall {seen.recall:.3f} of {frames} frames;"
        f" {seen.tracked.wrong} wrong boxes beside {seen.tracked.right} right ones"
        f" (asked: {standard.recall} or more, {standard.wrong_share} of all boxes wrong or less)"
    )
    print(
        f"    reported  {seen.reported} of {len(seen.visits)} visits as one event,"
        f" {len(seen.stray_events)} events about nobody (asked: all, none)"
    )


def _visit_line(seen: VisitVerdict) -> str:
    visit = seen.visit
    events = ", ".join(
        f"{event.started_ns / 1e9:.1f} to {event.last_seen_ns / 1e9:.1f} s" for event in seen.events
    )
    return (
        f"{visit.person:13}  {visit.first_s:4.1f} to {visit.last_s:4.1f} s  →  "
        f"{events or 'no event'}; tracked in {seen.tracked} of {seen.frames} frames"
    )
