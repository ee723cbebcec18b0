"""How near `camera-app config plan` comes to what the service then uses, on sample configurations.

    python -m tools.bench.plan [--seconds 20] [--rounds 3] [--costs FILE] [--only NAME]... [--json]

Needs the shared clips and models. Measures the costs of this machine as `camera-app bench
--calibrate` does, if no file with costs is given. Then each configuration's service runs for a
while, so that it writes down how busy its scenes are, and what it costs is foreseen. After that all
of them are measured in turns, several times, and the middle one of the figures is compared. Without
`--only` there are three samples; others can be asked for. Services tell a broker on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from camera_app.bench.calibration import calibrate, read_costs, write_costs
from camera_app.bench.costs import SECONDS_A_DAY, Costs, Estimate, warnings, wide_duties
from camera_app.bench.films import write_film
from camera_app.bench.measured import MeasuredService, Use
from camera_app.bench.planning import forecast
from camera_app.config import parse_config
from camera_app.demo import demo_broker
from camera_app.errors import UsageError
from camera_app.health.activity import SETTLED_S
from camera_app.inference.known_answers import known_picture
from camera_app.models import TRUSTED_VARIABLE, PrivateKey, find_pack
from camera_app.store import DATABASE_NAME
from camera_app.values import Size
from tools.edgetpu_sim.packs import make_blank_pack
from tools.edgetpu_sim.sticks import SimulatedSticks

SHARED = Path(__file__).resolve().parents[3] / "shared"
START_LIMIT_S = 60.0
WITHIN = 0.2
CALIBRATION_S = 4.0
# What a day comes to if one event begins within a minute, and hardly more than a page is written.
A_DAY_LEAST_MB = 10.0
STILL_SIZE = Size(768, 432)
# A simulated stick computes on the processor, which others keep busy: what an answer takes would
# tell of them. These find nothing, and take by the clock what the stick is told. On the processor
# they take twice and three times as long, so that the stick is asked, as on a small board.
STICK_PACKS = {"yolox_nano_coco_416": "large_on_stick", "yolox_nano_coco_320": "small_on_stick"}
STICK_MS = 6.0
CHANGE_MS = 3.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a service used in one round.

    Attributes:
        use: As the service was watched.
        kept_bytes_per_s: What its data folder grew by.
    """

    use: Use
    kept_bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration, foreseen and measured.

    Attributes:
        name: Of the configuration.
        foreseen: What the plan says.
        rounds: What the service used.
    """

    name: str
    foreseen: Estimate
    rounds: tuple[Measured, ...]

    @property
    def rows(self) -> list[Row]:
        """Foreseen and measured figures."""
        foreseen, a_day_mb = self.foreseen, SECONDS_A_DAY / 1e6
        rows = [
            self._row("processor, cores", foreseen.cores, lambda one: one.use.cores),
            self._row(
                "memory, MB", foreseen.memory_bytes / 1e6, lambda one: one.use.memory_bytes / 1e6
            ),
        ]
        if foreseen.duty:  # nothing is found there, and so nothing is written
            return [*rows, self._duty]
        return [
            *rows,
            self._row(
                "disk a day, MB",
                foreseen.kept_bytes_per_day / 1e6,
                lambda one: one.kept_bytes_per_s * a_day_mb,
                least=A_DAY_LEAST_MB,
            ),
            self._row(
                "written a day, MB",
                foreseen.written_bytes_per_day / 1e6,
                lambda one: one.use.written_bytes_per_s * a_day_mb,
                least=A_DAY_LEAST_MB,
            ),
        ]

    @property
    def _duty(self) -> Row:
        """How busy the one stick is; where the plan gives a range, that is what it foresees."""
        (foreseen,), wide = self.foreseen.duty.values(), wide_duties(self.foreseen)
        between = next(iter(wide.values()), (foreseen, foreseen))
        measured = median(one.use.duty for one in self.rounds)
        return Row("Edge TPU, busy", between[0], measured, most=between[1])

    def _row(
        self, what: str, foreseen: float, of: Callable[[Measured], float], least: float = 0.0
    ) -> Row:
        return Row(what, foreseen, median(map(of, self.rounds)), least)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, foreseen and measured.

    Attributes:
        what: It is.
        foreseen: By the plan.
        measured: On the service.
        least: What is below that comes of less than one event in a measurement: chance.
        most: Where the plan gives a range, its end; `foreseen` is its beginning then.
    """

    what: str
    foreseen: float
    measured: float
    least: float = 0.0
    most: float | None = None

    @property
    def nearest(self) -> float:
        """What is foreseen; of a range what is nearest to the measured figure."""
        most = self.foreseen if self.most is None else self.most
        return min(max(self.foreseen, self.measured), most)

    @property
    def told(self) -> str:
        """What is foreseen, to be printed."""
        if self.most is None or self.most == self.foreseen:
            return f"{self.foreseen:.3g}"
        return f"{self.foreseen:.3g} to {self.most:.3g}"

    @property
    def is_chance(self) -> bool:
        return max(self.foreseen, self.measured) <= self.least

    @property
    def off_by(self) -> str:
        return "-" if self.is_chance else f"{self.nearest / max(1e-9, self.measured) - 1.0:+.0%}"

    @property
    def is_near(self) -> bool:
        return self.is_chance or abs(self.nearest - self.measured) <= WITHIN * self.measured


def main() -> int:
    """Foresee, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each configuration")
    parser.add_argument("--costs", type=Path, help="as `bench --calibrate` has written them")
    parser.add_argument(
        "--only",
        action="append",
        choices=CONFIGURATIONS,
        help=f"one of the configurations; may be given often; without it: {', '.join(SAMPLES)}",
    )
    parser.add_argument("--keep-costs", type=Path, help="where to keep what was measured")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(_simulated_stick(folder))
        broker = stack.enter_context(demo_broker())
        subjects = [
            Subject(name, CONFIGURATIONS[name](folder), folder / name, (broker.host, broker.port))
            for name in arguments.only or SAMPLES
        ]
        costs = _costs(arguments.costs, subjects)
        if arguments.keep_costs:
            write_costs(arguments.keep_costs, costs)
        trials = _tried(subjects, costs, max(1, arguments.rounds), arguments.seconds)
    for warning in warnings_of(trials, costs):
        _say(warning)
    print(json.dumps(_record(trials), indent=2) if arguments.json else "\n".join(_table(trials)))
    return 0 if all(row.is_near for one in trials for row in one.rows) else 1


def warnings_of(trials: Iterable[Trial], costs: Costs) -> list[str]:
    """Return what the plans warn of, each once."""
    return list(dict.fromkeys(text for one in trials for text in warnings(costs, one.foreseen)))


@dataclass(frozen=True, slots=True)
class Subject:
    """A configuration that is tried.

    Attributes:
        name: Of it.
        cameras: Their sections.
        folder: For its file and its data.
        broker: Host and port.
    """

    name: str
    cameras: str
    folder: Path
    broker: tuple[str, int]

    @property
    def file(self) -> Path:
        return self.folder / "camera.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def write(self) -> None:
        """Write its file."""
        self.folder.mkdir()
        edgetpu = "auto" if "_on_stick" in self.cameras else "off"
        host, port = self.broker
        self.file.write_text(
            f'[mqtt]\nhost = "{host}"\nport = {port}\n[data]\nfolder = "{self.data}"\n'
            f'[inference]\ncpu_seats = 2\nedgetpu = "{edgetpu}"\n{self.cameras}'
        )


@contextmanager
def _simulated_stick(folder: Path) -> Iterator[None]:
    """Plug a simulated Edge TPU in, and make a pack for it that is trusted; this process only."""
    key = PrivateKey(os.urandom(32))
    for like, name in STICK_PACKS.items():
        make_blank_pack(find_pack(like), folder / name, key, name=name)
    with SimulatedSticks(folder / "sticks", latency_ms=STICK_MS) as sticks:
        sticks["usb0"].first_us = round(CHANGE_MS * 1000)
        os.environ.update({**sticks.environment(), TRUSTED_VARIABLE: key.public})
        yield


def _costs(path: Path | None, subjects: Sequence[Subject]) -> Costs:
    """Return costs as they are in a file; else measured, with all sources of the trials."""
    if path is None:
        cameras = "".join(one.cameras for one in subjects)
        broker = subjects[0].broker
        return calibrate(parse_config(cameras), span_s=CALIBRATION_S, progress=_say, broker=broker)
    costs = read_costs(path)
    if costs is None:
        raise UsageError("holds no costs", where=str(path))
    return costs


def _still(folder: Path) -> str:
    """One camera at 10 fps before a scene in which nothing moves."""
    film = folder / "still.mp4"
    if film.exists():
        return f'[camera.still]\nsource = "{film}?loop=1"\n'
    pack = find_pack("person_large")
    write_film(film, STILL_SIZE, 20, known_picture(pack, "known_input_1.png").pixels, is_still=True)
    return _still(folder)


def _moving(_: Path) -> str:
    """Two cameras before which something moves, with different models."""
    walker = SHARED / "clips" / "one_by_one_person.mp4"
    signer = SHARED / "clips" / "signers" / "book.mkv"
    return (
        f'[camera.path]\nsource = "{walker}?loop=1"\nmodel = "person_large"\n'
        f'[camera.desk]\nsource = "{signer}?loop=1"\nmodel = "person_small"\n'
    )


def _faces(_: Path) -> str:
    """Three cameras that look for people and for faces."""
    clips = sorted((SHARED / "clips" / "signers").glob("*.mkv"))[:3]
    return "".join(
        f'[camera.guest_{number}]\nsource = "{clip}?loop=1"\nmodel = ["person_large", "face"]\n'
        for number, clip in enumerate(clips)
    )


def _on_stick(folder: Path) -> str:
    """Two cameras whose network runs on an Edge TPU."""
    return _seen(folder, "large_on_stick", "large_on_stick")


def _taking_turns(folder: Path) -> str:
    """Three cameras with two models that share an Edge TPU."""
    return _seen(folder, "large_on_stick", "small_on_stick", "large_on_stick")


def _seen(folder: Path, *models: str) -> str:
    """One camera for each of these models, before a clip of its own."""
    clips = sorted((SHARED / "clips" / "signers").glob("*.mkv"))
    return "".join(
        f'[camera.seen_{number}]\nsource = "{clip}?loop=1"\nmodel = "{folder / name}"\n'
        for number, (name, clip) in enumerate(zip(models, clips, strict=False))
    )


CONFIGURATIONS: dict[str, Callable[[Path], str]] = {
    "still scene": _still,
    "two moving": _moving,
    "three with faces": _faces,
    "two on an Edge TPU": _on_stick,
    "two models on an Edge TPU": _taking_turns,
}


SAMPLES = ("two moving", "three with faces", "two models on an Edge TPU")


def _tried(subjects: Sequence[Subject], costs: Costs, rounds: int, span_s: float) -> list[Trial]:
    foreseen = {one.name: _foreseen(one, costs, span_s) for one in subjects}
    measured: dict[str, list[Measured]] = {one.name: [] for one in subjects}
    for number in range(1, rounds + 1):
        for one in subjects:
            _say(f"{one.name}: measured ({number} of {rounds})")
            measured[one.name].append(_measured(one, span_s))
    return [Trial(name, foreseen[name], tuple(found)) for name, found in measured.items()]


def _foreseen(subject: Subject, costs: Costs, span_s: float) -> Estimate:
    """Let the service learn how busy its scenes are, and foresee what it costs."""
    subject.write()
    _say(f"{subject.name}: so that the camera knows its scenes")
    _measured(subject, span_s)
    return forecast(parse_config(subject.file.read_text()), costs, {}).estimate


def _measured(subject: Subject, span_s: float) -> Measured:
    """Return what a service used once it had settled: a day has no starts in it."""
    with MeasuredService(subject.file, subject.data) as service:
        service.wait_for_frames(START_LIMIT_S)
        threading.Event().wait(SETTLED_S)
        before, began_s = _kept_bytes(subject.data), time.monotonic()
        use = service.watch(span_s, settle_s=0.0)
        kept = _kept_bytes(subject.data) - before
        return Measured(use, kept / (time.monotonic() - began_s))


def _kept_bytes(data: Path) -> int:
    """Return what is kept of events in a data folder, without what is kept for a moment only."""
    stills = sum(path.stat().st_size for path in data.rglob("*.jpg"))
    with closing(sqlite3.connect(f"file:{data / DATABASE_NAME}?mode=ro", uri=True)) as database:
        pages, unused, page_bytes = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return stills + (pages - unused) * page_bytes


def _table(trials: list[Trial]) -> list[str]:
    lines = [
        "| configuration | | foreseen | measured | off by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for trial in trials:
        lines += [
            f"| {trial.name} | {row.what} | {row.told} | {row.measured:.3g} | {row.off_by} |"
            for row in trial.rows
        ]
    return lines


def _record(trials: list[Trial]) -> dict[str, object]:
    return {
        trial.name: {
            row.what: {"foreseen": row.told, "measured": round(row.measured, 4)}
            for row in trial.rows
        }
        for trial in trials
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
