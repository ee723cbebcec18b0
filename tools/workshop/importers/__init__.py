"""Forms in which labelled pictures come, one module each: `is_here(source)` and `read(source)`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tools.workshop.errors import WorkshopError
from tools.workshop.importers import coco, plain, voc, yolo
from tools.workshop.importers.found import Found, FoundBox, FoundImage, Picture

__all__ = ["FORMATS", "Found", "FoundBox", "FoundImage", "Picture", "read"]


class Importer(Protocol):
    """A module that reads one form."""

    FORM: str

    def is_here(self, source: Path) -> bool:
        """Tell whether a source shows this form."""

    def read(self, source: Path) -> Found:
        """Read a source; raises WorkshopError where its labels are broken as a whole."""


# In the order in which `auto` asks them: pictures alone are what is left.
_IMPORTERS: tuple[Importer, ...] = (coco, voc, yolo, plain)
FORMATS = tuple(module.FORM for module in _IMPORTERS)


def read(source: Path, form: str = "auto") -> Found:
    """Read a source in a form, or in the one that it shows.

    Raises:
        WorkshopError: It is not there, holds nothing of the kind, or its labels cannot be read.
    """
    if not source.exists():
        raise WorkshopError("is not there", where=str(source), remedy="Correct the path")
    for module in _IMPORTERS:
        if form == module.FORM or (form == "auto" and module.is_here(source)):
            return module.read(source)
    raise WorkshopError(
        "holds no labels and no pictures in a form that is known",
        where=str(source),
        remedy=f"Known are {', '.join(FORMATS)}; archives other than zip shards must be unpacked",
    )
