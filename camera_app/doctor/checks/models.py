"""The model packs that the configuration names: found, signed, whole, and giving their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from camera_app.config import Config, InferenceSettings
from camera_app.doctor.errands import MODELS_ENTRY, ChildFailed, asked
from camera_app.doctor.findings import Finding
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.threads import Deadline

_kinds = Kinds("models")
UNKNOWN = _kinds.error(
    "unknown",
    "there is no model pack of a name that the configuration gives",
    "Name one that is there",
    "camera-app models list",
)
REJECTED = _kinds.error(
    "rejected",
    "a pack's signature, hash or manifest does not check out: it is never loaded",
    "Get it anew from whom you trust, or trust its key in [models] trusted_keys",
    "camera-app models verify <pack>",
)
MISSING = _kinds.error(
    "missing",
    "the weights of a pack are not on this machine",
    "Fetch them",
    "camera-app models fetch <pack>",
)
WRONG_ANSWERS = _kinds.error(
    "wrong_answers",
    "a network computes something else here than what its pack says",
    "Install the libraries again as the lock names them; a processor that was overclocked does "
    "this as well",
    "camera-app models verify <pack>",
)
FAILED = _kinds.error(
    "failed",
    "a network cannot be run here: no runtime, or the runtime crashed on it or hung",
    "See what the check `python` says",
    "camera-app models verify <pack>",
)
NO_SUCH_LABEL = _kinds.warning(
    "no_such_label",
    "events or a zone of a camera ask for a class that none of its models finds",
    "Take it out, or name a model that finds it",
    "camera-app models show <pack>",
)

_BY_TROUBLE = {
    "unknown": UNKNOWN,
    "rejected": REJECTED,
    "missing": MISSING,
    "wrong_answers": WRONG_ANSWERS,
    "failed": FAILED,
}

Told = Mapping[str, Any]  # what the child answered


def examine(subject: Subject) -> Examined:
    """Have each pack checked in a child, in turn."""
    config = subject.config
    names = packs_of(config)
    trusted = list(config.models.trusted_keys) if config is not None else []
    deadline = Deadline(subject.limit_s)
    told = {name: _asked(name, trusted, deadline) for name in names}
    findings = [finding for name, one in told.items() for finding in judge(name, one)]
    if config is not None:
        labels = {name: frozenset(one.get("labels", ())) for name, one in told.items()}
        findings += judge_labels(config, labels)
    facts = tuple(
        f"{name}: {one['answers']} known answers right"
        for name, one in told.items()
        if not one["trouble"]
    )
    return Examined(facts, tuple(findings))


def packs_of(config: Config | None) -> tuple[str, ...]:
    """Return the packs that a configuration uses; without one, those that it would by itself."""
    if config is None:
        return InferenceSettings().model
    used = (
        camera.model or config.inference.model
        for camera in config.camera.values()
        if camera.enabled
    )
    return tuple(dict.fromkeys(name for names in used for name in names))


def judge(name: str, told: Told) -> Iterator[Finding]:
    """Say what is wrong with a pack."""
    trouble = told["trouble"]
    if trouble:
        kind = _BY_TROUBLE[trouble]
        yield kind.found(told["what"], where=name, remedy=told["remedy"], pack=name)


def judge_labels(config: Config, labels: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    """Say which classes are asked for in vain.

    Args:
        config: The whole of it.
        labels: What each pack finds; empty for one that is wrong.
    """
    for name, camera in config.camera.items():
        packs = camera.model or config.inference.model
        if not camera.enabled or not all(labels.get(pack) for pack in packs):
            continue
        found = frozenset[str]().union(*(labels[pack] for pack in packs))
        # The labels of events are a default that fits several models: only none at all is wrong.
        if camera.events.labels and not found & set(camera.events.labels):
            wanted = ", ".join(camera.events.labels)
            what = f"events are made of {wanted}, and its models find none of them"
            yield NO_SUCH_LABEL.found(what, where=f"camera.{name}.events.labels", pack=packs[0])
        for zone in camera.zones:
            vain = sorted(set(zone.labels) - found)
            if vain:
                what = f"{', '.join(vain)} is found by none of its models"
                where = f"camera.{name}.zones.{zone.name}"
                yield NO_SUCH_LABEL.found(what, where=where, pack=packs[0])


def _asked(name: str, trusted: list[str], deadline: Deadline) -> Told:
    try:
        return asked(MODELS_ENTRY, {"pack": name, "trusted": trusted}, deadline.remaining_s())
    except ChildFailed as error:
        return {"trouble": "failed", "what": f"it could not be run: {error}", "remedy": ""}


CHECK = Check(
    "models", "packs of the configuration: signature, hash, known answers", examine, _kinds.made
)
