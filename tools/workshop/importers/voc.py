"""PASCAL VOC: an XML file a picture, in `Annotations/` or beside the picture.

Corners count pixels from 1 and include the last one. `difficult` objects are regions to leave
alone: the form itself says that they must not be judged by. Splits come from
`ImageSets/Main/*.txt`, or from folders called train, valid or test.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # nosec B405 # see _parsed
from pathlib import Path

from tools.workshop.importers.found import Found, FoundBox, FoundImage
from tools.workshop.importers.pictures import FilePicture, pictures_below, split_of

FORM = "voc"


def is_here(source: Path) -> bool:
    """Tell whether a folder holds XML files that call themselves annotations."""
    first = next(iter(_label_files(source)), None)
    return first is not None and b"<annotation" in first.read_bytes()[:4096]


def read(source: Path) -> Found:
    """Read every XML file, and every picture that has none."""
    pictures = {path.relative_to(source).as_posix(): path for path in pictures_below(source)}
    finder = _Finder(source, pictures)
    splits = _listed_splits(source)
    labelled = [_labelled(source, path, finder, splits) for path in _label_files(source)]
    seen = {image.name for image in labelled}
    rest = [
        FoundImage(
            name,
            FilePicture(path),
            source.name,
            split=split_of(Path(name).parent),
            has_labels=False,
        )
        for name, path in pictures.items()
        if name not in seen and "SegmentationClass" not in name and "SegmentationObject" not in name
    ]
    classes = dict.fromkeys(sorted({box.label for image in labelled for box in image.boxes}))
    return Found(source, FORM, tuple(classes), (*labelled, *rest))


class _Finder:
    """Finds the picture that an XML file is about."""

    def __init__(self, source: Path, pictures: dict[str, Path]) -> None:
        self._source = source
        self._pictures = pictures
        self._by_stem = {name.rpartition(".")[0]: name for name in pictures}

    def name_for(self, label_file: Path, said: str) -> str | None:
        """Return the picture's name: by the file's own name first, what it says is often old."""
        folder = label_file.parent.relative_to(self._source)
        for place in (folder, folder.parent / "JPEGImages", folder.parent / "images"):
            found = self._by_stem.get((place / label_file.stem).as_posix())
            if found is None and (place / said).as_posix() in self._pictures:
                found = (place / said).as_posix()
            if found is not None:
                return found
        return None

    def picture(self, name: str) -> FilePicture:
        """Return the picture of a name that was found."""
        return FilePicture(self._pictures[name])


def _label_files(source: Path) -> list[Path]:
    if not source.is_dir():
        return []
    return [path for path in sorted(source.rglob("*.xml")) if not path.name.startswith(".")]


def _listed_splits(source: Path) -> dict[str, str]:
    """Return the split of each picture, by stem, where lists say so."""
    splits: dict[str, str] = {}
    for split in ("test", "val", "train"):
        for path in sorted(source.rglob(f"ImageSets/Main/{split}.txt")):
            words = (line.split() for line in path.read_text(errors="replace").splitlines())
            splits.update({word[0]: split for word in words if word})
    return splits


def _labelled(source: Path, path: Path, finder: _Finder, splits: dict[str, str]) -> FoundImage:
    labels_name = path.relative_to(source).as_posix()
    try:
        root = _parsed(path)
    except (OSError, ValueError, ET.ParseError) as error:
        name = finder.name_for(path, "")
        picture = finder.picture(name) if name else None
        return FoundImage(
            name or labels_name, picture, source.name, flaws=(f"{labels_name}: {error}",)
        )
    name = finder.name_for(path, root.findtext("filename", "").strip())
    boxes: list[FoundBox] = []
    flaws: list[str] = []
    for number, node in enumerate(root.iter("object"), 1):
        try:
            boxes.append(_box(node))
        except ValueError as error:
            flaws.append(f"{labels_name}, object {number}: {error}")
    return FoundImage(
        name=name or labels_name,
        picture=finder.picture(name) if name else None,
        source=source.name,
        boxes=tuple(boxes),
        size=_size(root),
        split=splits.get(path.stem) or split_of(Path(name or labels_name).parent),
        flaws=tuple(flaws),
    )


def _parsed(path: Path) -> ET.Element:
    """Return the document; with entities of its own, which can grow without end, it is refused."""
    content = path.read_bytes()
    if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
        raise ValueError("declares a document type, which labels have no need of")
    root = ET.fromstring(content)  # nosec B314 # what can grow without end was refused above
    if root.tag != "annotation":
        raise ValueError(f"is a <{root.tag}>, not an <annotation>")
    return root


def _box(node: ET.Element) -> FoundBox:
    label = node.findtext("name", "").strip()
    if not label:
        raise ValueError("has no name")
    left, top, right, bottom = (_number(node, side) for side in ("xmin", "ymin", "xmax", "ymax"))
    return FoundBox(
        label=label,
        left=left - 1,
        top=top - 1,
        right=right,
        bottom=bottom,
        ignore=node.findtext("difficult", "0").strip() == "1",
    )


def _number(node: ET.Element, side: str) -> float:
    text = node.findtext(f"bndbox/{side}")
    if text is None:
        raise ValueError(f"has no {side}")
    return float(text)


def _size(root: ET.Element) -> tuple[int, int] | None:
    """Return the size that the labels name; some tools write zeros when they do not know."""
    width, height = (root.findtext(f"size/{side}", "0").strip() for side in ("width", "height"))
    if width.isdecimal() and height.isdecimal() and int(width) and int(height):
        return int(width), int(height)
    return None
