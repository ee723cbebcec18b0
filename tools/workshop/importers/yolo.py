"""YOLO: a text file a picture, one object a line: class number, centre and size as shares.

Class names come from `data.yaml` or `classes.txt`. A line may also hold a polygon, whose bounding
box is taken, or a sixth number: how sure the detector was that drew the box. A picture whose text
file is empty holds nothing; one without a text file is unlabelled, whatever others make of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tools.workshop.errors import WorkshopError
from tools.workshop.importers.found import SURE_DETECTOR, Found, FoundBox, FoundImage
from tools.workshop.importers.pictures import FilePicture, is_picture, pictures_below, split_of
from tools.workshop.importers.yaml_subset import Value, parse

FORM = "yolo"
NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt")
SPLIT_KEYS = {"train": "train", "val": "val", "valid": "val", "test": "test"}


def is_here(source: Path) -> bool:
    """Tell whether there are class names, or a folder of labels beside one of pictures."""
    if source.is_file():
        return source.suffix in (".yaml", ".yml") and "names" in _yaml(source)
    if not source.is_dir():
        return False
    has_names = _yaml_file(source) is not None or any((source / n).is_file() for n in NAME_FILES)
    has_labels = any(path.name != "classes.txt" for path in source.rglob("labels/**/*.txt"))
    return has_names or has_labels


def read(source: Path) -> Found:
    """Read a folder, or the `data.yaml` in it.

    Raises:
        WorkshopError: Class names are nowhere to be found, so numbers mean nothing.
    """
    yaml_file = source if source.is_file() else _yaml_file(source)
    root = source.parent if source.is_file() else source
    document = _yaml(yaml_file) if yaml_file else {}
    classes = _class_names(root, document)
    listed = _listed(root, document)
    reader = _Reader(root, classes)
    paths = list(pictures_below(root))
    images = [reader.image(path, listed.get(path.resolve())) for path in paths]
    named = tuple(name for name in classes if name)
    return Found(source, FORM, named, (*images, *reader.orphans()))


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a label file, its numbers read."""

    class_index: int
    numbers: tuple[float, ...]

    def box(self, classes: tuple[str, ...]) -> FoundBox:
        known = 0 <= self.class_index < len(classes)
        label = (classes[self.class_index] if known else "") or f"class {self.class_index}"
        if len(self.numbers) in (4, 5):
            x, y, width, height, *sure = self.numbers
            score = min(max(0.0, sure[0]), SURE_DETECTOR) if sure else 1.0
            half_width, half_height = width / 2, height / 2
            left, top, right, bottom = (
                x - half_width,
                y - half_height,
                x + half_width,
                y + half_height,
            )
            return FoundBox(label, left, top, right, bottom, score=score)
        xs, ys = self.numbers[::2], self.numbers[1::2]
        return FoundBox(label, min(xs), min(ys), max(xs), max(ys))


class _Reader:
    """Reads the label file of each picture, and remembers which were used."""

    def __init__(self, root: Path, classes: tuple[str, ...]) -> None:
        self._root = root
        self._classes = classes
        self._used: set[Path] = set()

    def image(self, path: Path, split: str | None) -> FoundImage:
        """Return one picture with its labels."""
        name = path.relative_to(self._root).as_posix()
        split = split or split_of(PurePosixPath(name).parent)
        label_file = next((file for file in _label_files(path, self._root) if file.is_file()), None)
        if label_file is None:
            return FoundImage(
                name, FilePicture(path), self._root.name, split=split, has_labels=False
            )
        self._used.add(label_file)
        boxes, flaws = self._boxes(label_file)
        return FoundImage(
            name=name,
            picture=FilePicture(path),
            source=self._root.name,
            boxes=tuple(boxes),
            split=split,
            relative=True,
            flaws=tuple(flaws),
        )

    def orphans(self) -> list[FoundImage]:
        """Return label files that no picture came with."""
        files = sorted(self._root.rglob("labels/**/*.txt"))
        return [
            FoundImage(path.relative_to(self._root).as_posix(), None, self._root.name)
            for path in files
            if path not in self._used and path.name != "classes.txt"
        ]

    def _boxes(self, label_file: Path) -> tuple[list[FoundBox], list[str]]:
        boxes: list[FoundBox] = []
        flaws: list[str] = []
        lines = label_file.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                boxes.append(_line(text).box(self._classes))
            except (ValueError, OverflowError) as error:
                flaws.append(f"{label_file.name}, line {number}: {error}")
        return boxes, flaws


def _line(text: str) -> _Line:
    first, *rest = text.split()
    numbers = tuple(float(word) for word in rest)
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    is_polygon = len(numbers) >= 6 and len(numbers) % 2 == 0
    if len(numbers) not in (4, 5) and not is_polygon:
        raise ValueError(f"{len(numbers)} numbers after the class, where 4 make a box")
    return _Line(int(float(first)), numbers)


def _label_files(picture: Path, root: Path) -> list[Path]:
    """Return where the labels of a picture may lie: in `labels` for `images`, or beside it."""
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    beside = root.joinpath(*parts)
    if "images" not in parts[:-1]:
        return [root / "labels" / Path(*parts), beside]
    last = len(parts) - 2 - parts[-2::-1].index("images")
    parts[last] = "labels"
    return [root.joinpath(*parts), beside]


def _yaml_file(folder: Path) -> Path | None:
    paths = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    return next((path for path in paths if "names" in _yaml(path)), None)


def _yaml(path: Path) -> dict[str, Value]:
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise WorkshopError(
            f"cannot be read: {error.strerror or error}",
            where=str(path),
            remedy="Look at its permissions",
        ) from error


def _class_names(root: Path, document: dict[str, Value]) -> tuple[str, ...]:
    names = document.get("names")
    if isinstance(names, list):
        return tuple(names)
    if isinstance(names, dict):
        return _numbered(names, root)
    for file in NAME_FILES:
        if (root / file).is_file():
            lines = (root / file).read_text(encoding="utf-8", errors="replace").splitlines()
            return tuple(line.strip() for line in lines if line.strip())
    raise WorkshopError(
        "has labels in YOLO form and no names for their class numbers",
        where=str(root),
        remedy="Add a classes.txt, one name a line, the first for number 0",
    )


def _numbered(names: dict[str, str], root: Path) -> tuple[str, ...]:
    """Return names by number; empty for numbers that are left out."""
    if not names or not all(key.isdecimal() for key in names):
        raise WorkshopError(
            "`names` must be a list, or have the numbers 0, 1, … as keys",
            where=str(root),
            remedy="Correct data.yaml",
        )
    numbered = {int(key): name for key, name in names.items()}
    return tuple(numbered.get(number, "") for number in range(max(numbered) + 1))


def _listed(root: Path, document: dict[str, Value]) -> dict[Path, str]:
    """Return the split of each picture that `data.yaml` puts into one, by its resolved path."""
    base = root / str(document.get("path") or ".")
    base = base if base.is_dir() else root  # `path` is often that of its maker's machine
    splits: dict[Path, str] = {}
    for key, split in SPLIT_KEYS.items():
        places = document.get(key) or []
        for place in [places] if isinstance(places, str) else list(places):
            splits.update({path.resolve(): split for path in _pictures_at(base, root, place)})
    return splits


def _pictures_at(base: Path, root: Path, place: str) -> list[Path]:
    # Roboflow writes `../train/images` for what lies beside data.yaml.
    inside = PurePosixPath(*[part for part in PurePosixPath(place).parts if part != ".."])
    for path in (base / place, root / place, root / inside):
        if path.is_dir():
            return list(pictures_below(path))
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            return [base / line.strip() for line in lines if is_picture(line.strip())]
    return []
