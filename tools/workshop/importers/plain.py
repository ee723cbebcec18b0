"""Pictures without labels: backgrounds, or what a teacher is to label."""

from __future__ import annotations

from pathlib import Path

from tools.workshop.importers.found import Found, FoundImage
from tools.workshop.importers.pictures import FilePicture, pictures_below, split_of

FORM = "plain"


def is_here(source: Path) -> bool:
    """Tell whether a folder holds pictures at all."""
    return source.is_dir() and next(pictures_below(source), None) is not None


def read(source: Path) -> Found:
    """Take every picture below a folder."""
    images = tuple(_image(source, path) for path in pictures_below(source))
    return Found(source, FORM, (), images)


def _image(source: Path, path: Path) -> FoundImage:
    name = path.relative_to(source).as_posix()
    return FoundImage(
        name=name,
        picture=FilePicture(path),
        source=source.name,
        split=split_of(path.relative_to(source).parent),
        has_labels=False,
    )
