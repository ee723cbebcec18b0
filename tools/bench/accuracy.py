"""Measures the detectors of the catalogue on annotated images, against the figures they promise.

    python tools/bench/accuracy.py --images ../shared/images/coco_val128 --json accuracy.json

The folder holds `instances.json` in COCO form and the images. Person AP at IoU 0.5 by pycocotools,
100 boxes an image, score 0.01 and more; milliseconds are medians over the images, one thread:
preparing, running and decoding an RGB image of the file's size.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from camera_app.commands.detect import read_picture
from camera_app.inference import Network, load_network
from camera_app.models import ModelPack, find_pack, list_packs

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_IMAGES = REPOSITORY.parent / "shared" / "images" / "coco_val128"
DATA_SET = "coco_val128"
PERSON = "person"
PERSON_ID = 1
MIN_SCORE = 0.01
MOST_BOXES = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        model: Name of the pack.
        person_ap50: Measured.
        promised_ap50: What the pack's card says; None if nothing.
        prepare_ms: Median milliseconds to make the input of an image.
        invoke_ms: To run the network.
        decode_ms: To decode what it said.
    """

    model: str
    person_ap50: float
    promised_ap50: float | None
    prepare_ms: float
    invoke_ms: float
    decode_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", nargs="*", help="packs; default: all that detect persons")
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES)
    parser.add_argument("--json", type=Path, help="write the table there as well")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    packs = [find_pack(name) for name in arguments.models] or person_packs()
    rows = [measure(pack, arguments.images) for pack in packs]
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


def person_packs() -> list[ModelPack]:
    """Return the packs of the catalogue that find persons and say how well."""
    return [pack for pack in list_packs() if promised_ap50(pack) is not None]


def promised_ap50(pack: ModelPack) -> float | None:
    """Return the person AP50 on the images that a pack's card names."""
    found = re.search(r"person AP50 ([0-9.]+)", pack.card.measured.get(DATA_SET, ""))
    return float(found[1]) if found else None


def measure(pack: ModelPack, images: Path) -> Row:
    """Run a pack over all images and score its persons."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(images / "instances.json"))
    network = load_network(pack)
    results: list[dict[str, Any]] = []
    times: list[tuple[float, float, float]] = []
    for image_id in tqdm(sorted(truth.imgs), desc=pack.name, disable=not sys.stderr.isatty()):
        path = images / truth.imgs[image_id]["file_name"]
        found, spent = look(network, path)
        results.extend({"image_id": image_id, **record} for record in found)
        times.append(spent)
    prepare_ms, invoke_ms, decode_ms = (
        round(1000 * statistics.median(column), 3) for column in zip(*times, strict=True)
    )
    ap50 = round(person_ap50(truth, results), 4)
    return Row(pack.name, ap50, promised_ap50(pack), prepare_ms, invoke_ms, decode_ms)


def look(network: Network, path: Path) -> tuple[list[dict[str, Any]], tuple[float, float, float]]:
    """Return the persons in an image in COCO's form, and the seconds each step took."""
    picture = read_picture(str(path))
    begun = time.perf_counter()
    prepared = network.prepare(picture)
    made = time.perf_counter()
    outputs = network.invoke(prepared)
    run = time.perf_counter()
    found = network.decode(outputs, prepared, min_score=MIN_SCORE)
    decoded = time.perf_counter()
    persons = [
        {
            "category_id": PERSON_ID,
            "score": one.score,
            "bbox": [one.box.left, one.box.top, one.box.width, one.box.height],
        }
        for one in found[:MOST_BOXES]
        if one.label == PERSON
    ]
    return persons, (made - begun, run - made, decoded - run)


def person_ap50(truth: COCO, results: list[dict[str, Any]]) -> float:
    """Return average precision of persons at IoU 0.5."""
    if not results:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.params.catIds = [PERSON_ID]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


def print_table(rows: list[Row]) -> None:
    print(f"{'model':32} {'AP50':>6} {'card':>6} {'prepare':>8} {'invoke':>8} {'decode':>8}  ms")
    for row in rows:
        promised = "" if row.promised_ap50 is None else f"{row.promised_ap50:.3f}"
        print(
            f"{row.model:32} {row.person_ap50:6.3f} {promised:>6} "
            f"{row.prepare_ms:8.3f} {row.invoke_ms:8.3f} {row.decode_ms:8.3f}"
        )


if __name__ == "__main__":
    sys.exit(main())
