"""How near `camera-app config plan` comes to what the service then uses, on five configurations.

    python -m tools.bench.plan [--seconds 30] [--costs FILE] [--only NAME] [--json]

Needs the shared clips and models. Measures the costs of this machine as `camera-app bench
--calibrate` does, if no file with costs is given. Then, for each configuration: runs the service
for a while, so that it writes down how busy its scenes are; foresees what it costs; runs it again,
and compares. The service that is measured tells no broker, as the one that is calibrated with.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from camera_app.bench.calibration import calibrate, read_costs, write_costs
from camera_app.bench.costs import SECONDS_A_DAY, Costs, Estimate
from camera_app.bench.films import write_film
from camera_app.bench.measured import MeasuredService, Use
from camera_app.bench.planning import forecast
from camera_app.bench.processes import written_bytes
from camera_app.config import parse_config
from camera_app.errors import UsageError
from camera_app.inference.known_answers import known_picture
from camera_app.models import TRUSTED_VARIABLE, PrivateKey, find_pack
from camera_app.values import Size
from tools.edgetpu_sim.packs import make_blank_pack
from tools.edgetpu_sim.sticks import SimulatedSticks

SHARED = Path(__file__).resolve().parents[3] / "shared"
START_LIMIT_S = 60.0
WITHIN = 0.2
STILL_SIZE = Size(768, 432)
# A simulated stick computes on the processor, which others keep busy: what an answer takes would
# tell of them. These find nothing, and take by the clock what the stick is told. On the processor
# they take longer than on the stick, as on a small board, so that the stick is asked. What a busy
# machine adds, some milliseconds, is little beside the time of such an answer.
STICK_PACKS = {"yolox_nano_coco_416": "large_on_stick", "yolox_nano_coco_320": "small_on_stick"}
STICK_MS = 12.0
CHANGE_MS = 6.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration, foreseen and measured.

    Attributes:
        name: Of the configuration.
        foreseen: What the plan says.
        measured: What the service used.
        kept_mb_per_day: What its data folder grew by.
        written_mb_per_day: What the kernel wrote for it.
    """

    name: str
    foreseen: Estimate
    measured: Use
    kept_mb_per_day: float
    written_mb_per_day: float

    @property
    def rows(self) -> dict[str, tuple[float, float]]:
        """Foreseen and measured figures, by name."""
        used = self.measured
        rows = {
            "processor, cores": (self.foreseen.cores, used.service_cores + used.children_cores),
            "memory, MB": (self.foreseen.memory_bytes / 1e6, used.memory_bytes / 1e6),
        }
        if self.foreseen.duty:  # nothing is found there, and so nothing is written
            return {**rows, "Edge TPU, busy": (sum(self.foreseen.duty.values()), used.duty)}
        return {
            **rows,
            "disk a day, MB": (self.foreseen.kept_bytes_per_day / 1e6, self.kept_mb_per_day),
            "written a day, MB": (
                self.foreseen.written_bytes_per_day / 1e6,
                self.written_mb_per_day,
            ),
        }


def main() -> int:
    """Foresee, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each measurement")
    parser.add_argument("--costs", type=Path, help="as `bench --calibrate` has written them")
    parser.add_argument("--only", choices=CONFIGURATIONS, help="one of the configurations")
    parser.add_argument("--keep-costs", type=Path, help="where to keep what was measured")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, _simulated_stick(Path(name)):
        folder = Path(name)
        chosen = {
            name: text(folder)
            for name, text in CONFIGURATIONS.items()
            if arguments.only in (None, name)
        }
        costs = _costs(arguments.costs, chosen.values(), arguments.seconds)
        if arguments.keep_costs:
            write_costs(arguments.keep_costs, costs)
        trials = [
            _tried(name, text, folder, costs, arguments.seconds) for name, text in chosen.items()
        ]
    print(json.dumps(_record(trials), indent=2) if arguments.json else "\n".join(_table(trials)))
    return 0 if all(_is_near(*row) for one in trials for row in one.rows.values()) else 1


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


def _costs(path: Path | None, cameras: Iterable[str], span_s: float) -> Costs:
    """Return costs as they are in a file; else measured, with all sources of the trials."""
    costs = None if path is None else read_costs(path)
    if path is not None and costs is None:
        raise UsageError("holds no costs", where=str(path))
    if costs is not None:
        return costs
    return calibrate(parse_config("".join(cameras)), span_s=min(span_s, 10.0), progress=_say)


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
    clips = sorted((SHARED / "clips" / "signers").glob("*.mkv"))[3:]
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


def _tried(name: str, cameras: str, place: Path, costs: Costs, span_s: float) -> Trial:
    folder = place / name
    folder.mkdir()
    file, data = folder / "camera.toml", folder / "data"
    edgetpu = "auto" if "_on_stick" in cameras else "off"
    file.write_text(
        f'mqtt.enabled = false\ndata.folder = "{data}"\n'
        f'[inference]\ncpu_seats = 2\nedgetpu = "{edgetpu}"\n{cameras}'
    )
    _say(f"{name}: so that the camera knows its scenes")
    _run(file, data, span_s)
    foreseen = forecast(parse_config(file.read_text()), costs, {})
    _say(f"{name}: measured")
    before, began_s = _size_bytes(data), time.monotonic()
    use, written = _run(file, data, span_s)
    lasted_s = time.monotonic() - began_s
    kept = _size_bytes(data) - before
    a_day = SECONDS_A_DAY / lasted_s / 1e6
    return Trial(name, foreseen.estimate, use, kept * a_day, written * a_day)


def _run(file: Path, data: Path, span_s: float) -> tuple[Use, int]:
    """Return what a service used, and how much was written for it while it ran."""
    with MeasuredService(file, data) as service:
        service.wait_for_frames(START_LIMIT_S)
        use = service.watch(span_s)
        return use, written_bytes(service.pid)


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_near(foreseen: float, measured: float) -> bool:
    return abs(foreseen - measured) <= WITHIN * measured


def _table(trials: list[Trial]) -> list[str]:
    lines = [
        "| configuration | | foreseen | measured | off by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for trial in trials:
        for what, (foreseen, measured) in trial.rows.items():
            off = foreseen / measured - 1.0
            lines.append(
                f"| {trial.name} | {what} | {foreseen:.3g} | {measured:.3g} | {off:+.0%} |"
            )
    return lines


def _record(trials: list[Trial]) -> dict[str, object]:
    return {
        trial.name: {
            what: {"foreseen": round(foreseen, 4), "measured": round(measured, 4)}
            for what, (foreseen, measured) in trial.rows.items()
        }
        for trial in trials
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
