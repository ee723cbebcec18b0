"""A Debian of its own, booted with systemd as its first process, in namespaces of this machine.

No container engine is needed, only root: debootstrap fills a folder, `unshare` gives it processes,
mounts and control groups of its own, and its systemd starts services with the same sandbox as on a
machine. It shares the network with this machine, and no device.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.processes import wait_for

PACKAGES = (
    "systemd,systemd-sysv,udev,dbus,ca-certificates,procps,python3,python3-venv,mosquitto,"
    "mosquitto-clients"
)
BOOT_LIMIT_S = 90.0
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_BOOT = r"""
set -e
echo $$ >"$GROUP/cgroup.procs"
exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child bash -e -c '
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
for folder in $BINDS; do mkdir -p "$ROOT$folder"; mount --bind -o ro "$folder" "$ROOT$folder"; done
mount -t proc proc "$ROOT/proc"
mount -t sysfs -o ro sysfs "$ROOT/sys"
mount -t tmpfs tmpfs "$ROOT/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$ROOT/sys/fs/cgroup"
mount -t tmpfs tmpfs "$ROOT/run"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
for name in $DEVICES; do touch "$ROOT/dev/$name"; mount --bind "/dev/$name" "$ROOT/dev/$name"; done
mkdir "$ROOT/dev/pts" "$ROOT/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$ROOT/dev/pts"
mount -t tmpfs tmpfs "$ROOT/dev/shm"
ln -s pts/ptmx "$ROOT/dev/ptmx"
hostname trial
cd "$ROOT"
mkdir -p .outside
pivot_root . .outside
exec chroot . sh -c "umount -l /.outside; rmdir /.outside; mount --make-rshared /
  exec env -i container=trial PATH=$PATH /sbin/init"
'
"""


class Failed(Exception):
    """A command in the container failed; the text is what it said."""


class Container:
    """One such Debian.

    Args:
        root: Its files.
        binds: Folders of this machine that it sees, read-only, in the same places.
        environment: For every command in it.
    """

    def __init__(
        self, root: Path, binds: Sequence[Path] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.root = root
        self._binds = [str(folder) for folder in binds]
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0
        self._group = _control_groups() / f"install-trial-{os.getpid()}"
        self._log = root.parent / f"{root.name}.boot.log"

    def boot(self) -> None:
        """Start its systemd, and wait until everything in it is started."""
        self._group.mkdir()
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "ROOT": str(self.root),
            "BINDS": " ".join(self._binds),
            "DEVICES": " ".join(DEVICES),
            "GROUP": str(self._group),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", _BOOT],  # nosec B607
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for("systemd in the container", self._is_up, BOOT_LIMIT_S)

    def stop(self) -> None:
        """End all of its processes."""
        if self._process is not None:
            if self._init:
                with suppress(ProcessLookupError):  # it has ended by itself
                    os.kill(self._init, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        wait_for("the end of the container", self._is_emptied, 10.0)

    def run(self, command: str, *, limit_s: float = 900.0) -> str:
        """Run a line of shell in it as root; return what it printed.

        Raises:
            Failed: It did not end with 0.
        """
        words = ["nsenter", "--target", str(self._init), "--all", "env", "-i", *self._settings()]
        done = subprocess.run(
            [*words, "sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit_s,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{command}\n{done.stdout}")
        return done.stdout.strip()

    def journal(self) -> str:
        """Return the last that its services have said; nothing if it never came up."""
        try:
            return self.run("journalctl --no-pager -n 60 -o cat -u 'camera-app*'")
        except Failed:
            return ""

    def fails(self, command: str, *, limit_s: float = 900.0) -> str:
        """Run a line of shell that has to fail; return what it said."""
        try:
            said = self.run(command, limit_s=limit_s)
        except Failed as failed:
            return str(failed)
        raise Failed(f"{command} should have failed, and said:\n{said}")

    def _settings(self) -> list[str]:
        everything = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        everything |= {"HOME": "/root", "LC_ALL": "C.UTF-8", **self._environment}
        return [f"{name}={value}" for name, value in everything.items()]

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            said = self._log.read_text(encoding="utf-8", errors="replace")
            raise Failed(f"the container did not start:\n{said[-2000:]}")
        self._init = self._init or _first_child(self._process.pid)
        if not self._init:
            return False
        try:
            return self.run("systemctl is-system-running || true") in {"running", "degraded"}
        except Failed:  # nobody listens yet
            return False

    def _is_emptied(self) -> bool:
        try:
            for folder in sorted(self._group.glob("**/"), reverse=True):
                folder.rmdir()
        except OSError:
            return False
        return True


def _first_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(children[0]) if children else 0


def _control_groups() -> Path:
    """Return where control groups of version 2 are, beside those of version 1 or instead."""
    beside = Path("/sys/fs/cgroup/unified")
    return beside if beside.is_dir() else Path("/sys/fs/cgroup")


def debootstrap(suite: str, mirror: str, root: Path) -> None:
    """Fill a folder with a fresh Debian."""
    words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root), mirror]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{shlex.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def pip_settings(root: Path) -> tuple[dict[str, str], list[Path]]:
    """Let pip in there reach what it reaches here, wherever that is.

    Returns:
        What to put into the environment, and the folders that it has to see.
    """
    words = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False)
    settings = {}
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2].strip()] = " ".join(value.strip("'").split("\\n"))
    certificates = Path(settings.pop("cert", ""))
    if certificates.is_file():
        bundle = root / "etc/ssl/certs/ca-certificates.crt"
        bundle.write_bytes(certificates.read_bytes())
    environment = {f"PIP_{key.upper().replace('-', '_')}": value for key, value in settings.items()}
    words = [word.removeprefix("file://") for value in settings.values() for word in value.split()]
    places = [Path(word) for word in words if word.startswith("/") and Path(word).is_dir()]
    # An index of files points at files that lie beside it.
    return environment, sorted({path.parent if path.name == "simple" else path for path in places})


def temporary_folder() -> TemporaryDirectory[str]:
    """Return a folder for the files of a container: not in /tmp, which may be memory."""
    return TemporaryDirectory(prefix="install-trial-", dir="/var/tmp")  # nosec B108
