"""Several runs in one table: how each was made, how good it is, and what it costs.

What is measured comes from `evaluate` and `benchmark`; here it is put side by side, with what the
run folders say about themselves. A comparison is fair only on the same data and schedule: where
they differ, the table says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.workshop.average_precision import Precision
from tools.workshop.benchmark import Result
from tools.workshop.errors import WorkshopError
from tools.workshop.evaluate import Comparison
from tools.workshop.runs import RunFolder, revision, versions

# What `candidates` adds to the name of a run's folder.
INT8_SUFFIX = "/int8"
TRAINING = ("train", "distill")
STEPS = (*TRAINING, "prune")
# What runs that are compared should have in common.
SCHEDULE = ("size", "epochs", "batches", "batch", "rate", "seed")


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of those that made a network.

    Attributes:
        step: `train`, `distill` or `prune`.
        arguments: It was called with.
        data_sha256: Of the data set; empty where there was none.
    """

    step: str
    arguments: Mapping[str, Any]
    data_sha256: str

    @property
    def epochs(self) -> int:
        """Times that it showed every picture."""
        return int(self.arguments.get("epochs", 0))

    @property
    def before(self) -> str:
        """Where its weights came from: a folder, a file, or `none` for chance."""
        return str(self.arguments["source" if self.step == "prune" else "start"])

    def __str__(self) -> str:
        if self.step == "prune":
            return f"pruned by {float(self.arguments['share']):.0%}"
        most = self.arguments.get("batches")
        length = f"{self.epochs} epochs" + (f" of {most} batches" if most else "")
        if self.step == "train":
            return f"trained {length}"
        return f"distilled {length} from {Path(self.arguments['teacher']).stem}"


@dataclass(frozen=True, slots=True)
class Row:
    """All that is known of one network.

    Attributes:
        name: Of the run or the pack.
        stages: That made it, first to last; empty for a pack.
        int8: Average precision of the file that the camera runs.
        float_: The same before quantization; None for a pack.
        cost: Size, parameters, multiplications, latency, memory.
    """

    name: str
    stages: tuple[Stage, ...]
    int8: Precision
    float_: Precision | None
    cost: Result

    @property
    def epochs(self) -> int:
        """Of all stages together."""
        return sum(stage.epochs for stage in self.stages)


# --- what run folders say -------------------------------------------------------------------


def stages_of(run: Path) -> tuple[Stage, ...]:
    """Return the steps that made a run's network, first to last, as far back as folders are there.

    Raises:
        WorkshopError: A record cannot be understood.
    """
    found: list[Stage] = []
    seen: set[Path] = set()
    folder = run
    while folder.resolve() not in seen and (stage := _stage_of(folder)):
        seen.add(folder.resolve())
        found.append(stage)
        folder = Path(stage.before)
    return tuple(reversed(found))


def _stage_of(folder: Path) -> Stage | None:
    """Return the step that ended last in a folder; None where there is no record of any."""
    if not folder.is_dir():
        return None
    records = [
        RunFolder(folder).read_record(step) for step in STEPS if (folder / f"{step}.json").is_file()
    ]
    try:
        last = max(records, key=lambda record: str(record["ended"]), default=None)
        if last is None:
            return None
        data = last["inputs"].get("data", {}).get("sha256", "")
        stage = Stage(last["step"], last["arguments"], data)
        _ = stage.before, str(stage)  # nothing that the table will need is missing
        return stage
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkshopError(
            f"the record of a step cannot be understood: {error!r}",
            where=str(folder),
            remedy="Run the step again; it writes a new one",
        ) from error


def unfairness(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what the last training of the runs did not have in common."""
    trained = {row.name: last for row in rows if (last := _last_training(row.stages))}
    for name in SCHEDULE:
        yield from _differing(name, {run: s.arguments.get(name) for run, s in trained.items()})
    yield from _differing("data set", {run: s.data_sha256[:12] for run, s in trained.items()})
    yield from _differing("epochs of all stages", {r.name: r.epochs for r in rows if r.stages})


def _last_training(stages: Sequence[Stage]) -> Stage | None:
    return next((stage for stage in reversed(stages) if stage.step in TRAINING), None)


def _differing(what: str, values: Mapping[str, Any]) -> Iterator[str]:
    if len(set(values.values())) > 1:
        yield f"{what} differ: " + ", ".join(f"{run} {value}" for run, value in values.items())


# --- putting it together --------------------------------------------------------------------


def rows_of(
    comparison: Comparison,
    costs: Sequence[Result],
    stages: Mapping[str, tuple[Stage, ...]],
    twins: Mapping[str, str],
) -> tuple[Row, ...]:
    """Join what was measured, network by network.

    Args:
        comparison: Figures of all networks and of their float twins.
        costs: Of the int8 files; their names are those of the networks in the comparison.
        stages: By the name of the network; those absent have none.
        twins: Name of the float network by that of the int8 one.
    """
    overall = {one.model: one.precision.overall for one in comparison.evaluations}
    return tuple(
        Row(
            name=cost.subject.name.removesuffix(INT8_SUFFIX),
            stages=stages.get(cost.subject.name, ()),
            int8=overall[cost.subject.name],
            float_=overall[twins[cost.subject.name]] if cost.subject.name in twins else None,
            cost=cost,
        )
        for cost in costs
    )


def markdown(comparison: Comparison, rows: Sequence[Row]) -> str:
    """Return the table as Markdown, with what is needed to read it."""
    pictures = comparison.pictures
    cells = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    lines = [
        f"On {len(pictures.pictures)} pictures of {pictures.name}: "
        f"{', '.join(comparison.classes)}. Latency: median of "
        f"{rows[0].cost.latency.runs} runs each, in turn, one thread.",
        "",
        _line(HEAD, widths),
        "| " + " | ".join("-" * (width - 1) + ":" for width in widths) + " |",
        *(_line(line, widths) for line in cells[1:]),
    ]
    made = [f"- {row.name}: {_story(row)}" for row in rows if row.stages]
    unfair = [f"- not alike: {line}" for line in unfairness(rows)]
    notes = [*made, *unfair]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


HEAD = (
    *("network", "epochs", "parameters", "MACs", "AP50 float", "AP50 int8"),
    *("AP50:95 float", "AP50:95 int8", "int8 ms", "int8 MB"),
)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True)) + " |"


def _cells(row: Row) -> tuple[str, ...]:
    cost, twin = row.cost, row.float_
    return (
        row.name,
        str(row.epochs) if row.stages else "",
        f"{cost.parameters / 1e3:,.0f} k",
        f"{cost.macs / 1e6:,.1f} M",
        f"{twin.ap50:.3f}" if twin else "",
        f"{row.int8.ap50:.3f}",
        f"{twin.ap50_95:.3f}" if twin else "",
        f"{row.int8.ap50_95:.3f}",
        f"{cost.latency.p50_ms:.2f}",
        f"{cost.size_bytes / 1e6:.2f}",
    )


def _story(row: Row) -> str:
    begin = row.stages[0].before
    origin = "chance" if begin == "none" else Path(begin).name
    return f"from {origin}, " + ", ".join(map(str, row.stages))


def document(comparison: Comparison, rows: Sequence[Row]) -> dict[str, Any]:
    """Return everything as JSON can hold it."""
    return {
        "schema": 1,
        "images": comparison.pictures.name,
        "pictures": len(comparison.pictures.pictures),
        "classes": list(comparison.classes),
        "networks": [_row_document(row) for row in rows],
        "not_alike": list(unfairness(rows)),
        "versions": versions(),
        "revision": revision(),
    }


def _row_document(row: Row) -> dict[str, Any]:
    cost = row.cost
    return {
        "name": row.name,
        "file": str(cost.subject.path),
        "epochs": row.epochs,
        "stages": [asdict(stage) for stage in row.stages],
        "float": asdict(row.float_) if row.float_ else None,
        "int8": asdict(row.int8),
        "parameters": cost.parameters,
        "macs": cost.macs,
        "size_bytes": cost.size_bytes,
        "latency": asdict(cost.latency),
        "loading": asdict(cost.loading),
    }
