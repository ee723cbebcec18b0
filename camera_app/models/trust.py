"""What an owner took as it came: trust on first use, for weights whose hash nobody published.

The hash of what was downloaded is written beside it, into the cache folder, and from then on it
is as binding as one in a manifest. To trust another file, the owner removes the record.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from camera_app.durable import replace_text
from camera_app.errors import PackRejected
from camera_app.models.pack import ModelPack, Sha256, Weights


class Record(BaseModel):
    """What came, and from where; for another address it says nothing.

    Attributes:
        url: Where the file was downloaded.
        sha256: Of what came.
        size_bytes: Its length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    sha256: Sha256
    size_bytes: int


def record_path(folder: Path, weights: Weights) -> Path:
    """Return where the record of a file is kept, beside the file."""
    return folder / f"{weights.file}.accepted.json"


def keep_record(folder: Path, weights: Weights, sha256: str, size_bytes: int) -> None:
    """Write down what an owner took as it came; a damaged record would refuse the model."""
    record = Record(url=weights.url, sha256=sha256, size_bytes=size_bytes)
    replace_text(record_path(folder, weights), record.model_dump_json(indent=2) + "\n")


def resolved(pack: ModelPack, folder: Path) -> ModelPack:
    """Return the pack with the hashes that the owner took on first use, where it has none.

    Args:
        pack: As its manifest describes it.
        folder: The cache folder, where records lie.

    Raises:
        PackRejected: A record is damaged.
    """
    weights = _resolved(pack.weights, folder)
    edgetpu = _resolved(pack.edgetpu, folder) if pack.edgetpu else None
    if weights is pack.weights and edgetpu is pack.edgetpu:
        return pack
    return dataclasses.replace(
        pack, weights=weights, edgetpu=edgetpu, digest=_digest(pack, weights)
    )


def _digest(pack: ModelPack, weights: Weights) -> str:
    """Return the digest with the hash of the weights in it, as everywhere else."""
    if weights.sha256 == pack.sha256:
        return pack.digest
    return hashlib.sha256(f"{pack.digest} {weights.sha256}".encode()).hexdigest()


def _resolved(weights: Weights, folder: Path) -> Weights:
    if weights.sha256:
        return weights
    record = _read(record_path(folder, weights))
    if record is None or record.url != weights.url:
        return weights
    known = {"sha256": record.sha256, "size_bytes": record.size_bytes, "limit_bytes": 0}
    return weights.model_copy(update=known)


def _read(path: Path) -> Record | None:
    try:
        return Record.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        raise PackRejected(
            f"the record of an accepted file cannot be read: {error}",
            where=str(path),
            remedy="Remove it, and fetch the file again",
        ) from error
