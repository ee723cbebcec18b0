"""Measures the detectors of the catalogue on annotated images, against the figures they promise.

    python tools/bench/accuracy.py --images ../shared/images/coco_val128 --json accuracy.json

The folder holds `instances.json` in COCO form and the images. Person AP at IoU 0.5 by pycocotools,
100 boxes an image, score 0.01 and more; milliseconds are medians over the images, one thread:
preparing, running and decoding an RGB image of the file's size. The workshop's step `evaluate`
tells more of one model.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from camera_app.inference import load_network
from camera_app.models import ModelPack, find_pack, list_packs
from tools.workshop.evaluate import person_average_precision

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_IMAGES = REPOSITORY.parent / "shared" / "images" / "coco_val128"
DATA_SET = "coco_val128"


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
    figures = person_average_precision(load_network(pack), images)
    ap50 = round(figures["overall"]["ap50"], 4)
    return Row(pack.name, ap50, promised_ap50(pack), **figures["latency"])


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
