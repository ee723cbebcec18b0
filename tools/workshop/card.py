"""The card of a model: what a person should know before using it, put together from its run.

Figures are those that the steps recorded; nothing is written by hand but what the network is for
and where its data came from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.workshop.errors import WorkshopError
from tools.workshop.runs import RunFolder

HISTORY = "history.jsonl"
TRAINING_STEPS = ("distill", "train")
# Steps that leave a network, the last one first: it is what its last one made of it.
STEPS = (*TRAINING_STEPS, "prune")
PARTS = ("objectness", "category", "box", "imitation", "features")
BAR_WIDTH = 30


@dataclass(frozen=True, slots=True)
class CardText:
    """What only a person can say.

    Attributes:
        title: Name of the pack.
        purpose: A paragraph: what it finds, and what it is not for.
        data: A line a data set, with its licence.
        origin: Where the first weights came from, with their licence.
        weaknesses: A line each.
        repeat: The command that makes it again.
    """

    title: str
    purpose: str
    data: Sequence[str]
    origin: str
    weaknesses: Sequence[str]
    repeat: str


def write_card(text: CardText, run: Path, evaluations: Sequence[Path]) -> str:
    """Return the card as Markdown.

    Args:
        text: What only a person can say.
        run: Folder of the trained, converted and quantized network.
        evaluations: `figures.json` of the step `evaluate`, one a set of pictures.

    Raises:
        WorkshopError: A step has not left its record, or a figure is not there.
    """
    parts = [
        f"# {text.title}",
        text.purpose,
        "## Figures",
        *(_figures(path) for path in evaluations),
        "## Where it sees badly",
        "\n".join(f"- {line}" for line in text.weaknesses),
        "## Data and licences",
        "\n".join(f"- {line}" for line in (*text.data, text.origin)),
        "## Training",
        "\n".join(_training(run)),
        "## How to make it again",
        f"```sh\n{text.repeat}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _figures(path: Path) -> str:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        model = document["models"][0]
        lines = [
            f"On {document['images']}: {document['pictures']} pictures with {document['objects']} "
            f"objects, none of them trained on. {model['weights_bytes']:,} bytes; "
            f"{model['latency']['invoke_ms']:.2f} ms a run, one thread.",
            "",
            "| objects | AP50 | AP50:95 |",
            "| --- | --- | --- |",
            *_rows(model),
            "",
            *_found(model),
        ]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise WorkshopError(
            f"no figures of an evaluation: {error!r}",
            where=str(path),
            remedy="Run the step `evaluate` with --out first",
        ) from error
    return "\n".join(lines)


def _rows(model: Mapping[str, Any]) -> Iterator[str]:
    yield _row("all", model["overall"])
    for share, figures in model["by_height"].items():
        if figures is not None and figures["ap50"] >= 0:  # COCO's -1: none is of this size
            yield _row(f"{share} of the picture's height", figures)


def _row(name: str, figures: Mapping[str, float]) -> str:
    return f"| {name} | {figures['ap50']:.3f} | {figures['ap50_95']:.3f} |"


def _found(model: Mapping[str, Any]) -> Iterator[str]:
    for key in ("at_score", "at_best"):
        point = model[key]
        yield (
            f"At score {point['score']:.2f}: {point['found']} of {point['objects']} found "
            f"({point['recall']:.0%}), {point['wrong']} wrong boxes (precision "
            f"{point['precision']:.0%})."
        )
    faces = model.get("faces")
    if faces:
        yield (
            f"One face a picture is meant: {faces['found']} of {faces['faces']} found at score "
            f"{faces['score']:.2f} with {faces['others']} other boxes, mean IoU "
            f"{faces['mean_iou']:.2f}; at score {faces['best_score']:.2f}: {faces['best_found']} "
            f"with {faces['best_others']}."
        )


def _training(run: Path) -> Iterator[str]:
    """Yield every training that led to a network, the first one first."""
    stages = list(_stages(run))
    for number, (folder, record) in enumerate(reversed(stages), start=1):
        yield f"{number}. {_sentence(record)}"
        if record["step"] in TRAINING_STEPS:
            yield from ("", *curve(_history(folder)), "")
    versions = ", ".join(f"{name} {version}" for name, version in stages[0][1]["versions"].items())
    yield f"Made with {versions}."


def _stages(run: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a run and those that it started from, the last one first."""
    folder: Path | None = run
    while folder is not None:
        record = _record(folder)
        yield folder, record
        arguments = record["arguments"]
        before = Path(arguments["source"] if record["step"] == "prune" else arguments["start"])
        folder = before if before.is_dir() else None


def _record(run: Path) -> dict[str, Any]:
    for step in STEPS:
        if (run / f"{step}.json").is_file():
            return RunFolder(run).read_record(step)
    RunFolder(run).file("train.json", made_by="train")  # raises, and names the step
    raise AssertionError


def _sentence(record: Mapping[str, Any]) -> str:
    arguments = record["arguments"]
    if record["step"] == "prune":
        before, after = record["figures"]["parameters"]
        share = arguments["share"]
        return f"Pruned: {share:.0%} of the channels, {before:,} parameters became {after:,}."
    teacher = f", teacher `{arguments['teacher']}`" if "teacher" in arguments else ""
    return (
        f"{arguments['epochs']} epochs of `{record['step']}` at {arguments['size']} px, batch "
        f"{arguments['batch']}, rate {arguments['rate']}, seed {arguments['seed']}, from "
        f"`{Path(arguments['start']).name}`{teacher}."
    )


def _history(run: Path) -> list[dict[str, float]]:
    path = RunFolder(run).file(HISTORY, made_by="train")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def curve(history: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Yield a training curve as a table with bars: readable in any viewer, and in a diff."""
    names = [name for name in PARTS if any(epoch.get(name) for epoch in history)]
    yield f"| epoch | {' | '.join(names)} | sum |"
    yield "| --- " * (len(names) + 2) + "|"
    sums = [sum(epoch.get(name, 0.0) for name in names) for epoch in history]
    for epoch, total in zip(history, sums, strict=True):
        values = " | ".join(f"{epoch.get(name, 0.0):.3f}" for name in names)
        bar = "█" * max(1, round(BAR_WIDTH * total / max(sums)))
        yield f"| {epoch['epoch']:.0f} | {values} | {bar} {total:.2f} |"
