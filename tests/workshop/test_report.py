"""The report as a browser takes it: whole, safe, and with the pictures that it promises."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from camera_app.values import Box, Detection, Size
from tests.workshop.painted_pictures import ColourNetwork, Painted, shifted, write_coco
from tools.workshop.evaluate import Comparison, compare
from tools.workshop.evaluation_set import load
from tools.workshop.exhibits import MISPLACED, MISS, SAMPLE, WRONG, Exhibit, choose
from tools.workshop.report import FOOT, Markup, Pictures, element, page, write_report

NASTY = '<script>alert("x")</script>&$_.png'
VOID = {"img", "meta"}
PERSON = Painted("person", (10, 20, 30, 60))
DOG = Painted("dog", (60, 40, 110, 90))


class Page(HTMLParser):
    """Notes tags, attributes and text, and fails on a tag that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def faulty(one: Detection) -> list[Detection]:
    """Miss dogs, draw every person half beside, and one far off."""
    if one.label == "dog":
        return []
    return [shifted(one, 8.0), shifted(one, 60.0)]  # IoU 12 / 28 and nothing


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    folder = write_coco(tmp_path / "val", {"a.png": [PERSON], NASTY.replace("/", "_"): [DOG]})
    networks = [ColourNetwork("good"), ColourNetwork("<b>bad</b>", fault=faulty)]
    return compare(networks, load(folder), score=0.5)  # type: ignore[arg-type]


def test_the_page_is_whole_and_asks_no_network(comparison: Comparison) -> None:
    made = Page(page(comparison, Pictures(None), examples=3, seed=0))
    assert "script" not in made.tags
    assert made.sources
    assert all(source.startswith("data:image/") for source in made.sources)
    assert FOOT in made.text


def test_what_comes_from_outside_is_text_and_nothing_else(comparison: Comparison) -> None:
    text = page(comparison, Pictures(None), examples=3, seed=0)
    made = Page(text)
    assert "<script>" not in text
    assert "b" not in made.tags
    assert "<b>bad</b>" in made.text
    assert NASTY.replace("/", "_") in made.text


def test_the_tables_hold_the_figures(comparison: Comparison) -> None:
    text = Page(page(comparison, Pictures(None), examples=0, seed=0)).text
    assert "2 pictures, 2 objects to be found: person, dog." in text
    for title in ("The whole", "At a threshold", "AP50:95 by size", "AP50 by class", "Plots"):
        assert title in text
    assert "1.000" in text
    assert "0.000" in text


def test_the_same_comparison_gives_the_same_page(comparison: Comparison) -> None:
    first, second = (page(comparison, Pictures(None), examples=2, seed=1) for _ in range(2))
    assert first == second


def test_plots_are_drawings_and_pictures_are_small_jpegs(comparison: Comparison) -> None:
    sources = Page(page(comparison, Pictures(None), examples=3, seed=0)).sources
    drawings = [s for s in sources if s.startswith("data:image/svg+xml;base64,")]
    photographs = [s for s in sources if s.startswith("data:image/jpeg;base64,")]
    assert len(drawings) == 4  # two for all networks, one for each
    for source in drawings:
        root = ET.fromstring(base64.b64decode(source.split(",")[1]))
        assert root.tag.endswith("svg")
    for source in photographs:
        content = np.frombuffer(base64.b64decode(source.split(",")[1]), np.uint8)
        assert max(cv2.imdecode(content, cv2.IMREAD_COLOR).shape) <= 320


def test_pictures_may_lie_beside_the_page(comparison: Comparison, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = write_report(out, comparison, examples=1, seed=0, picture_files=True)
    named = [s for s in Page(path.read_text()).sources if not s.startswith("data:image/svg")]
    assert named
    assert sorted(named) == sorted(f"pictures/{p.name}" for p in (out / "pictures").iterdir())


def test_each_fault_is_shown_where_it_belongs(comparison: Comparison) -> None:
    good, bad = comparison.evaluations
    assert [one.kind for one in choose(comparison, good, most=1, seed=0)] == [SAMPLE]
    shown = choose(comparison, bad, most=5, seed=0)
    by_kind = {kind: [one for one in shown if one.kind == kind] for kind in (MISS, WRONG)}
    # Found nowhere: the dog, half as high as its picture, before the person of 40 %.
    assert [one.focus for one in by_kind[MISS]] == [Box(60, 40, 110, 90), Box(10, 20, 30, 60)]
    assert [one.focus for one in by_kind[WRONG]] == [Box(70, 20, 90, 60)]
    (misplaced,) = (one for one in shown if one.kind == MISPLACED)
    assert misplaced.focus == Box(18, 20, 38, 60)
    assert misplaced.caption == "person 0.90, IoU 0.43: a.png"


def test_the_sample_depends_on_the_seed_alone(comparison: Comparison) -> None:
    def sample(index: int, seed: int) -> list[Exhibit]:
        chosen = choose(comparison, comparison.evaluations[index], most=1, seed=seed)
        return [one for one in chosen if one.kind == SAMPLE]

    assert sample(0, 5) == sample(1, 5)
    assert len({sample(0, seed)[0].picture for seed in range(20)}) == 2


def test_a_large_picture_is_shown_small_and_a_small_fault_in_its_surroundings() -> None:
    from tools.workshop.exhibits import _window

    frame = Size(1920, 1080)
    assert _window(None, frame) == Box(0, 0, 1920, 1080)
    assert _window(Box(100, 100, 200, 140), frame) == Box(0, 0, 300, 300)
    assert _window(Box(1000, 1000, 1010, 1010), frame) == Box(925, 920, 1085, 1080)


def test_an_element_escapes_all_but_elements() -> None:
    inner = element("b", "<&>")
    assert element("p", "1 < 2 ", inner, [element("i"), '"'], title='"<') == Markup(
        '<p title="&quot;&lt;">1 &lt; 2 <b>&lt;&amp;&gt;</b><i></i>&quot;</p>'
    )
    assert element("meta", http_equiv="a", name="n") == '<meta http-equiv="a" name="n">'
