"""What is tried, step by step, and the figures of each."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from camera_app.demo.broker import free_port
from camera_app.threads import STAND_BACK_BY
from tools.install_trial.container import Container, Failed
from tools.processes import wait_for

CHECKOUT = "/root/camera_app"
INSTALL = f"{CHECKOUT}/systemd/install.sh"
UNIT = "camera-app"
CONFIG = "/etc/camera-app/camera.toml"
CLIP = "/srv/person.mkv"
PASSWORD = "correct horse battery"  # nosec B105 # of a broker that lives for minutes
EVENT_LIMIT_S = 60.0

# A broker as an owner has it, with a password; and the camera, which gets it as a credential.
BROKER = """\
listener {port} 127.0.0.1
allow_anonymous false
password_file /etc/mosquitto/passwords
"""
CAMERA = f"""\
device_id = "trial"
[mqtt]
host = "127.0.0.1"
port = {{port}}
username = "trial"
password_file = "$CREDENTIALS_DIRECTORY/mqtt-password"
[camera.porch]
source = "{CLIP}?loop=1"
model = "person_small"
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried and went well.

    Attributes:
        what: In words.
        took_s: How long.
        found: What is worth knowing of it.
    """

    what: str
    took_s: float
    found: str = ""


class Trial:
    """From nothing to the first event, and to nothing again.

    Args:
        container: A fresh Debian, booted.
        clip: A film in which a person comes and goes.
        tell: Is told each step when it is done.
    """

    def __init__(self, container: Container, clip: Path, tell: Callable[[Step], None]) -> None:
        self._in = container
        self._clip = clip
        self._tell = tell
        self._port = free_port()  # the network is this machine's
        self._camera = CAMERA.format(port=self._port)
        self._found = ""

    def run(self) -> None:
        """Try all.

        Raises:
            Failed, TrialFailed, AssertionError: Something is not as it should be.
        """
        self._bring()
        before = self._files()
        self._install()
        self._first_event()
        self._sandbox()
        self._reload()
        self._wrong_configuration()
        self._restart_of_what_hangs()
        self._another_instance()
        self._upgrade_that_fails()
        self._upgrade_and_back()
        self._uninstall(before)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        self._found, began_s = "", time.monotonic()
        yield
        self._tell(Step(what, time.monotonic() - began_s, self._found))

    # --- the steps ---

    def _bring(self) -> None:
        """Put a checkout, a film and a broker with a password into it."""
        root = self._in.root
        copy_checkout(root / CHECKOUT[1:])
        (root / "srv").mkdir(exist_ok=True)
        shutil.copy(self._clip, root / CLIP[1:])
        (root / "etc/mosquitto/conf.d/trial.conf").write_text(BROKER.format(port=self._port))
        self._in.run(f"mosquitto_passwd -b -c /etc/mosquitto/passwords trial '{PASSWORD}'")
        self._in.run("chown mosquitto: /etc/mosquitto/passwords; systemctl restart mosquitto")

    def _install(self) -> None:
        with self._step("install"):
            self._in.run(f"{INSTALL} install")
            self._found = f"{self._megabytes('/opt/camera-app')} MB in /opt/camera-app"
        modes = self._in.run(f"stat -c '%a %U:%G' /etc/camera-app {CONFIG}").splitlines()
        assert modes == ["750 root:camera-app", "640 root:camera-app"], modes
        state = self._in.run(f"systemctl is-enabled {UNIT}; systemctl is-active {UNIT} || true")
        assert state.split() == ["enabled", "inactive"], state
        self._in.run("systemd-analyze verify camera-app.service camera-app@x.service")
        with self._step("install again: nothing changes"):
            before = self._files()
            said = self._in.run(f"{INSTALL} install")
            assert "is installed already" in said, said
            assert self._files() == before

    def _first_event(self) -> None:
        self._write(CONFIG, self._camera)
        self._write("/etc/camera-app/mqtt-password", PASSWORD + "\n")
        self._in.run(
            "chmod 600 /etc/camera-app/mqtt-password; chown root: /etc/camera-app/mqtt-password"
        )
        with self._step("start: to the first event at the broker"):
            self._in.run(f"systemctl start {UNIT}")
            event = self._next_event()
            self._found = f"{event['type']}, {event['label']}"
        wait_for("the status", lambda: "Watching 1 camera" in self._property("StatusText"), 20.0)
        self._found = self._property("StatusText")

    def _sandbox(self) -> None:
        with self._step("the sandbox, as the running service has it"):
            pid = self._property("MainPID")
            status = self._in.run(f"cat /proc/{pid}/status")
            words = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert words["CapEff"] == "0" * 16, words["CapEff"]
            assert (words["NoNewPrivs"], words["Seccomp"]) == ("1", "2")
            user = self._in.run(f"ps -o user= -p {pid}")
            assert user == "camera-app", user
            told = self._in.run(f"ps -L -o nice= -p {pid}").split()
            assert str(STAND_BACK_BY) in told, f"no thread has a lower priority: {told}"
            assert "mqtt-password" in self._in.run(f"ls /run/credentials/{UNIT}.service")
            level = self._in.run(f"systemd-analyze security {UNIT} --no-pager | tail -n 1")
            self._found = level.partition("level ")[2]

    def _reload(self) -> None:
        with self._step("reload: another camera beside the one that goes on"):
            pid = self._property("MainPID")
            yard = f'[camera.yard]\nsource = "{CLIP}?loop=1"\nmodel = "person_small"\n'
            self._write(CONFIG, self._camera + yard)
            self._in.run(f"systemctl reload {UNIT}")
            what = "Watching 2 cameras"
            wait_for("the second camera", lambda: what in self._property("StatusText"), 30.0)
            self._write(CONFIG, self._camera)
            self._in.run(f"systemctl reload {UNIT}")
            what = "Watching 1 camera "
            wait_for("its end", lambda: what in self._property("StatusText"), 30.0)
            assert self._property("MainPID") == pid

    def _wrong_configuration(self) -> None:
        with self._step("a wrong configuration that never was right: said once, not tried again"):
            self._in.run("camera-app-install instance wrong")
            self._write("/etc/camera-app/wrong.toml", self._camera.replace("host", "hots"))
            self._in.fails("systemctl start camera-app@wrong")
            names = "ExecMainStatus,NRestarts,ActiveState"
            found = self._in.run(f"systemctl show -p {names} --value camera-app@wrong")
            assert sorted(found.split()) == ["0", "78", "failed"], found
            assert "did you mean 'host'?" in self._in.run("journalctl -u camera-app@wrong")
            self._in.run("systemctl disable camera-app@wrong; rm /etc/camera-app/wrong.toml")

    def _restart_of_what_hangs(self) -> None:
        with self._step("a service that hangs: ended by the watchdog, started again, sees"):
            pid = self._property("MainPID")
            self._in.run(f"kill -STOP {pid}")
            wait_for("a restart", lambda: self._property("NRestarts") == "1", 120.0)
            assert self._property("MainPID") != pid
            journal = self._in.run(f"journalctl -u {UNIT} --no-pager")
            assert "Watchdog timeout" in journal
            self._next_event()

    def _another_instance(self) -> None:
        with self._step("another instance beside it"):
            self._in.run("camera-app-install instance garden")
            self._write(
                "/etc/camera-app/garden.toml",
                self._camera.replace('"trial"', '"garden"', 1)
                + '[data]\nfolder = "/var/lib/camera-app-garden"\n',
            )
            self._in.run("systemctl start camera-app@garden")
            self._next_event("garden")
            self._in.run("systemctl stop camera-app@garden")

    def _upgrade_that_fails(self) -> None:
        """A release that brings the database to another schema, and dies when it has started."""
        checkout = self._in.root / CHECKOUT[1:]
        command = checkout / "camera_app/commands/run.py"
        steps = checkout / "camera_app/store/schema"
        step = steps / f"{len(list(steps.glob('*.sql'))) + 1:04}_trial.sql"
        text = command.read_text()
        before = self._in.run("readlink /opt/camera-app/current")
        with self._step("an upgrade that does not come up: back to the version before by itself"):
            command.write_text(broken(text))
            step.write_text("CREATE TABLE trial (number INTEGER);\n")
            said = self._in.fails(f"{INSTALL} install")
            assert "did not come up" in said, said
            assert self._in.run("readlink /opt/camera-app/current") == before
            self._next_event()
            assert "before-upgrade" not in self._in.run("ls /var/lib/camera-app")
        command.write_text(text)
        step.unlink()

    def _upgrade_and_back(self) -> None:
        readme = self._in.root / CHECKOUT[1:] / "README.md"
        readme.write_text(readme.read_text() + "\nAnother release.\n")
        first, sum_before = self._in.run("readlink /opt/camera-app/current"), self._sum(CONFIG)
        with self._step("upgrade of the running service"):
            self._in.run(f"{INSTALL} install")
            second = self._in.run("readlink /opt/camera-app/current")
            assert second != first
            assert self._in.run("readlink /opt/camera-app/previous") == first
            assert len(self._in.run("ls /opt/camera-app/releases").split()) == 2
            self._next_event()
        with self._step("roll-back"):
            self._in.run("camera-app-install rollback")
            assert self._in.run("readlink /opt/camera-app/current") == first
            self._next_event()
        assert self._sum(CONFIG) == sum_before, "an upgrade touched the configuration"

    def _uninstall(self, before: frozenset[str]) -> None:
        with self._step("uninstall: events and configuration stay"):
            self._in.run("camera-app-install uninstall")
            left = self._files() - before
            assert "/var/lib/camera-app/events.db" in left
            assert CONFIG in left
            places = ("/etc/camera-app", "/var/lib/camera-app", "/var/cache/camera-app")
            assert [path for path in left if not path.startswith(places)] == []
        with self._step("install again, and uninstall --purge: nothing is left"):
            self._in.run(f"{INSTALL} install")
            self._in.run("systemctl start camera-app")
            self._next_event()
            self._in.run("camera-app-install uninstall --purge")
            left = self._files() - before
            assert left == frozenset(), sorted(left)[:10]
            assert "camera-app" not in self._in.run(
                "getent passwd; getent group | grep '^camera'||:"
            )

    # --- looking ---

    def _next_event(self, device: str = "trial") -> dict[str, str]:
        """Return the next change of an event that a subscriber of the broker hears."""
        heard = self._in.run(
            f"mosquitto_sub -h 127.0.0.1 -p {self._port} -u trial -P '{PASSWORD}' -C 1 "
            f"-W {EVENT_LIMIT_S:.0f} -t 'camera_app/{device}/porch/event'"
        )
        event: dict[str, str] = json.loads(heard)
        return event

    def _property(self, name: str) -> str:
        return self._in.run(f"systemctl show --property {name} --value {UNIT}")

    def _files(self) -> frozenset[str]:
        """Return every file that the installer could have to do with."""
        listed = self._in.run(
            "find / -xdev ( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /root"
            " -o -path /dev -o -path /var/log -o -path /var/tmp -o -path /var/lib/mosquitto"
            " -o -path /var/lib/systemd -o -path /var/cache/apt -o -path /var/lib/apt"
            " -o -path /srv ) -prune -o ! -type d -print".replace("(", "\\(").replace(")", "\\)")
        )
        # /etc/passwd- and its like are copies that the system's own programs make.
        return frozenset(line for line in listed.splitlines() if not line.endswith("-"))

    def _megabytes(self, folder: str) -> int:
        return int(self._in.run(f"du -sm {folder}").split()[0])

    def _sum(self, path: str) -> str:
        return hashlib.sha256((self._in.root / path[1:]).read_bytes()).hexdigest()

    def _write(self, path: str, text: str) -> None:
        (self._in.root / path[1:]).write_text(text)


def broken(text: str) -> str:
    """Return the command that runs the service, made so that it dies when it has just started."""
    place = "        while (wish := wishes.get())"
    assert text.count(place) == 1
    return text.replace(place, f"        raise SystemExit(9)\n{place}")


def copy_checkout(target: Path) -> None:
    """Copy what git knows of this repository, as it lies there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # nosec B607
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if Path(name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, target / name)
    if not (target / "systemd/install.sh").exists():
        raise Failed("this is no checkout of the project")
