"""The ladder of a pack: the packs that may stand in for it under load, each cheaper than the last.

A manifest names the next rung with `smaller`. What is found there must be for the same task and
know the same classes, or a camera would stop seeing something without saying so.
"""

from __future__ import annotations

from collections.abc import Iterable

from camera_app.errors import ModelError
from camera_app.models.catalog import find_pack
from camera_app.models.pack import MANIFEST, ModelPack

# Longer than any ladder that makes sense; ends one that leads in a circle.
MOST_RUNGS = 8


def find_ladder(pack: ModelPack, trusted: Iterable[str] = ()) -> tuple[ModelPack, ...]:
    """Return a pack and those that may stand in for it, the dearest first.

    A rung is looked for beside the pack, then in the catalogue.

    Args:
        pack: The first rung.
        trusted: Public keys whose signatures count besides those that always do.

    Raises:
        PackRejected: A rung was found, and something is wrong with it.
        ModelError: A rung is missing, sees other classes, or the ladder leads in a circle.
    """
    keys = tuple(trusted)
    rungs = [pack]
    while name := rungs[-1].smaller:
        rung = _find(rungs[-1], name, keys)
        _require_same_use(pack, rung)
        if len(rungs) == MOST_RUNGS or any(rung.name == other.name for other in rungs):
            raise _circle(pack, [*rungs, rung])
        rungs.append(rung)
    return tuple(rungs)


def _find(above: ModelPack, name: str, trusted: tuple[str, ...]) -> ModelPack:
    beside = above.folder.parent / name
    if (beside / MANIFEST).is_file():
        return find_pack(beside, trusted)
    try:
        return find_pack(name, trusted)
    except ModelError as error:
        raise type(error)(
            f"the smaller pack that its manifest names cannot be used: {error}",
            where=f"model pack {above.name}",
        ) from error


def _require_same_use(pack: ModelPack, rung: ModelPack) -> None:
    if rung.task is not pack.task or set(rung.labels) != set(pack.labels):
        raise ModelError(
            f"its smaller pack {rung.name} is for {rung.task.value} of "
            f"{', '.join(rung.labels)}; it must be for the same task and classes",
            where=f"model pack {pack.name}",
            remedy="Name another pack as `smaller` in its manifest, or none",
        )


def _circle(pack: ModelPack, rungs: list[ModelPack]) -> ModelError:
    way = " > ".join(rung.name for rung in rungs)
    return ModelError(
        f"its ladder of smaller packs never ends: {way}",
        where=f"model pack {pack.name}",
        remedy="Leave `smaller` out of the manifest of the cheapest",
    )
