"""Where packs and weights are found.

Packs: a folder that the owner names, or the catalogue that comes with the program. Weights:
beside the manifest, in the folders of CAMERA_APP_MODEL_PATH, in the cache folder; the last two
by hash, so that a file may have any name.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import camera_app
from camera_app.errors import ModelError, PackRejected
from camera_app.models.inspect import (
    check_structure,
    kind_of,
    not_pinned,
    sha256_of,
    verify_weights,
)
from camera_app.models.pack import MANIFEST, ModelPack, Weights, read_pack
from camera_app.models.trust import resolved

_log = logging.getLogger(__name__)

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


def catalogue_names() -> list[str]:
    """Return the names of the catalogue's packs, whether they can be read or not."""
    return sorted(path.parent.name for path in catalogue_folder().glob(f"*/{MANIFEST}"))


def list_packs() -> list[ModelPack]:
    """Return every pack of the catalogue, by name.

    Raises:
        PackRejected: One of them is wrong.
    """
    return [_read(catalogue_folder() / name) for name in catalogue_names()]


def _read(folder: Path, trusted: Iterable[str] = ()) -> ModelPack:
    """Read a pack; a hash that its manifest lacks is the one that the owner took, if any."""
    return resolved(read_pack(folder, trusted), cache_folder())


def is_in_catalogue(sha256: str) -> bool:
    """Tell whether weights of this hash are known to the catalogue, and so to run."""
    return sha256 in _catalogue_hashes(catalogue_folder())


@lru_cache(maxsize=4)
def _catalogue_hashes(folder: Path) -> frozenset[str]:
    packs = _readable(sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")), read_pack)
    files = (file for pack in packs for file in (pack.weights, pack.edgetpu) if file is not None)
    # What an owner took as it came is not known to run: it has no hash in the catalogue.
    return frozenset(file.sha256 for file in files if file.sha256)


def _readable(folders: Iterable[Path], read: Callable[[Path], ModelPack]) -> Iterator[ModelPack]:
    """Return the packs that can be read; one that cannot must not keep others from running."""
    for folder in folders:
        try:
            yield read(folder)
        except PackRejected as refusal:
            _log.warning("a pack of the catalogue is left out: %s", refusal)


def find_pack(name_or_path: str | Path, trusted: Iterable[str] = ()) -> ModelPack:
    """Return a pack by its name in the catalogue, its folder, or its weights file.

    Args:
        name_or_path: What the owner wrote.
        trusted: Public keys whose signatures count besides those that always do.

    Raises:
        PackRejected: What was found there is wrong.
        ModelError: Nothing was found.
    """
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.name == text and (catalogue_folder() / text / MANIFEST).is_file():
        return _read(catalogue_folder() / text, trusted)
    if path.is_dir():
        return _read(path, trusted)
    if path.is_file():
        return _pack_of_weights(path, trusted)
    raise _unknown(text)


def _pack_of_weights(path: Path, trusted: Iterable[str]) -> ModelPack:
    beside = _pack_beside(path, trusted)
    if beside is not None:
        return dataclasses.replace(beside, weights_path=path)
    found = sha256_of(path)
    packs = list(_readable((catalogue_folder() / name for name in catalogue_names()), _read))
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
        remedy=f"Write a {MANIFEST} beside the file, sign it, and give the folder",
    )


def _pack_beside(path: Path, trusted: Iterable[str]) -> ModelPack | None:
    if not (path.parent / MANIFEST).is_file():
        return None
    pack = _read(path.parent, trusted)
    return pack if pack.weights.file == path.name else None


def _unknown(text: str) -> ModelError:
    close = difflib.get_close_matches(text, catalogue_names(), n=1, cutoff=0.5)
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
    if not pack.sha256:
        unknown = not_pinned(pack)  # so it was never fetched: missing rather than wrong
        raise ModelError(unknown.what, where=unknown.where, remedy=unknown.remedy)
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
        if _may_be(path, pack.weights) and sha256_of(path) == pack.sha256:
            check_structure(path, kind_of(pack.weights.file))
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


def _may_be(path: Path, weights: Weights) -> bool:
    """Tell by a file's length whether hashing it is worth while."""
    try:
        size = path.stat().st_size
    except OSError:  # a dangling link, or a file that has gone meanwhile, is no match
        return False
    return size == weights.size_bytes if weights.size_bytes else size <= weights.limit_bytes


def _missing(pack: ModelPack) -> ModelError:
    way = f"run `camera-app models fetch {pack.name}`, or " if pack.weights.url else ""
    return ModelError(
        f"the weights are missing: {pack.weights.file}, {_length(pack.weights)}, "
        f"sha256 {pack.sha256}",
        where=f"model pack {pack.name}",
        remedy=f"To get them, {way}put the file, under any name, into a folder of "
        f"{MODEL_PATH_VARIABLE} or into {cache_folder()}",
    )


def _length(weights: Weights) -> str:
    known = f"{weights.size_bytes} bytes"
    return known if weights.size_bytes else f"at most {weights.limit_bytes} bytes"
