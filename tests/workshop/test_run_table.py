"""Several runs in one table: what their folders say, what was measured, and what was not alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.workshop.labelled_pictures import write
from tests.workshop.painted_pictures import ColourNetwork, Painted, write_coco
from tools.workshop.__main__ import main
from tools.workshop.benchmark import Latency, Loading, Result, Subject
from tools.workshop.errors import WorkshopError
from tools.workshop.evaluate import Comparison, compare
from tools.workshop.evaluation_set import load
from tools.workshop.run_table import Row, document, markdown, rows_of, stages_of, unfairness

PERSON = Painted("person", (10, 20, 30, 60))


def recorded(run: Path, step: str, *, ended: str = "2026-01-02", **arguments: Any) -> Path:
    """Leave the record of a step in a run folder, and return the folder."""
    inputs = {"data": {"path": "data", "sha256": "a" * 64}} if step != "prune" else {}
    record = {"step": step, "arguments": arguments, "inputs": inputs, "ended": ended}
    write(run / f"{step}.json", json.dumps(record))
    return run


def schedule(start: Path | str, epochs: int = 6) -> dict[str, Any]:
    same = {"size": 256, "batch": 32, "rate": 1e-3, "seed": 0}
    return {"start": str(start), "epochs": epochs, **same}


def never_found(one: object) -> Sequence[Any]:
    return []


# --- stages ---------------------------------------------------------------------------------


def test_the_steps_that_made_a_run_are_told_from_the_first(tmp_path: Path) -> None:
    first = recorded(tmp_path / "first", "train", **schedule("yolox.tflite"))
    cut = recorded(tmp_path / "cut", "prune", source=str(first), share=0.3)
    last = recorded(
        tmp_path / "last", "distill", teacher="models/big.tflite", **schedule(cut, epochs=4)
    )

    stages = stages_of(last)

    assert [str(stage) for stage in stages] == [
        "trained 6 epochs",
        "pruned by 30%",
        "distilled 4 epochs from big",
    ]
    assert stages[0].before == "yolox.tflite"
    assert [stage.epochs for stage in stages] == [6, 0, 4]


def test_epochs_that_were_cut_short_are_told(tmp_path: Path) -> None:
    run = recorded(tmp_path, "train", batches=100, **schedule("none", epochs=2))
    assert str(stages_of(run)[0]) == "trained 2 epochs of 100 batches"


def test_of_two_steps_in_a_folder_the_later_made_the_network(tmp_path: Path) -> None:
    recorded(tmp_path, "train", ended="2026-01-01", **schedule("none", epochs=2))
    recorded(tmp_path, "distill", ended="2026-01-02", teacher="big", **schedule("none"))
    assert [str(stage) for stage in stages_of(tmp_path)] == ["distilled 6 epochs from big"]


def test_a_run_that_was_begun_from_itself_has_one_stage(tmp_path: Path) -> None:
    recorded(tmp_path, "train", **schedule(tmp_path))
    assert len(stages_of(tmp_path)) == 1


def test_a_folder_without_records_has_no_stages(tmp_path: Path) -> None:
    assert stages_of(tmp_path) == ()


@pytest.mark.parametrize("arguments", [{"share": 0.3}, {"source": "x", "share": "much"}])
def test_a_record_that_makes_no_sense_is_named(tmp_path: Path, arguments: dict[str, Any]) -> None:
    recorded(tmp_path, "prune", **arguments)
    with pytest.raises(WorkshopError, match="cannot be understood"):
        stages_of(tmp_path)


# --- the table ------------------------------------------------------------------------------


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """A network that finds all, and a twin that finds nothing."""
    pictures = load(write_coco(tmp_path / "val", {"a.png": [PERSON]}))
    networks = [ColourNetwork("run/int8"), ColourNetwork("pack")]
    twins = {"run/int8": ColourNetwork("run/float", fault=never_found)}
    return compare(networks, pictures, twins=twins)  # type: ignore[arg-type]


def cost_of(name: str) -> Result:
    latency = Latency(best_ms=1.0, p50_ms=2.25, p90_ms=3.0, p99_ms=4.0, runs=200)
    subject = Subject(name, Path("x.tflite"))
    return Result(subject, 500_000, 900_000, 120_000_000, latency, Loading(1.0, 1.0, 1), None)


@pytest.fixture
def rows(comparison: Comparison, tmp_path: Path) -> tuple[Row, ...]:
    run = recorded(tmp_path / "run", "train", **schedule("none"))
    return rows_of(
        comparison,
        [cost_of("run/int8"), cost_of("pack")],
        {"run/int8": stages_of(run)},
        {"run/int8": "run/float"},
    )


def test_int8_float_and_cost_come_from_the_right_network(rows: tuple[Row, ...]) -> None:
    run, pack = rows
    assert (run.name, pack.name) == ("run", "pack")
    assert run.int8.ap50 == 1.0
    assert run.float_ is not None
    assert run.float_.ap50 == 0.0
    assert pack.float_ is None
    assert run.epochs == 6


def test_the_table_has_every_figure_and_how_it_was_made(
    comparison: Comparison, rows: tuple[Row, ...]
) -> None:
    lines = markdown(comparison, rows).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:6]]

    assert lines[0].startswith("On 1 pictures of val: person")
    assert cells[0] == [
        "run",
        "6",
        "900 k",
        "120.0 M",
        *["0.000", "1.000", "0.000", "1.000", "2.25", "0.50"],
    ]
    assert cells[1] == ["pack", "", "900 k", "120.0 M", "", "1.000", "", "1.000", "2.25", "0.50"]
    assert lines[-1] == "- run: from chance, trained 6 epochs"


def test_the_document_can_be_written_as_json(comparison: Comparison, rows: tuple[Row, ...]) -> None:
    run, _ = json.loads(json.dumps(document(comparison, rows)))["networks"]
    assert run["latency"]["p50_ms"] == 2.25
    assert run["stages"][0]["arguments"]["epochs"] == 6
    assert run["float"]["ap50"] == 0.0


def test_what_the_runs_do_not_share_is_said(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    longer = recorded(tmp_path / "longer", "train", **schedule("none", epochs=9))
    other = Row("longer", stages_of(longer), rows[0].int8, None, rows[0].cost)

    assert list(unfairness(rows)) == []
    assert list(unfairness([*rows, other])) == [
        "epochs differ: run 6, longer 9",
        "epochs of all stages differ: run 6, longer 9",
    ]


# --- the step -------------------------------------------------------------------------------


@pytest.mark.workshop
@pytest.mark.shared
def test_runs_and_a_pack_are_compared_and_the_table_is_written(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runs hold the weights of a pack, so that all must be equally good."""
    pytest.importorskip("torch")
    pack = "yolox_nano_person_256"
    weights = (shared / "models" / "detect" / f"{pack}.tflite").read_bytes()
    runs = [known_run(tmp_path / name, weights) for name in ("one", "two")]
    images = shared / "images" / "coco_val128"
    few = write_few(tmp_path / "few", images)

    words = ["compare", *map(str, runs), "--images", str(few), "--beside", pack]
    assert main([*words, "--rounds", "1", "--out", str(tmp_path / "table")]) == 0

    text = (tmp_path / "table" / "comparison.md").read_text()
    assert capsys.readouterr().out == text
    networks = json.loads((tmp_path / "table" / "comparison.json").read_text())["networks"]
    assert [one["name"] for one in networks] == ["one", "two", pack]
    assert len({one["int8"]["ap50"] for one in networks}) == 1
    assert networks[0]["int8"]["ap50"] > 0.3
    assert networks[0]["float"] == networks[0]["int8"]
    assert networks[2]["float"] is None


@pytest.mark.workshop
@pytest.mark.shared
def test_a_run_that_is_not_quantized_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    run = known_run(tmp_path / "run", b"")
    (run / "int8.tflite").unlink()
    folder = write_coco(tmp_path / "val", {"a.png": [PERSON]})
    assert main(["compare", str(run), "--images", str(folder)]) == 2
    assert "Run the step `quantize` first" in capsys.readouterr().err


def known_run(run: Path, weights: bytes) -> Path:
    """Write a run folder whose network is that of a known file."""
    from tools.workshop.network import NetworkPlan

    plan = NetworkPlan(classes=("person",), height=256, width=256, widths={})
    write(run / "network.json", json.dumps(asdict(plan)))
    write(run / "int8.tflite", weights)
    write(run / "float.tflite", weights)
    return recorded(run, "train", **schedule("none"))


def write_few(folder: Path, images: Path) -> Path:
    """Write the annotations of the first pictures that show people, and the pictures."""
    document = json.loads((images / "instances.json").read_text())
    [person] = [one["id"] for one in document["categories"] if one["name"] == "person"]
    shown = {a["image_id"] for a in document["annotations"] if a["category_id"] == person}
    kept = [one for one in document["images"] if one["id"] in shown][:8]
    ids = {one["id"] for one in kept}
    document["images"] = kept
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] in ids]
    write(folder / "instances.json", json.dumps(document))
    for one in kept:
        [path] = images.rglob(Path(one["file_name"]).name)
        write(folder / Path(one["file_name"]), path.read_bytes())
    return folder
