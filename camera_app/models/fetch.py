"""Downloads the weights of a pack: only from the address in its manifest, only if the hash fits."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from camera_app.errors import ModelError, PackRejected
from camera_app.models.inspect import verify_weights
from camera_app.models.pack import ModelPack

TIMEOUT_S = 30.0
BLOCK_BYTES = 64 * 1024

Progress = Callable[[int], None]


def fetch(pack: ModelPack, into: Path, *, progress: Progress | None = None) -> Path:
    """Download the weights of a pack into a folder and return the file.

    The file appears under its name only when it is complete and its hash is right. A good file
    that is there already is kept.

    Args:
        pack: Whose weights.
        into: Folder, made if need be.
        progress: Called with the number of bytes of each block.

    Raises:
        PackRejected: What came is not what the manifest promises.
        ModelError: The manifest has no address, or the download failed.
    """
    target = into / pack.weights.file
    if _is_there(pack, target):
        return target
    if not pack.weights.url:
        raise _no_address(pack)
    try:
        into.mkdir(parents=True, exist_ok=True)
        _download(pack, target, progress or _ignore)
    except (OSError, http.client.HTTPException) as error:
        raise ModelError(
            f"the download failed: {error}", where=pack.weights.url, remedy="Try again later"
        ) from error
    return target


def _is_there(pack: ModelPack, target: Path) -> bool:
    try:
        verify_weights(pack, target)
    except PackRejected:
        return False
    return True


def _no_address(pack: ModelPack) -> ModelError:
    reason = (
        "they are not offered anywhere as they are"
        if pack.card.derived
        else f"their licence does not allow it: {pack.licence.name}"
        if not pack.licence.allows_shipping
        else "the manifest has no address"
    )
    return ModelError(
        f"the weights cannot be downloaded: {reason}",
        where=f"model pack {pack.name}",
        remedy=f"They come from {pack.card.source}",
    )


def _ignore(_: int) -> None:
    return


def _download(pack: ModelPack, target: Path, progress: Progress) -> None:
    # The pattern of the manifest lets http and https through, no file: and no ftp:.
    request = urllib.request.Request(pack.weights.url, headers={"User-Agent": "camera-app"})  # noqa: S310
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT_S) as response,  # noqa: S310
        tempfile.NamedTemporaryFile(dir=target.parent, prefix=".fetch-", delete=False) as file,
    ):
        partial = Path(file.name)
        try:
            _copy(pack, response, file, progress)
            file.flush()
            os.fsync(file.fileno())
            partial.chmod(0o644)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def _copy(pack: ModelPack, response: IO[bytes], file: IO[bytes], progress: Progress) -> None:
    """Copy at most the promised length, and check that it is what was promised."""
    digest = hashlib.sha256()
    left = pack.weights.size_bytes
    while block := response.read(min(BLOCK_BYTES, left + 1)):
        left -= len(block)
        if left < 0:
            raise _wrong(pack, f"more than the promised {pack.weights.size_bytes} bytes came")
        digest.update(block)
        file.write(block)
        progress(len(block))
    if digest.hexdigest() != pack.sha256:
        size = pack.weights.size_bytes - left
        raise _wrong(pack, f"{size} bytes of sha256 {digest.hexdigest()} came")


def _wrong(pack: ModelPack, what: str) -> PackRejected:
    return PackRejected(
        f"this is not the file that the manifest promises: {what}, "
        f"expected {pack.weights.size_bytes} bytes of sha256 {pack.sha256}",
        where=pack.weights.url,
    )
