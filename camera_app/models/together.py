"""The packs that look at one camera's frames together: persons by one, faces by another.

Each knows classes of its own, so what one finds is never what another one found as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from camera_app.errors import ModelError
from camera_app.models.catalog import find_pack
from camera_app.models.pack import ModelPack
from camera_app.values import Size


@dataclass(frozen=True, slots=True)
class ModelSet:
    """One or more packs of which no two know the same class.

    Attributes:
        packs: In the order in which the owner named them.
    """

    packs: tuple[ModelPack, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(pack.name for pack in self.packs)

    @property
    def labels(self) -> tuple[str, ...]:
        """Every class that one of them knows."""
        return tuple(label for pack in self.packs for label in pack.labels)

    @property
    def labels_by_pack(self) -> tuple[tuple[str, ...], ...]:
        return tuple(pack.labels for pack in self.packs)

    @property
    def input_size(self) -> Size:
        """The largest width and height that one of them is shown."""
        sizes = [pack.input.size for pack in self.packs]
        return Size(max(size.width for size in sizes), max(size.height for size in sizes))

    @property
    def digest(self) -> str:
        """Digest of all manifests and weights; of a single pack, its own."""
        digests = [pack.digest for pack in self.packs]
        if len(digests) == 1:
            return digests[0]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def find_models(names: Sequence[str], trusted: Iterable[str] = ()) -> ModelSet:
    """Return packs by their names, folders or weights files; as `find_pack`.

    Raises:
        PackRejected: What was found for one of them is wrong.
        ModelError: One was not found, or two know the same class.
    """
    keys = tuple(trusted)
    return model_set([find_pack(name, keys) for name in names])


def model_set(packs: Iterable[ModelPack]) -> ModelSet:
    """Return packs as a set.

    Raises:
        ModelError: Two know the same class.
    """
    models = ModelSet(tuple(packs))
    knows: dict[str, ModelPack] = {}
    for pack in models.packs:
        for label in pack.labels:
            other = knows.setdefault(label, pack)
            if other is not pack:
                raise ModelError(
                    f"{other.name} and {pack.name} both find the class {label!r}",
                    where="the models of a camera",
                    remedy="Name models that find different things, such as person_large and face",
                )
    return models
