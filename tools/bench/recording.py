"""What films cost: processor time and memory of a source's child, copied and encoded.

    python tools/bench/recording.py [CLIP] [--seconds 30]

A real child reads a clip as a camera would send it, once without films, once while the last seconds
are kept, and once while a film is written; then the same with every picture encoded. The child's
processor time and peak memory are the kernel's figures. Below that the encoder's settings are
compared on the clip's own pictures, and what the ring of the last seconds holds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from camera_app.bench.processes import cpu_s_of
from camera_app.capture import FilmOrder, FilmWish, LiveSource, encoding
from camera_app.capture.copying import Copier
from camera_app.capture.doorway import Doorway
from camera_app.capture.file import FileReader
from camera_app.capture.pieces import Piece, PieceRing
from camera_app.clock import NS_PER_S, SystemClock
from camera_app.config import CameraSettings
from camera_app.kernel import numbers_of, tree

PRESETS = ("ultrafast", "superfast", "veryfast")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way costs.

    Attributes:
        way: What the child did.
        cpu_share: Of one core, 0.0 to 1.0.
        cpu_s_per_minute: The same, as processor seconds a minute of stream.
        peak_mb: Most memory of the child.
        film_mb_per_minute: What a film takes; 0.0 where none is written.
    """

    way: str
    cpu_share: float
    cpu_s_per_minute: float
    peak_mb: float
    film_mb_per_minute: float


def measured(way: str, clip: Path, seconds: float, method: str, folder: Path) -> Cost:
    """Let a child run for a while and read the kernel's figures of it."""
    clock, box = SystemClock(), Doorway()
    settings = CameraSettings.model_validate(
        {
            "source": f"{clip}?loop=1",
            "recording": {"method": "encode" if method == "encode" else "auto"},
        }
    )
    source = LiveSource("bench", settings, clock, box)
    path = folder / f"{way.replace(' ', '-')}.mp4"
    if method:
        source.film(FilmOrder(True))
    source.start()
    try:
        box.take(30)
        time.sleep(5.0)  # the start, and the first seconds of the ring
        if "written" in way:
            now_ns = clock.monotonic_ns()
            until_ns = now_ns + round((seconds + 60) * NS_PER_S)
            source.film(FilmOrder(True, FilmWish(str(path), now_ns, until_ns)))
        [_, child] = tree(os.getpid())
        before_s, began_s = cpu_s_of([child]), time.monotonic()
        time.sleep(seconds)
        took_s = time.monotonic() - began_s
        used_s = cpu_s_of([child]) - before_s
        peak_mb = numbers_of(f"/proc/{child}/status")["VmHWM"] / 1e3
    finally:
        source.stop()
    size_mb = path.stat().st_size / 1e6 if path.exists() else 0.0
    share = used_s / took_s
    return Cost(way, share, share * 60, peak_mb, size_mb * 60 / took_s)


@dataclass(frozen=True, slots=True)
class Encoding:
    """What one setting of the encoder costs and brings.

    Attributes:
        preset: Of x264.
        ms_per_picture: Median processor time.
        kb_per_picture: What a picture takes.
        is_used: It is the one that films are made with.
    """

    preset: str
    ms_per_picture: float
    kb_per_picture: float
    is_used: bool


def encodings(clip: Path, pictures: int) -> Iterator[Encoding]:
    """Compress the same pictures by each preset."""
    used = dict(encoding.OPTIONS)
    for preset in PRESETS:
        encoding.OPTIONS["preset"] = preset
        reader, encoder = FileReader(clip, is_looped=True), encoding.PictureEncoder(5.0)
        reader.open()
        took_ms, size = [], 0
        for number in range(pictures):
            shot = reader.read()
            assert shot is not None
            frame = encoding.frame_of(shot.picture())
            began_ns = time.thread_time_ns()
            made = encoder.pieces(frame, number * NS_PER_S // 5)
            took_ms.append((time.thread_time_ns() - began_ns) / 1e6)
            size += sum(len(one.data) for one in made)
        reader.close()
        kb = size / pictures / 1e3
        yield Encoding(preset, statistics.median(took_ms), kb, preset == used["preset"])
    encoding.OPTIONS.update(used)


def ring_bytes(clip: Path, keep_s: float) -> int:
    """Return what ten seconds of what the clip's camera sent take, as the ring holds them."""
    pieces: list[Piece] = []
    tap = Copier(lambda: True, pieces.append, lambda _: None)
    reader = FileReader(clip, tap=tap)
    reader.open()
    while reader.read() is not None:
        pass
    reader.close()
    ring = PieceRing(keep_s, 10**9)
    for one in pieces:
        ring.add(_at_its_time(one))
    return ring.size_bytes


def _at_its_time(one: Piece) -> Piece:
    """Return a piece as if it had come when it is decoded: the clip was read in one go."""
    return Piece(
        one.data, one.decoded * NS_PER_S // 90_000, one.shown, one.decoded, one.is_key, one.make
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    clip = Path(__file__).resolve().parents[3] / "shared" / "clips" / "one_by_one_person.mp4"
    parser.add_argument("clip", type=Path, nargs="?", default=clip)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ways = [
        ("no films", ""),
        ("copy: last seconds kept", "copy"),
        ("copy: film written", "copy"),
        ("encode: last seconds kept", "encode"),
        ("encode: film written", "encode"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        costs = [
            measured(way, options.clip, options.seconds, method, Path(folder))
            for way, method in ways
        ]
    made = list(encodings(options.clip, options.pictures))
    ring = ring_bytes(options.clip, 10.0)
    if options.json:
        found = {"ways": [asdict(one) for one in costs], "encodings": [asdict(one) for one in made]}
        print(json.dumps({**found, "ring_bytes_10_s": ring}, indent=1))
        return
    for cost in costs:
        print(
            f"{cost.way:28} {cost.cpu_s_per_minute:5.2f} s a minute ({cost.cpu_share:.1%})"
            f"  peak {cost.peak_mb:5.1f} MB  film {cost.film_mb_per_minute:5.2f} MB a minute"
        )
    for one in made:
        mark = "  (used)" if one.is_used else ""
        print(f"{one.preset:12} {one.ms_per_picture:6.2f} ms  {one.kb_per_picture:6.1f} kB{mark}")
    print(f"ring of 10 s: {ring / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
