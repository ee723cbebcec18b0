"""COCO: one JSON file for many pictures, which lie in folders or in zip archives.

Beyond the form itself, these keys are understood where they are there: `source`, `split` and
`<class>_labels` of an image (`none`: nobody looked for that class there), `score` and `origin` of
an annotation (`gt`: drawn by a person). `iscrowd` makes a region to leave alone.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tools.workshop.errors import WorkshopError
from tools.workshop.importers.found import SURE_DETECTOR, Found, FoundBox, FoundImage
from tools.workshop.importers.pictures import PictureStore, split_of

FORM = "coco"
UNLOOKED = frozenset({"none", "no", "missing", "unlabelled", "unlabeled"})

# A detector's box without a score is still not a person's.
SCORE_UNSAID = 0.5

_KEYS = frozenset({"images", "annotations", "categories"})


def is_here(source: Path) -> bool:
    """Tell whether a folder or file holds labels in this form."""
    return any(_has_keys(path) for path in _label_files(source))


def read(source: Path) -> Found:
    """Read all label files of a source.

    Raises:
        WorkshopError: There is none, or one is no COCO file.
    """
    documents = [(path, _document(path)) for path in _label_files(source) if _has_keys(path)]
    if not documents:
        raise WorkshopError(
            "holds no COCO labels",
            where=str(source),
            remedy="Name the JSON file that has `images`, `annotations` and `categories`",
        )
    classes: dict[str, None] = {}
    images: list[FoundImage] = []
    for path, document in documents:
        names = _category_names(path, document)
        classes.update(dict.fromkeys(names.values()))
        images += _images(source, path, document, names)
    return Found(source, FORM, tuple(classes), tuple(images))


def _label_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix == ".json" else []
    paths = [*source.glob("*.json"), *source.glob("annotations/*.json"), *source.glob("*/*.json")]
    found = sorted(set(paths))
    # Captions and key points of the same pictures would bring each picture again.
    return [path for path in found if path.name.startswith("instances")] or found


def _has_keys(path: Path) -> bool:
    """Tell by its text, for the file may be large: keys may stand anywhere in it."""
    try:
        text = path.read_bytes()
    except OSError:
        return False
    return all(f'"{key}"'.encode() in text for key in _KEYS)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
        if not all(_is_table(document[key]) for key in _KEYS):
            raise TypeError("images, annotations and categories must be lists of objects")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WorkshopError(
            f"is not in COCO form: {error}",
            where=str(path),
            remedy="Export the labels again, or give --format what they are in",
        ) from error
    return dict(document)


def _is_table(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _category_names(path: Path, document: dict[str, Any]) -> dict[int, str]:
    try:
        return {category["id"]: str(category["name"]) for category in document["categories"]}
    except (KeyError, TypeError) as error:
        raise WorkshopError(
            f"has a category without id or name: {error!r}",
            where=str(path),
            remedy="Give each category both",
        ) from error


def _images(
    source: Path, path: Path, document: dict[str, Any], names: dict[int, str]
) -> Iterator[FoundImage]:
    store = _store(path, source)
    annotations = _by_image(document["annotations"])
    split = _split_of_file(path, source)
    ids = Counter(_id(record.get("id")) for record in document["images"])
    for record in document["images"]:
        number = _id(record.get("id"))
        image = _image(record, annotations.get(number, []), names, store, split, source)
        if ids[number] > 1:  # whose boxes are they?
            image = replace(image, flaws=(*image.flaws, f"image id {number} is used twice"))
        yield image
    for number in sorted(annotations.keys() - ids.keys()):
        yield _orphan(number, len(annotations[number]), path, source)


def _id(value: object) -> str:
    """Return an id as text: some tools write numbers here and text there."""
    return str(value)


def _split_of_file(path: Path, source: Path) -> str | None:
    """Return the split that a label file's name or folder speaks of: instances_val2017.json."""
    folder = path.parent.relative_to(source) if source.is_dir() else Path()
    return split_of(folder / path.stem.rpartition("_")[2])


def _store(path: Path, source: Path) -> PictureStore:
    """Look beside the labels first, then where the usual layouts have their pictures."""
    root = source if source.is_dir() else path.parent
    year = path.stem.rpartition("_")[2]  # instances_val2017 -> val2017
    return PictureStore.at(path.parent, root, root / "images", root / year, root / "images" / year)


def _by_image(annotations: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        grouped[_id(annotation.get("image_id"))].append(annotation)
    return grouped


def _image(
    record: dict[str, Any],
    annotations: list[dict[str, Any]],
    names: dict[int, str],
    store: PictureStore,
    split: str | None,
    source: Path,
) -> FoundImage:
    name = str(record.get("file_name", ""))
    boxes, flaws = _boxes(annotations, names)
    return FoundImage(
        name=name or f"image {record.get('id')}",
        picture=store.find(name),
        source=str(record.get("source") or source.stem),
        boxes=tuple(boxes),
        size=_size(record),
        split=split_of(Path(str(record.get("split") or ""))) or split,
        not_looked_for=_not_looked_for(record, names.values()),
        flaws=tuple(flaws),
    )


def _orphan(image_id: str, count: int, path: Path, source: Path) -> FoundImage:
    return FoundImage(
        name=f"image {image_id} of {path.name} ({count} annotations)",
        picture=None,
        source=source.stem,
    )


def _size(record: dict[str, Any]) -> tuple[int, int] | None:
    width, height = record.get("width"), record.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def _not_looked_for(record: dict[str, Any], classes: Iterable[str]) -> frozenset[str]:
    said = {name: str(record.get(f"{name}_labels", "")).lower() for name in classes}
    return frozenset(name for name, word in said.items() if word in UNLOOKED)


def _boxes(
    annotations: list[dict[str, Any]], names: dict[int, str]
) -> tuple[list[FoundBox], list[str]]:
    boxes: list[FoundBox] = []
    flaws: list[str] = []
    for annotation in annotations:
        try:
            boxes.append(_box(annotation, names))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            flaws.append(f"annotation {annotation.get('id')}: {error!r}")
    return boxes, flaws


def _box(annotation: dict[str, Any], names: dict[int, str]) -> FoundBox:
    left, top, width, height = (float(number) for number in annotation["bbox"])
    category = annotation["category_id"]
    return FoundBox(
        label=names.get(category, f"category {category}"),
        left=left,
        top=top,
        right=left + width,
        bottom=top + height,
        ignore=bool(annotation.get("iscrowd", 0)),
        score=_score(annotation),
    )


def _score(annotation: dict[str, Any]) -> float:
    drawn = str(annotation.get("origin", "gt")).startswith("gt")
    score = annotation.get("score")
    if score is None or not math.isfinite(float(score)):
        return 1.0 if drawn else SCORE_UNSAID
    return min(1.0 if drawn else SURE_DETECTOR, max(0.0, float(score)))
