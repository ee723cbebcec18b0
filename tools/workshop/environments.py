"""Environments of foreign converters: made when first needed, and jobs run in them.

Their libraries contradict those of the workshop, and are large; so each has a folder of its own
beside the workshop's, and is talked to only through child processes (`foreign/`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.workshop.errors import WorkshopError
from tools.workshop.foreign.job import REFUSED, Job, read_refusal, write_job
from tools.workshop.runs import write_text

REPOSITORY = Path(__file__).resolve().parents[2]
FOREIGN = Path(__file__).parent / "foreign"
STAMP = "workshop-stamp"
LONGEST_REASON = 600
# A conversion takes a minute; one that is at it for an hour will not end.
LIMIT_S = 3600.0
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Environment:
    """One foreign converter's environment.

    Attributes:
        name: Of its folder, `.venv-<name>`, and of its list of packages.
        newest_python: The newest for which its packages exist.
        needs_bytes: What it takes on the disk, downloads and all.
    """

    name: str
    newest_python: tuple[int, int]
    needs_bytes: int

    @property
    def folder(self) -> Path:
        return REPOSITORY / f".venv-{self.name}"

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    @property
    def packages(self) -> Path:
        """The list of its packages, one version each."""
        return FOREIGN / f"{self.name}.txt"

    @property
    def is_ready(self) -> bool:
        """Whether all of the list is installed, as it stands now."""
        try:
            return (self.folder / STAMP).read_text(encoding="utf-8").strip() == self._fingerprint()
        except OSError:
            return False

    def _fingerprint(self) -> str:
        return hashlib.sha256(self.packages.read_bytes()).hexdigest()

    def make(self) -> None:
        """Install what is missing; after an interruption, what is still missing.

        Raises:
            WorkshopError: No fitting Python, no space, or a package cannot be had.
        """
        if self.is_ready:
            return
        self._refuse_without_space()
        print(f"making the environment {self.folder.name}; this takes minutes, and only once")
        if not self.python.exists():
            self._do([find_python(self.newest_python), "-m", "venv", str(self.folder)])
        install = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check"]
        if not sys.stderr.isatty():
            install.append("--quiet")
        # --no-deps: the list is complete, and what the packages themselves ask for is not wanted.
        self._do([*install, "--no-deps", "-r", str(self.packages)])
        write_text(self.folder / STAMP, self._fingerprint() + "\n")

    def _refuse_without_space(self) -> None:
        free = shutil.disk_usage(REPOSITORY).free
        if free < self.needs_bytes:
            raise WorkshopError(
                f"the converter needs {self.needs_bytes / 1e9:.1f} GB of disk, "
                f"{free / 1e9:.1f} GB are free",
                where=str(self.folder),
                remedy="Free some space, then give the same command again",
            )

    def _do(self, command: list[str]) -> None:
        try:
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        except OSError as error:
            raise self._unmade(str(error)) from error
        if done.returncode:
            raise self._unmade(_last_words(done.stderr))

    def _unmade(self, reason: str) -> WorkshopError:
        return WorkshopError(
            f"the environment of the converter could not be made: {reason}",
            where=str(self.folder),
            remedy="Once that is put right, give the same command again: it goes on from here",
        )

    def run(self, module: str, job: Job, folder: Path, log: Path) -> None:
        """Have a module of `foreign/` do a job.

        Args:
            module: Its name, such as `from_onnx`.
            job: What to do.
            folder: Where the child works; what it leaves there is the caller's to remove.
            log: What it says goes to the end of this file.

        Raises:
            WorkshopError: It refused, failed, or did not end.
        """
        write_job(folder, job)
        command = [str(self.python), "-m", f"tools.workshop.foreign.{module}"]
        try:
            with log.open("ab") as said:
                begins = said.tell()
                done = subprocess.run(
                    command,
                    cwd=folder,
                    env=self._variables(),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    timeout=LIMIT_S,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise WorkshopError(
                f"the converter did not end within {LIMIT_S:.0f} s", where=job.source
            ) from error
        except OSError as error:
            raise self._unmade(str(error)) from error
        if done.returncode:
            raise _failure(done.returncode, job, folder, log, begins)

    def _variables(self) -> dict[str, str]:
        # onnx2tf calls programs of its environment by name.
        path = os.pathsep.join([str(self.python.parent), os.environ.get("PATH", "")])
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PATH": path, "PYTHONNOUSERSITE": "1"}


ONNX = Environment("onnx", (3, 12), 4_000_000_000)
KERAS = Environment("keras", (3, 13), 3_000_000_000)


def find_python(newest: tuple[int, int]) -> str:
    """Return a Python whose version packages exist for: this one, or another that is installed.

    Raises:
        WorkshopError: There is none.
    """
    if OLDEST_PYTHON <= sys.version_info[:2] <= newest:
        return sys.executable
    for minor in range(newest[1], OLDEST_PYTHON[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    wanted = f"3.{OLDEST_PYTHON[1]} to 3.{newest[1]}"
    raise WorkshopError(
        f"the converter's packages exist for Python {wanted}, and none of these is installed",
        remedy=f"Install python3.{newest[1]} with its venv, then give the same command again",
    )


@contextmanager
def workplace(run: Path) -> Iterator[Path]:
    """Make a folder for one conversion inside a run folder; it is removed whatever happens.

    Raises:
        WorkshopError: It cannot be made.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".converting-", dir=run) as folder:
            yield Path(folder)
    except OSError as error:
        raise WorkshopError(
            f"cannot be written: {error.strerror or error}",
            where=str(run),
            remedy="Free some space or choose another folder, then give the same command again",
        ) from error


def _failure(code: int, job: Job, folder: Path, log: Path, begins: int) -> WorkshopError:
    if code == REFUSED:
        what, remedy = read_refusal(folder)
        return WorkshopError(what, where=job.source, remedy=remedy.replace("the log", str(log)))
    with log.open("rb") as said:
        said.seek(begins)
        text = said.read().decode("utf-8", "replace")
    if "No space left on device" in text or "Errno 28" in text:
        return WorkshopError(
            "the disk is full",
            where=str(folder.parent),
            remedy="Free some space, then give the same command again",
        )
    ended = f"was ended by signal {-code}" if code < 0 else "failed"
    return WorkshopError(
        f"the converter {ended}: {_last_words(text)}",
        where=job.source,
        remedy=f"All that it said is in {log}",
    )


def _last_words(text: str) -> str:
    return " ".join(text.split())[-LONGEST_REASON:]


def make_all() -> None:
    """Make every environment now, for those who will want them where there is no network."""
    for environment in (ONNX, KERAS):
        environment.make()
        print(f"ready: {environment.folder.name}")


if __name__ == "__main__":
    try:
        make_all()
    except WorkshopError as error:
        sys.exit(f"workshop: {error}")
