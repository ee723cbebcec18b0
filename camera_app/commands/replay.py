"""`camera-app replay`: play recorded clips and write what the camera would have said."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Self

from tqdm import tqdm

from camera_app.config import CameraSettings, InferenceSettings, load_config
from camera_app.errors import StoreError, UsageError
from camera_app.models import find_models
from camera_app.replay import (
    ReplayFiles,
    ReplayHooks,
    ReplayRequest,
    ReplaySummary,
    camera_names,
    run_replay,
)
from camera_app.values import EventChange

DEFAULT_SETTINGS = CameraSettings(source="replay")
DEFAULT_MODELS = InferenceSettings().model


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "replay",
        help="play recorded clips through the camera's rules",
        description="Play recorded clips as fast as the machine allows and write what the camera "
        "would have said. The same clip, configuration and model give the same events.",
    )
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP", help="a film file")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration to replay with")
    parser.add_argument(
        "--camera", metavar="NAME", help="whose settings in the configuration; default: the only"
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="PACK",
        help="model pack, may be given often to look with several; default: the configured ones",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the files")
    parser.add_argument("--annotate", action="store_true", help="write a film with what was seen")
    parser.add_argument("--tracks", action="store_true", help="write tracks in MOTChallenge form")
    parser.add_argument("--no-gate", action="store_true", help="look at every frame, moving or not")
    parser.add_argument(
        "--seats", type=int, default=0, metavar="N", help="networks at a time; default: by cores"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON, no events")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay; print events as they happen, then the summary."""
    request = request_of(arguments)
    with Progress(is_quiet=arguments.quiet) as progress:
        hooks = ReplayHooks(progress.clip_opened, progress.frame_done)
        if not arguments.json:
            hooks.changed = lambda change: progress.write(change_line(change))
        summary = run_replay(request, hooks)
    if request.out is not None:
        write_summary(request.out, summary)
    if arguments.json:
        print(json.dumps(summary.record(), indent=2))
    else:
        print_summary(request, summary)
    return 0


def request_of(arguments: argparse.Namespace) -> ReplayRequest:
    """Return what the words of the call ask for.

    Raises:
        UsageError: Files are asked for without a folder.
        ConfigError: The configuration is wrong.
        ModelError: There is no such model.
    """
    if (arguments.annotate or arguments.tracks) and arguments.out is None:
        raise UsageError("--annotate and --tracks write files", remedy="Name a folder with --out.")
    settings, models, trusted = _configured(arguments)
    if arguments.no_gate:
        motion = settings.motion.model_copy(update={"enabled": False})
        settings = settings.model_copy(update={"motion": motion})
    return ReplayRequest(
        clips=tuple(arguments.clips),
        settings=settings,
        models=find_models(arguments.model or models, trusted),
        out=arguments.out,
        seats=arguments.seats,
        is_annotated=arguments.annotate,
        has_tracks=arguments.tracks,
    )


def _configured(
    arguments: argparse.Namespace,
) -> tuple[CameraSettings, tuple[str, ...], tuple[str, ...]]:
    """Return what the configuration says: the camera's settings, its models, the trusted keys."""
    if arguments.config is None:
        return DEFAULT_SETTINGS, DEFAULT_MODELS, ()
    config = load_config(arguments.config)
    name = arguments.camera or next(iter(config.camera))
    known = ", ".join(config.camera)
    if name not in config.camera:
        raise UsageError(f"no camera is named {name!r}", remedy=f"There are: {known}.")
    if arguments.camera is None and len(config.camera) > 1:
        raise UsageError(f"which camera: {known}?", remedy="Name one with --camera.")
    settings = config.camera[name]
    return settings, settings.model or config.inference.model, config.models.trusted_keys


def write_summary(folder: Path, summary: ReplaySummary) -> None:
    """Write `summary.json`."""
    path = ReplayFiles(folder).summary
    try:
        path.write_text(json.dumps(summary.record(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(path)) from error


def print_summary(request: ReplayRequest, summary: ReplaySummary) -> None:
    """Print what was done and where the files lie."""
    for warning in summary.warnings:
        print(f"warning: {warning}")
    shed = ", ".join(f"{count} {reason}" for reason, count in summary.shed.items()) or "none"
    print(
        f"{summary.frames} frames, {summary.clip_seconds:.1f} s of film, in"
        f" {summary.seconds:.1f} s, {summary.fps:.0f} a second"
    )
    print(f"looked at {summary.looked_at}, not looked at: {shed}")
    print(f"{summary.events} events, sha256 of the event log {summary.events_sha256}")
    for (camera, line, way), count in sorted(summary.crossings.items()):
        print(f"line {line} of {camera} crossed {way}: {count}")
    for (camera, zone), count in sorted(summary.loitering.items()):
        print(f"loitered in {zone} of {camera}: {count}")
    if request.out is None:
        return
    for what, path in written_files(request):
        print(f"{what}: {path}")


def written_files(request: ReplayRequest) -> list[tuple[str, Path]]:
    """Return what a replay has written, with a name for each, only what is there."""
    if request.out is None:
        return []
    files, is_only = ReplayFiles(request.out), len(request.clips) == 1
    found = [("event log", files.event_log), ("database", files.database)]
    for camera in camera_names(request.clips):
        found.append(("annotated video", files.film(camera, is_only=is_only)))
        found.append(("tracks", files.tracks(camera, is_only=is_only)))
    found += [("snapshots", files.snapshots), ("summary", files.summary)]
    return [(what, path) for what, path in found if path.exists()]


def change_line(change: EventChange) -> str:
    """Return an event change as a line for a person."""
    event = change.event
    at_s = change.at_ns / 1e9
    zones = f" in {', '.join(event.zones)}" if event.zones else ""
    lasted_s = (event.last_seen_ns - event.started_ns) / 1e9
    reason = change.reason
    if change.crossing is not None:
        reason += f" {change.crossing.line} {change.crossing.direction}"
    if change.loitering is not None:
        reason += f" {change.loitering.zone}"
    return (
        f"{int(at_s // 60):02d}:{at_s % 60:04.1f}  {event.camera}  {change.change.value:7}  "
        f"{event.label}{zones}  score {event.score:.2f}  {lasted_s:.1f} s  ({reason})"
    )


class Progress:
    """A progress bar on standard error with the time that is left; a context manager."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._is_quiet = is_quiet
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def clip_opened(self, clip: Path, frames: int | None) -> None:
        """Begin a new bar."""
        self._close()
        self._bar = tqdm(
            total=frames,
            desc=clip.name,
            unit="frame",
            dynamic_ncols=True,
            disable=self._is_quiet or None,  # None: where nobody sits before it either
            file=sys.stderr,
        )

    def frame_done(self) -> None:
        """Move the bar by one frame."""
        if self._bar is not None:
            self._bar.update()

    def write(self, line: str) -> None:
        """Print a line on standard output without tearing the bar."""
        with tqdm.external_write_mode(file=sys.stdout):
            print(line, flush=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
