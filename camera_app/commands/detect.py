"""`camera-app detect`: networks over still pictures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from camera_app.config import InferenceSettings
from camera_app.errors import SourceUnsupported, UsageError
from camera_app.inference import load_classifier, load_network
from camera_app.models import ModelPack, Task, find_pack
from camera_app.values import Detection, Rgb

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
DEFAULT_MODELS = InferenceSettings().model
DEFAULT_MIN_SCORE = 0.3

DESCRIPTION = """Look at still pictures with one network, or several, and say what they find.

With --json a list is written, one record a detection: `image`, `label`, `score`, `box` = [x, y,
width, height] in pixels of the picture as it is stored (a turn noted in its EXIF data is not
made), and `points` where the network gives landmarks. `image` is the path as it was given; for a
picture found in a folder, the folder as given joined with the path inside it. A pack for
classification gives records without a box, one for each class that reaches the score."""

EPILOGUE = """exit codes: 0 all pictures were looked at, 1 some could not be read or the model could
not be used, 2 the command is not understood"""

Record = dict[str, Any]
Look = Callable[[Rgb], list[Record]]


def configure(subparsers: Any) -> None:
    """Add the parser of this command."""
    parser = subparsers.add_parser(
        "detect",
        help="look at still pictures",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", metavar="IMAGE_OR_DIR", nargs="+", help="pictures, or folders")
    parser.add_argument(
        "--model",
        metavar="PACK",
        action="append",
        help=f"model pack, may be given often (default: {' '.join(DEFAULT_MODELS)})",
    )
    parser.add_argument(
        "--min-score",
        metavar="S",
        type=share,
        default=DEFAULT_MIN_SCORE,
        help="leave out what scores less, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the records there; - is the output")
    parser.set_defaults(run=run)


def share(text: str) -> float:
    """Return a number from 0 to 1, as argparse wants it."""
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, got {text}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Look at every picture; 1 if one of them could not be read."""
    paths = list(pictures(arguments.images))
    names = arguments.model or DEFAULT_MODELS
    looks = [_look_with(find_pack(name), arguments.min_score) for name in names]
    records, faults = look_at_all(paths, looks)
    if arguments.json is None:
        _print_table(records)
    else:
        _write_json(arguments.json, records)
    for fault in faults:
        sys.stderr.write(f"camera-app: {fault}\n")
    return 1 if faults else 0


def pictures(names: Sequence[str]) -> Iterator[str]:
    """Return the pictures named, and those in folders named, as they will be reported.

    Raises:
        UsageError: There is none in a folder.
    """
    for name in names:
        folder = Path(name)
        if not folder.is_dir():
            yield name
            continue
        inside = sorted(path for path in folder.rglob("*") if _is_picture(path))
        if not inside:
            raise UsageError("no pictures in this folder", where=name)
        yield from (str(path) for path in inside)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def look_at_all(
    paths: Sequence[str], looks: Sequence[Look]
) -> tuple[list[Record], list[SourceUnsupported]]:
    """Return the records of all pictures, and an error for each that cannot be read."""
    records: list[Record] = []
    faults: list[SourceUnsupported] = []
    for path in tqdm(paths, unit="picture", disable=None):
        try:
            picture = read_picture(path)
        except SourceUnsupported as fault:
            faults.append(fault)
            continue
        records.extend({"image": path, **record} for look in looks for record in look(picture))
    return records, faults


def read_picture(path: str) -> Rgb:
    """Return a picture file's pixels as they are stored.

    Raises:
        SourceUnsupported: It cannot be read, or is no picture.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceUnsupported(f"cannot be read: {error.strerror}", where=path) from error
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(content, flags) if content.size else None
    except cv2.error as error:  # a header that promises more than OpenCV lets through
        raise SourceUnsupported(f"no picture: {error.err}", where=path) from error
    if pixels is None:
        raise SourceUnsupported("this is no picture, or a damaged one", where=path)
    return Rgb(np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))


def _look_with(pack: ModelPack, min_score: float) -> Look:
    if pack.task is Task.CLASSIFICATION:
        classifier = load_classifier(pack)
        return lambda picture: [
            {"label": found.label, "score": round(found.score, 4)}
            for found in classifier.classify(picture)
            if found.score >= min_score
        ]
    network = load_network(pack)
    return lambda picture: [
        detection_record(found) for found in network.look(picture, min_score=min_score)
    ]


def detection_record(detection: Detection) -> Record:
    """Return a detection as plain JSON values; hundredths of a pixel."""
    box = detection.box
    record: Record = {
        "label": detection.label,
        "score": round(detection.score, 4),
        "box": [round(n, 2) for n in (box.left, box.top, box.width, box.height)],
    }
    if detection.points:
        record["points"] = [[round(p.x, 2), round(p.y, 2)] for p in detection.points]
    return record


def _write_json(target: str, records: list[Record]) -> None:
    text = json.dumps(records, indent=1, ensure_ascii=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=target) from error


def _print_table(records: list[Record]) -> None:
    for record in records:
        box = " ".join(f"{number:8.1f}" for number in record.get("box", []))
        line = f"{record['image']}  {record['label']:20} {record['score']:.3f}  {box}"
        sys.stdout.write(line.rstrip() + "\n")
    if not records:
        sys.stdout.write("nothing found\n")
