"""Where packs and weights are found.

Packs: a folder that the owner names, or the catalogue that comes with the program. Weights:
beside the manifest, in the folders of CAMERA_APP_MODEL_PATH, in the cache folder; the last two
by hash, so that a file may have any name.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import camera_app
from camera_app.errors import ModelError, PackRejected
from camera_app.models.inspect import check_structure, sha256_of, verify_weights
from camera_app.models.pack import MANIFEST, ModelPack, read_pack

MODEL_PATH_VARIABLE = "CAMERA_APP_MODEL_PATH"


def catalogue_folder() -> Path:
    """Return the folder of the manifests that come with the program."""
    package = Path(camera_app.__file__).resolve().parent
    installed = package / "packs"
    return installed if installed.is_dir() else package.parent / "models"


def cache_folder() -> Path:
    """Return where downloaded weights are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "camera-app" / "models"


def list_packs() -> list[ModelPack]:
    """Return every pack of the catalogue, by name."""
    folders = sorted(path.parent for path in catalogue_folder().glob(f"*/{MANIFEST}"))
    return [read_pack(folder) for folder in folders]


def is_in_catalogue(sha256: str) -> bool:
    """Tell whether weights of this hash are known to the catalogue, and so to run."""
    return sha256 in _catalogue_hashes(catalogue_folder())


@lru_cache(maxsize=4)
def _catalogue_hashes(folder: Path) -> frozenset[str]:
    packs = (read_pack(path.parent) for path in folder.glob(f"*/{MANIFEST}"))
    return frozenset(pack.sha256 for pack in packs)


def find_pack(name_or_path: str | Path) -> ModelPack:
    """Return a pack by its name in the catalogue, its folder, or its weights file.

    Raises:
        PackRejected: What was found there is wrong.
        ModelError: Nothing was found.
    """
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.name == text and (catalogue_folder() / text / MANIFEST).is_file():
        return read_pack(catalogue_folder() / text)
    if path.is_dir():
        return read_pack(path)
    if path.is_file():
        return _pack_of_weights(path)
    raise _unknown(text)


def _pack_of_weights(path: Path) -> ModelPack:
    beside = _pack_beside(path)
    if beside is not None:
        return dataclasses.replace(beside, weights_path=path)
    found = sha256_of(path)
    packs = list_packs()
    for pack in packs:
        if pack.sha256 == found:
            return dataclasses.replace(pack, weights_path=path)
    for pack in packs:
        if pack.weights.file == path.name:
            verify_weights(pack, path)
    check_structure(path)
    raise PackRejected(
        f"the catalogue has no pack for these weights (sha256 {found})",
        where=str(path),
        remedy=f"Write a {MANIFEST} beside the file and give the folder",
    )


def _pack_beside(path: Path) -> ModelPack | None:
    if not (path.parent / MANIFEST).is_file():
        return None
    pack = read_pack(path.parent)
    return pack if pack.weights.file == path.name else None


def _unknown(text: str) -> ModelError:
    names = [path.parent.name for path in sorted(catalogue_folder().glob(f"*/{MANIFEST}"))]
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}" if close else "`camera-app models list` shows the known ones"
    return ModelError(
        "no model pack of this name, and no such folder or file", where=text, remedy=hint
    )


def locate_weights(pack: ModelPack) -> Path:
    """Return the file with the weights of a pack, its hash checked just now.

    Raises:
        PackRejected: A file stands where the weights should be and is another one.
        ModelError: There is none; it says where to put it.
    """
    given = pack.weights_path or pack.folder / pack.weights.file
    if pack.weights_path is not None or given.exists():
        verify_weights(pack, given)
        return given
    return _find_by_hash(pack)


def search_folders() -> list[Path]:
    """Return the folders in which weights are looked for by hash, first to last."""
    named = os.environ.get(MODEL_PATH_VARIABLE, "").split(os.pathsep)
    return [*(Path(name).expanduser() for name in named if name), cache_folder()]


def _find_by_hash(pack: ModelPack) -> Path:
    suspect: Path | None = None
    for path in _files_under(search_folders()):
        if _has_size(path, pack.weights.size_bytes) and sha256_of(path) == pack.sha256:
            check_structure(path)
            return path
        if path.name == pack.weights.file:
            suspect = suspect or path
    if suspect is not None:
        verify_weights(pack, suspect)  # raises: the name is right, the content is not
    raise _missing(pack)


def _files_under(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        for parent, subfolders, names in os.walk(folder):
            subfolders.sort()
            for name in sorted(names):
                yield Path(parent, name)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:  # a dangling link, or a file that has gone meanwhile, is no match
        return False


def _missing(pack: ModelPack) -> ModelError:
    way = f"run `camera-app models fetch {pack.name}`, or " if pack.weights.url else ""
    return ModelError(
        f"the weights are missing: {pack.weights.file}, {pack.weights.size_bytes} bytes, "
        f"sha256 {pack.sha256}",
        where=f"model pack {pack.name}",
        remedy=f"To get them, {way}put the file, under any name, into a folder of "
        f"{MODEL_PATH_VARIABLE} or into {cache_folder()}",
    )
