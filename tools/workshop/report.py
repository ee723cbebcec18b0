"""The report of an evaluation: one HTML page that needs nothing beside it and no network.

Whatever comes from outside (names of files, classes, models) becomes text of the page, never a
part of its making: everything goes through `element`, which escapes.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tools.workshop import exhibits, plots
from tools.workshop.average_precision import Precision
from tools.workshop.counting import objects_of
from tools.workshop.evaluate import Agreement, Comparison, Evaluation
from tools.workshop.exhibits import MISPLACED, MISS, SAMPLE, WRONG
from tools.workshop.face_recall import FaceFigures
from tools.workshop.runs import revision, versions, write_bytes, write_text

REPORT_FILE = "report.html"
PICTURES_FOLDER = "pictures"
MIB = 1024 * 1024

TITLES = {
    MISS: "Missed, the largest first",
    WRONG: "Wrong, the surest first",
    MISPLACED: "In the wrong place, or drawn twice, the surest first",
    SAMPLE: "By chance",
}
NOTHING = {
    MISS: "Nothing was missed.",
    WRONG: "No box is wrong.",
    MISPLACED: "No box is in the wrong place.",
    SAMPLE: "No pictures were asked for.",
}

POLICY = "default-src 'none'; img-src 'self' data: file:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { border-bottom: 1px solid #8884; padding: 0.25rem 0.75rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.plots, .gallery { display: flex; flex-wrap: wrap; gap: 1rem; }
.plots img { background: white; width: 34rem; max-width: 100%; }
figure { margin: 0; }
.gallery figure { max-width: 320px; }
.gallery img { max-width: 100%; }
figcaption { font-size: 0.85rem; overflow-wrap: anywhere; }
.truth { color: rgb(20 150 40); font-weight: 600; }
.found { color: rgb(220 95 0); font-weight: 600; }
footer { border-top: 1px solid #8884; margin-top: 3rem; padding-top: 1rem; }
"""

FOOT = (
    "The pictures in this report belong to the data they were taken from. They are for looking at "
    "on this machine: do not put the report into a repository, and do not publish it."
)


class Markup(str):
    """Text that is part of the page already: escaped, or made by `element`."""

    __slots__ = ()


Content = str | Iterable[str]
VOID = frozenset({"img", "meta"})


def element(name: str, /, *content: Content, **attributes: str) -> Markup:
    """Return an element; what is no `Markup` is escaped.

    Args:
        name: Of the element.
        content: Text and elements, or lists of them.
        attributes: A final underscore is left out of a name, an inner one becomes a hyphen.
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    if name in VOID:
        return Markup(f"<{name}{words}>")
    return Markup(f"<{name}{words}>{''.join(_markup(one) for one in content)}</{name}>")


def _markup(content: Content) -> str:
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return html.escape(content)
    return "".join(_markup(one) for one in content)


class Pictures:
    """Where the page's pictures go: into it, or into a folder beside it."""

    def __init__(self, folder: Path | None) -> None:
        """Remember; None: into the page."""
        self._folder = folder
        self._count = 0

    def jpeg(self, content: bytes) -> str:
        """Return the address of a picture for the page."""
        if self._folder is None:
            return _data("image/jpeg", content)
        self._count += 1
        name = f"{self._count:04d}.jpg"
        write_bytes(self._folder / name, content)
        return f"{self._folder.name}/{name}"


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def write_report(
    folder: Path, comparison: Comparison, *, examples: int, seed: int, picture_files: bool = False
) -> Path:
    """Write the report and return its path.

    Args:
        folder: Where to.
        comparison: What to report.
        examples: How many pictures of each kind for each network.
        seed: Of the pictures shown by chance.
        picture_files: Leave the pictures in a folder beside the page.

    Raises:
        WorkshopError: It cannot be written, or a picture cannot be read.
    """
    pictures = Pictures(folder / PICTURES_FOLDER if picture_files else None)
    path = folder / REPORT_FILE
    write_text(path, page(comparison, pictures, examples=examples, seed=seed))
    return path


def page(comparison: Comparison, pictures: Pictures, *, examples: int, seed: int) -> str:
    """Return the report as text."""
    title = f"Evaluation on {comparison.pictures.name}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        element("h1", title),
        element("p", _summary(comparison)),
        _tables(comparison),
        _plots(comparison),
        [_examples(comparison, one, pictures, examples, seed) for one in comparison.evaluations],
        element("footer", element("p", FOOT), element("p", _origin())),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _summary(comparison: Comparison) -> str:
    count = len(comparison.pictures.pictures)
    classes = comparison.classes
    what = ", ".join(classes) if len(classes) <= 10 else f"{len(classes)} classes"
    objects = objects_of(comparison.pictures, classes)
    marked_by = comparison.pictures.marked_by
    marked = f" Nobody marked them: the boxes are those of {marked_by}." if marked_by else ""
    return f"{count} pictures, {objects} objects to be found: {what}.{marked}"


def _origin() -> str:
    known = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"Made by camera_app at {revision() or 'an unknown revision'}, with {known}."


# --- tables ---------------------------------------------------------------------------------


def _tables(comparison: Comparison) -> list[Markup]:
    evaluations = comparison.evaluations
    tables = [element("h2", "The whole"), _overall_table(evaluations)]
    tables += [element("h2", "At a threshold"), _threshold_table(evaluations)]
    faces = [(one.model, one.faces) for one in evaluations if one.faces]
    if faces:
        tables += [element("h2", "Faces"), _faces_table(faces)]
    tables += [element("h2", "AP50:95 by size"), *_size_tables(evaluations)]
    if comparison.agreements:
        tables += [element("h2", "int8 against float"), _agreement_table(comparison.agreements)]
    if len(comparison.classes) > 1:
        tables += [element("h2", "AP50 by class"), _class_table(comparison)]
    return tables


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    top = element("tr", [element("th", name, scope="col") for name in head])
    body = [element("tr", [element("td", cell) for cell in row]) for row in rows]
    table = element("table", element("thead", top), element("tbody", body))
    return element("div", table, class_="scroll")


def _overall_table(evaluations: Sequence[Evaluation]) -> Markup:
    head = ("model", "AP50:95", "AP50", "AP75", "MiB", "prepare ms", "network ms", "decode ms")
    return _table(head, [_overall_row(one) for one in evaluations])


def _overall_row(one: Evaluation) -> tuple[str, ...]:
    whole, latency = one.precision.overall, one.latency
    return (
        one.model,
        _share(whole.ap50_95),
        _share(whole.ap50),
        _share(whole.ap75),
        f"{one.weights_bytes / MIB:.2f}",
        f"{latency.prepare_ms:.2f}",
        f"{latency.invoke_ms:.2f}",
        f"{latency.decode_ms:.2f}",
    )


def _threshold_table(evaluations: Sequence[Evaluation]) -> Markup:
    head = ("model", "score", "recall", "precision", "F1", "wrong boxes", "the score is")
    rows = []
    for one in evaluations:
        best = [(one.at_best, "of the best F1")] if one.at_best else []
        counts = [(one.at_score, "as asked"), *best]
        rows += [
            (
                one.model,
                f"{count.score:.3f}",
                _share(count.recall),
                _share(count.precision),
                _share(count.f1),
                str(count.wrong),
                note,
            )
            for count, note in counts
        ]
    return _table(head, rows)


def _faces_table(faces: Sequence[tuple[str, FaceFigures]]) -> Markup:
    head = ("model", "score", "found", "other boxes", "mean IoU", "best score", "found", "others")
    rows = [
        (
            model,
            f"{one.score:.3f}",
            f"{one.found} of {one.faces}",
            str(one.others),
            f"{one.mean_iou:.3f}",
            f"{one.best_score:.3f}",
            f"{one.best_found} of {one.faces}",
            str(one.best_others),
        )
        for model, one in faces
    ]
    return _table(head, rows)


def _size_tables(evaluations: Sequence[Evaluation]) -> list[Markup]:
    areas = {one.model: one.precision.by_area for one in evaluations}
    heights = {one.model: one.precision.by_height for one in evaluations}
    return [
        element("p", "By area in square pixels: small below 32², large above 96²."),
        _size_table(areas),
        element("p", "By height, as a share of the picture's."),
        _size_table(heights),
    ]


def _size_table(tables: Mapping[str, Mapping[str, Precision | None]]) -> Markup:
    ranges = list(next(iter(tables.values())))
    rows = [
        (model, *(_share(value.ap50_95) if value else "none there" for value in by.values()))
        for model, by in tables.items()
    ]
    return _table(("model", *ranges), rows)


def _agreement_table(agreements: Sequence[Agreement]) -> Markup:
    head = ("model", "against", "AP50:95", "AP50", "score", "F1 of boxes", "mean IoU")
    rows = [
        (
            one.model,
            one.other,
            f"{one.ap50_95_change:+.3f}",
            f"{one.ap50_change:+.3f}",
            f"{one.score:.3f}",
            _share(one.f1),
            _share(one.mean_iou),
        )
        for one in agreements
    ]
    return _table(head, rows)


def _class_table(comparison: Comparison) -> Markup:
    models = [one.model for one in comparison.evaluations]
    rows = [
        (name, *(_share(one.precision.by_class[name].ap50) for one in comparison.evaluations))
        for name in comparison.classes
    ]
    return _table(("class", *models), rows)


def _share(value: float) -> str:
    return f"{value:.3f}"


# --- plots and pictures ---------------------------------------------------------------------


def _plots(comparison: Comparison) -> Markup:
    drawings = {
        "Precision and recall": plots.precision_recall(comparison),
        "Recall by size": plots.recall_by_height(comparison),
    }
    if any(one.faces for one in comparison.evaluations):
        drawings["Faces found against other boxes"] = plots.found_against_others(comparison)
    for one in comparison.evaluations:
        drawings[f"Scores of {one.model}, right and wrong boxes"] = plots.scores(one)
    figures = [
        _figure(_data("image/svg+xml", content), title) for title, content in drawings.items()
    ]
    return element("section", element("h2", "Plots"), element("div", figures, class_="plots"))


def _figure(source: str, caption: str) -> Markup:
    image = element("img", src=source, alt=caption, loading="lazy")
    return element("figure", image, element("figcaption", caption))


def _examples(
    comparison: Comparison, one: Evaluation, pictures: Pictures, most: int, seed: int
) -> Markup:
    chosen = exhibits.choose(comparison, one, most=most, seed=seed)
    legend = (
        element("span", "Green", class_="truth"),
        " is what is there, ",
        element("span", "orange", class_="found"),
        f" what was found with a score of {exhibits.shown_score(comparison, one):.3f} or more; "
        "grey regions count neither way.",
    )
    galleries = [
        (
            element("h3", title),
            _gallery(
                [e for e in chosen if e.kind == kind], NOTHING[kind], comparison, one, pictures
            ),
        )
        for kind, title in TITLES.items()
    ]
    head = element("h2", f"Pictures: {one.model}")
    return element(
        "section", head, element("p", legend), [part for pair in galleries for part in pair]
    )


def _gallery(
    chosen: Sequence[exhibits.Exhibit],
    nothing: str,
    comparison: Comparison,
    one: Evaluation,
    pictures: Pictures,
) -> Markup:
    if not chosen:
        return element("p", nothing)
    figures = [
        _figure(pictures.jpeg(exhibits.drawn(each, comparison, one)), each.caption)
        for each in chosen
    ]
    return element("div", figures, class_="gallery")
