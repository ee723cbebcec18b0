"""The drawings of an evaluation, as SVG. The same figures give the same bytes."""

from __future__ import annotations

import io

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.workshop.counting import HeightCount
from tools.workshop.evaluate import Comparison, Evaluation

SIZE_INCHES = (6.4, 4.0)
SCORE_BINS = 40


def precision_recall(comparison: Comparison) -> bytes:
    """Draw precision over recall at IoU 0.5, a line a network."""
    figure, axes = _drawing("recall", "precision at IoU 0.5")
    for one in comparison.evaluations:
        last = len(one.precision.curve) - 1
        recall = [index / last for index in range(last + 1)]
        axes.plot(recall, one.precision.curve, label=one.model)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    return _finished(figure, axes)


def recall_by_height(comparison: Comparison) -> bytes:
    """Draw the share of objects found by their height, a line a network."""
    title = f"found at score {comparison.score:g}"
    figure, axes = _drawing("height of the object, share of the picture's", title)
    for one in comparison.evaluations:
        there = [count for count in one.by_height if count.objects]
        shares = [count.found / count.objects for count in there]
        axes.plot([_middle(count) for count in there], shares, marker="o", label=one.model)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    return _finished(figure, axes)


def _middle(count: HeightCount) -> float:
    return (count.from_share + count.to_share) / 2


def found_against_others(comparison: Comparison) -> bytes:
    """Draw faces found over other boxes, as FDDB does, a line a network."""
    figure, axes = _drawing("other boxes", "share of faces found")
    for one in comparison.evaluations:
        steps = one.faces.curve if one.faces else ()
        others = [0, *(count.wrong for count in steps)]
        recall = [0.0, *(count.recall for count in steps)]
        axes.step(others, recall, where="post", marker=".", label=one.model)
    axes.set_xscale("symlog")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.02)
    return _finished(figure, axes)


def scores(evaluation: Evaluation) -> bytes:
    """Draw how many boxes of one network are right and wrong at each score."""
    every = [one for of_picture in evaluation.matches for one in of_picture]
    right = [one.detection.score for one in every if one.is_right]
    wrong = [one.detection.score for one in every if one.is_wrong]
    figure, axes = _drawing("score", "boxes")
    axes.hist([right, wrong], bins=SCORE_BINS, range=(0, 1), stacked=True, label=["right", "wrong"])
    # Weak boxes outnumber the others by far: without it nothing else would be seen.
    axes.set_yscale("symlog", linthresh=10)
    axes.set_xlim(0, 1)
    return _finished(figure, axes)


def _drawing(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _finished(figure: Figure, axes: Axes) -> bytes:
    handles, labels = axes.get_legend_handles_labels()
    # A name that begins with an underscore would be left out; a dollar sign would be mathematics.
    names = [_plain(label) for label in labels]
    # Outside: the place inside that covers least is searched for, and may cover something still.
    figure.legend(handles, names, loc="outside upper center", ncols=2, fontsize="small")
    buffer = io.BytesIO()
    # Identifiers in an SVG are hashes with a salt, which is random unless one is given.
    with mpl.rc_context({"svg.hashsalt": "camera_app"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _plain(label: str) -> str:
    return label.replace("$", r"\$")
