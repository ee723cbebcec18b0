"""The card of a model says what the steps recorded, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.workshop.__main__ import main
from tools.workshop.card import curve

TEXT = """
title = "door"
purpose = "Finds doors."
data = ["doors of our street, CC0"]
origin = "from chance"
weaknesses = ["glass doors"]
repeat = "make doors"
"""


def point(score: float) -> dict[str, float]:
    return {
        "score": score,
        "found": 30,
        "wrong": 2,
        "objects": 40,
        "recall": 0.75,
        "precision": 0.9375,
    }


def make_run(folder: Path) -> Path:
    (folder / "train.json").write_text(
        json.dumps(
            {
                "step": "train",
                "arguments": {
                    "step": "train",
                    "epochs": 2,
                    "size": 64,
                    "batch": 4,
                    "rate": 0.01,
                    "seed": 7,
                    "start": "none",
                },
                "versions": {"torch": "9.9"},
            }
        )
    )
    epochs = [{"epoch": 1, "box": 4.0, "imitation": 0.0}, {"epoch": 2, "box": 1.0, "imitation": 0}]
    (folder / "history.jsonl").write_text("".join(json.dumps(one) + "\n" for one in epochs))
    figures = folder / "figures.json"
    overall = {"ap50": 0.731, "ap50_95": 0.402}
    model = {
        "weights_bytes": 123456,
        "latency": {"invoke_ms": 1.5},
        "overall": overall,
        "by_height": {"above 50 %": overall, "below 10 %": {"ap50": -1.0, "ap50_95": -1.0}},
        "at_score": point(0.6),
        "at_best": point(0.3),
    }
    figures.write_text(
        json.dumps({"images": "held_out", "pictures": 9, "objects": 40, "models": [model]})
    )
    (folder / "text.toml").write_text(TEXT)
    return figures


def write(folder: Path, figures: Path) -> int:
    words = ["card", "--run", str(folder), "--text", str(folder / "text.toml")]
    return main([*words, "--evaluation", str(figures)])


def test_card_tells_figures_data_and_how_to_repeat(tmp_path: Path) -> None:
    assert write(tmp_path, make_run(tmp_path)) == 0

    card = (tmp_path / "CARD.md").read_text()
    for words in ("# door", "| all | 0.731 | 0.402 |", "held_out: 9 pictures with 40 objects"):
        assert words in card
    for words in (
        "CC0",
        "glass doors",
        "make doors",
        "seed 7",
        "torch 9.9",
        "30 of 40 found (75%)",
    ):
        assert words in card


def test_card_leaves_out_sizes_that_no_object_has(tmp_path: Path) -> None:
    write(tmp_path, make_run(tmp_path))

    card = (tmp_path / "CARD.md").read_text()
    assert "above 50 % of the picture's height" in card
    assert "below 10 %" not in card


def test_card_without_an_evaluation_names_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path)

    assert write(tmp_path, tmp_path / "none.json") == 2
    assert "`evaluate`" in capsys.readouterr().err


def test_card_without_a_trained_network_names_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = make_run(tmp_path)
    (tmp_path / "train.json").unlink()

    assert write(tmp_path, figures) == 2
    assert "`train`" in capsys.readouterr().err


def test_card_refuses_a_text_with_an_unknown_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = make_run(tmp_path)
    (tmp_path / "text.toml").write_text(TEXT + 'colour = "blue"\n')

    assert write(tmp_path, figures) == 2
    assert "colour" in capsys.readouterr().err


def test_card_tells_every_stage_that_led_to_a_pruned_network(tmp_path: Path) -> None:
    first, cut, last = (tmp_path / name for name in ("first", "cut", "last"))
    for folder in (first, cut, last):
        folder.mkdir()
    make_run(first)
    (cut / "prune.json").write_text(
        json.dumps(
            {
                "step": "prune",
                "arguments": {"source": str(first), "share": 0.3},
                "figures": {"parameters": [1000, 600]},
                "versions": {},
            }
        )
    )
    figures = make_run(last)
    record = json.loads((last / "train.json").read_text())
    record["arguments"]["start"] = str(cut)
    (last / "train.json").write_text(json.dumps(record))

    write(last, figures)

    card = (last / "CARD.md").read_text()
    stages = ["1. 2 epochs of `train`", "2. Pruned: 30% of the channels, 1,000", "3. 2 epochs"]
    places = [card.index(stage) for stage in stages]
    assert places == sorted(places)


def test_curve_shows_only_losses_that_were_asked_for() -> None:
    lines = list(curve([{"epoch": 1, "box": 4.0, "imitation": 0.0}, {"epoch": 2, "box": 1.0}]))

    assert lines[0] == "| epoch | box | sum |"
    assert lines[2] == "| 1 | 4.000 | " + "█" * 30 + " 4.00 |"
    assert lines[3] == "| 2 | 1.000 | " + "█" * 8 + " 1.00 |"
