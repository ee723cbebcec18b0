"""How late changes are is put together from what the service's log and a subscriber tell."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from camera_app.bench import latency as bench
from camera_app.bench.films import write_paced
from camera_app.bench.latency import STAGES, Heard, ServiceLog, Spread, moments_of, spread_of
from camera_app.cli import main
from camera_app.errors import SourceUnsupported

MS = 1_000_000
# A frame captured at 5.0004 s; each step one millisecond longer than the step before it.
LINES = (
    "x DEBUG y: camera c0: frame of 5000400000 on the CPU; its steps began and ended at "
    "5006400000, 5010400000, 5015400000, 5021400000",
    "x DEBUG y: camera c0: frame of 5000400000 seen at 5037000000; its steps ended at "
    "5001400000, 5003400000, 5028400000, 5036400000, 5036900000",
    "x DEBUG y: camera c0: change 7 is on the disk; that began at 5045400000 and ended at "
    "5055400000",
    "x INFO y: camera c0 delivers",
)


@pytest.fixture
def log() -> ServiceLog:
    log = ServiceLog()
    for line in LINES:
        log.take(line + "\n")
    return log


def test_the_stages_of_a_change_are_found_in_their_order(log: ServiceLog) -> None:
    (moments,) = moments_of([Heard("c0", 7, 5.0, 5_066_400_000)], log)
    spans_ms = [(b - a) / MS for a, b in pairwise(moments)]
    assert dict(zip(STAGES, spans_ms, strict=True)) == {
        "hand_over": 1,
        "plan": 2,
        "seat": 3,
        "tensor": 4,
        "network": 5,
        "boxes": 6,
        "answer": 7,
        "follow": 8,
        "writer": 9,
        "commit": 10,
        "publish": 11,
    }


@pytest.mark.parametrize(
    "heard",
    [Heard("c0", 8, 5.0, 1), Heard("c1", 7, 5.0, 1), Heard("c0", 7, 5.001, 1)],
    ids=["another change", "another camera", "another frame"],
)
def test_a_change_that_the_log_does_not_tell_of_is_left_out(log: ServiceLog, heard: Heard) -> None:
    assert moments_of([heard], log) == []


def test_looks_are_counted_where_they_begin(log: ServiceLog) -> None:
    assert log.looks(5_006_400_000, 5_006_400_001) == [(5_006_400_000, 5_021_400_000)]
    assert log.looks(5_006_400_001, 6_000_000_000) == []


def test_one_of_a_hundred_is_slower_than_the_second_figure() -> None:
    assert spread_of(n * MS for n in range(100)) == Spread(50.0, 99.0)
    assert spread_of([3 * MS]) == Spread(3.0, 3.0)


@pytest.mark.shared
def test_a_film_gets_another_rate_and_keeps_its_pictures(shared: Path, tmp_path: Path) -> None:
    # One that shows pictures in another order than it decodes them, and does not say when.
    clip, paced = shared / "clips" / "signers" / "book.mkv", tmp_path / "paced.mp4"
    write_paced(clip, paced, 37.5)
    with av.open(str(clip)) as given, av.open(str(paced)) as made:
        before = [np.asarray(one.to_ndarray()) for one in given.decode(video=0)]
        frames = list(made.decode(video=0))
    assert all(map(np.array_equal, before, (one.to_ndarray() for one in frames)))
    assert len(frames) == len(before)
    lasted_s = (frames[-1].time or 0.0) - (frames[0].time or 0.0)
    assert lasted_s == pytest.approx((len(frames) - 1) / 37.5, rel=0.01)


def test_what_is_no_film_gets_no_other_rate(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_text("no film")
    with pytest.raises(SourceUnsupported, match="no film"):
        write_paced(film, tmp_path / "paced.mp4", 10)


@pytest.mark.shared
def test_the_latency_alone_is_measured_and_its_stages_add_up(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("SETTLE_S", 0.5), ("TRIAL_S", 1.0), ("ATTEMPTS", 1)):
        monkeypatch.setattr(bench, name, value)
    clip = shared / "clips" / "signers" / "book.mkv"
    words = ["--clip", str(clip), "--model", "person_small", "--seconds", "3", "--cameras", "2"]
    assert main(["bench", "latency", "--json", "--load", "0.1", *words]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["changes"] > 5
    assert figures["unmatched"] <= figures["changes"] // 10 + 1  # those still on their way
    whole, above = figures["whole"], figures["above_network"]
    assert 0 < above["p50_ms"] < whole["p50_ms"] <= whole["p99_ms"]
    assert list(figures["stages"]) == list(STAGES)
    assert all(one["p99_ms"] >= 0 for one in figures["stages"].values())
    assert 0 < figures["load"] < 1


def test_a_load_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = tmp_path / "film.mp4"
    film.touch()
    assert main(["bench", "latency", "--clip", str(film), "--load", "70"]) == 1
    assert "--load 70" in capsys.readouterr().err
