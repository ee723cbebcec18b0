"""Makes a pack of what a run has left: weights, labels, recipe, card, licence, known answers.

The camera reads a pack only once it is signed; the step `sign` does that.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2

from camera_app.inference import TensorSpec, choose_runtime
from camera_app.models import KnownAnswers, ModelPack, locate_weights, sha256_of
from camera_app.models.pack import FILE_PATH_PATTERN, MANIFEST, parse_manifest
from camera_app.models.signature import SIGNATURE
from tools.workshop.answers import write_down
from tools.workshop.errors import WorkshopError
from tools.workshop.runs import write_bytes, write_text

ANSWERS_FILE = "known_answers.json"
CARD_FILE = "CARD.md"
LICENCE_FILE = "LICENCE.txt"
LABELS_FILE = "labels.txt"
KNOWN_INPUT = "known_input_"
# More labels than these are easier to read in a file of their own.
MOST_LABELS_INLINE = 10
# Known inputs need not be large, and stay in the pack for ever.
LONGEST_SIDE = 320


@dataclass(frozen=True, slots=True)
class PackText:
    """What a person says about a network, and what goes along with it.

    Attributes:
        name: Of the pack.
        summary: What it finds, in a sentence or two.
        source: Where the weights come from.
        licence: Name of the licence.
        licence_file: Its text.
        card_file: The card, Markdown.
        allows_shipping: Whether the weights may be passed on.
        measured: Figures by data set.
        data: Data sets, with their licences.
        teacher: Pack that it was distilled from; empty if there was none.
        repeat: Command that makes the weights again.
        revision: Commit of the tools that made them.
        files: Further files, such as the card's plots; they keep their names.
        pictures: That become known inputs.
        smaller: Pack that may stand in for it under load; empty if there is none.
    """

    name: str
    summary: str
    source: str
    licence: str
    licence_file: Path
    card_file: Path
    allows_shipping: bool = True
    measured: Mapping[str, str] = field(default_factory=dict)
    data: Sequence[str] = ()
    teacher: str = ""
    repeat: str = ""
    revision: str = ""
    files: Sequence[Path] = ()
    pictures: Sequence[Path] = ()
    smaller: str = ""


def write_pack(folder: Path, pack: ModelPack, text: PackText) -> KnownAnswers:
    """Write a pack, unsigned, and return the known answers in it.

    Args:
        folder: Of the pack; one that was there is replaced.
        pack: What is known of the network, its weights at hand; name, licence and card are taken
            from the text.
        text: The rest.

    Raises:
        WorkshopError: A file is missing or cannot be part of a pack (nothing was written then),
            or no answer of the network would prove anything.
        ModelError: The network cannot be used.
    """
    contents = _contents(text)
    if len(pack.labels) > MOST_LABELS_INLINE:
        contents[LABELS_FILE] = "".join(f"{label}\n" for label in pack.labels).encode()
    weights = locate_weights(pack)
    file = f"{text.name}{weights.suffix}"
    contents[file] = weights.read_bytes()
    _clear(folder)
    for name, content in contents.items():
        write_bytes(folder / name, content)
    here = _here(folder, file, pack)
    answers = write_down(here, [name for name in contents if name.startswith(KNOWN_INPUT)])
    write_text(folder / ANSWERS_FILE, answers.model_dump_json(by_alias=True) + "\n")
    manifest = manifest_text(here, text, *_tensors(folder / file))
    parse_manifest(folder / MANIFEST, manifest.encode())
    write_text(folder / MANIFEST, manifest)
    return answers


def _clear(folder: Path) -> None:
    """Make room for a pack; what is no pack, nor the half of one, is not touched."""
    if not folder.exists():
        return
    if any(folder.iterdir()) and not (folder / CARD_FILE).is_file():
        raise WorkshopError(
            "this folder has something else in it", where=str(folder), remedy="Choose another one"
        )
    shutil.rmtree(folder)


def _here(folder: Path, file: str, pack: ModelPack) -> ModelPack:
    """Return the pack as it lies in its new folder."""
    weights = pack.weights.model_copy(update={"file": file, "url": ""})
    names = [path.name for path in folder.iterdir() if path.name != file]
    files = {name: sha256_of(folder / name) for name in names}
    return replace(
        pack,
        folder=folder,
        weights=weights,
        weights_path=None,
        edgetpu=None,
        files=files,
        known_answers=None,
    )


def _contents(text: PackText) -> dict[str, bytes]:
    """Return the files of the pack that come from outside, by name.

    Raises:
        WorkshopError: One cannot be read, or its name cannot be in a pack, or is taken.
    """
    contents = {CARD_FILE: _read(text.card_file), LICENCE_FILE: _read(text.licence_file)}
    for number, path in enumerate(text.pictures, start=1):
        contents[f"{KNOWN_INPUT}{number}.png"] = _known_input(path)
    reserved = {MANIFEST, SIGNATURE, ANSWERS_FILE, LABELS_FILE}
    for path in text.files:
        if not re.fullmatch(FILE_PATH_PATTERN, path.name) or path.name in reserved | set(contents):
            raise WorkshopError(
                "a pack cannot hold a file of this name",
                where=str(path),
                remedy="Give it another one: letters, digits, '.', '_' and '-'",
            )
        contents[path.name] = _read(path)
    return contents


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WorkshopError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _known_input(path: Path) -> bytes:
    """Return a picture, made small, without loss: every library reads the same pixels."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise WorkshopError("this is no picture, or a damaged one", where=str(path))
    scale = min(1.0, LONGEST_SIDE / max(pixels.shape[:2]))
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".png", small)[1])


def _tensors(weights: Path) -> tuple[Sequence[TensorSpec], Sequence[TensorSpec]]:
    interpreter = choose_runtime().load(weights)
    return interpreter.inputs, interpreter.outputs


def manifest_text(
    pack: ModelPack, text: PackText, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> str:
    """Return the manifest of a pack, the hashes of its side files left for signing."""
    in_file = len(pack.labels) > MOST_LABELS_INLINE
    head = {
        "schema": 1,
        "name": text.name,
        "task": pack.task.value,
        "labels": LABELS_FILE if in_file else list(pack.labels),
        **({"smaller": text.smaller} if text.smaller else {}),
    }
    weights = pack.weights
    tables: dict[str, Mapping[str, Any]] = {
        "weights": {
            "file": weights.file,
            "sha256": weights.sha256,
            "size_bytes": weights.size_bytes,
        },
        "input": pack.input.model_dump(mode="json", exclude_defaults=True),
        "decode": _without_empty(pack.decode.model_dump(mode="json")),
        "tensors": {"inputs": _declared(inputs), "outputs": _declared(outputs)},
        "licence": {
            "name": text.licence,
            "allows_shipping": text.allows_shipping,
            "file": LICENCE_FILE,
        },
        "card": {"summary": text.summary, "source": text.source},
        "card.measured": {json.dumps(name): figures for name, figures in text.measured.items()},
        "training": _without_empty(
            {
                "data": list(text.data),
                "teacher": text.teacher,
                "repeat": text.repeat,
                "revision": text.revision,
            }
        ),
        "known_answers": {"file": ANSWERS_FILE},
    }
    blocks = [_lines(head)]
    blocks += [f"[{name}]\n{_lines(table)}" for name, table in tables.items() if table]
    return "\n".join(blocks)


def _without_empty(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value not in ("", [], {})}


def _declared(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [{"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype} for spec in specs]


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    """Return a value as TOML writes it; its strings, numbers and truths are those of JSON."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key} = {_toml(item)}" for key, item in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
