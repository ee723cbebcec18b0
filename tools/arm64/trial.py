"""Uses the image that was built: its program, a replay compared with this machine's, its service.

Everything runs as a container would: as the image's own user, in a root that cannot be written.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from camera_app.replay import ReplayFiles
from tools.arm64.broker import PASSWORD, USER, broker_with_password
from tools.arm64.build import Image
from tools.arm64.comparison import Agreement, Seen, agreement_of, seen_of
from tools.arm64.container import Container
from tools.arm64.emulation import Emulator, output_of
from tools.arm64.errors import ProofFailed
from tools.processes import Broker

MODEL = "person_small"
SETTINGS = "/etc/camera-app/camera.toml"
DOCTOR_DEADLINE_S = "120"
READY_LIMIT_S = 600.0  # everything is some ten times slower than the machine that emulates
STOP_LIMIT_S = 60.0
_BETWEEN_QUESTIONS_S = 2.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of it.

    Attributes:
        replay_s: How long the emulated replay took.
        agreement: How it agrees with this machine's.
        ready_s: From the service's start to its first healthy answer.
        events: How many events the broker heard.
        stop_s: From asking the service to end to its end.
    """

    replay_s: float
    agreement: Agreement
    ready_s: float
    events: int
    stop_s: float


class Trial:
    """Tries an image.

    Args:
        emulator: Runs it.
        image: What was built.
        clip: A film in which a person is to be seen.
        folder: For what the trial writes.
        say: Tells what is being done.
    """

    def __init__(
        self,
        emulator: Emulator,
        image: Image,
        clip: Path,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self._emulator = emulator
        self._clip = clip
        self._folder = folder
        self._say = say
        self._container = Container(
            image,
            volumes={
                "/var/lib/camera-app": folder / "data",
                "/run/camera-app": folder / "run",
            },
            files={
                f"/clips/{clip.name}": clip,
                SETTINGS: folder / "camera.toml",
                "/run/secrets/mqtt-password": folder / "mqtt-password",
            },
        )

    def run(self) -> Findings:
        """Try everything.

        Raises:
            ProofFailed: The image does not do what it should.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        broker = broker_with_password(self._folder / "broker")
        self._write_settings(broker.port)
        self._ask("--version")
        self._ask("models", "verify", MODEL)
        replay_s, agreement = self._compare_replays()
        broker.start()
        try:
            with self._listening(broker.port) as heard:
                self._ask("doctor", "--config", SETTINGS, "--deadline", DOCTOR_DEADLINE_S)
                ready_s, stop_s = self._live_through_service(broker, heard)
        finally:
            broker.stop()
        return Findings(replay_s, agreement, ready_s, len(heard), stop_s)

    def _write_settings(self, broker_port: int) -> None:
        password, user = self._folder / "mqtt-password", self._container.image.user
        password.write_text(f"{PASSWORD}\n", encoding="utf-8")
        password.chmod(0o400)
        os.chown(password, user.uid, user.gid)
        (self._folder / "camera.toml").write_text(
            f"""
            device_id = "emulated"
            [mqtt]
            host = "127.0.0.1"
            port = {broker_port}
            username = "{USER}"
            password_file = "/run/secrets/mqtt-password"
            [inference]
            model = "{MODEL}"
            cpu_seats = 1
            [camera.front]
            source = "/clips/{self._clip.name}?loop=1"
            fps = 2
            deadline_s = 60
            """,
            encoding="utf-8",
        )

    def _ask(self, *words: str) -> None:
        """Call the program, which has to be content, and keep what it says."""
        self._say(f"camera-app {' '.join(words)}")
        said = output_of(self._emulator, self._container.called(*words))
        (self._folder / f"said-{words[0].strip('-')}.txt").write_text(said, encoding="utf-8")

    def _compare_replays(self) -> tuple[float, Agreement]:
        words = ["--model", MODEL, "--tracks", "--quiet", "--json", "--seats", "1"]
        self._say(f"replay of {self._clip.name}, emulated, and on this machine")
        began_s = time.monotonic()
        target = "/var/lib/camera-app/replay"
        room = self._container.called(
            "replay", f"/clips/{self._clip.name}", "--out", target, *words
        )
        output_of(self._emulator, room)
        took_s = time.monotonic() - began_s
        own = self._folder / "own-replay"
        command = ["-m", "camera_app", "replay", str(self._clip), "--out", str(own), *words]
        done = subprocess.run([sys.executable, *command], capture_output=True, check=False)
        if done.returncode:
            raise ProofFailed(f"this machine's replay failed: {done.stderr.decode()[-1000:]}")
        emulated, here = _seen(self._folder / "data" / "replay"), _seen(own)
        return took_s, agreement_of(emulated, here)

    def _live_through_service(self, broker: Broker, heard: list[str]) -> tuple[float, float]:
        """Run the service until it is well and has told of an event; return what was measured."""
        with (self._folder / "service.log").open("wb") as log:
            service = self._emulator.start(self._container.called(), log)
            try:
                self._say("the service, until its health check is content")
                began_s = time.monotonic()
                self._wait(service, self._is_well, "its health check never passed")
                ready_s = time.monotonic() - began_s
                self._wait(service, lambda: bool(heard), "no event ever reached the broker")
                self._say("the same without its broker")
                broker.stop()
                self._wait(service, lambda: not self._is_well(), "it is well without a broker")
                broker.start()
                self._wait(service, self._is_well, "it never got well again")
                return ready_s, self._stopped_s(service)
            finally:
                service.kill()
                service.wait()

    def _is_well(self) -> bool:
        """Ask as an engine asks: the image's own health check, in the same container."""
        check = self._container.image.health_check
        if check is None:
            raise ProofFailed("the image has no health check")
        process = self._emulator.start(self._container.room(check.command), subprocess.PIPE)
        said, _ = process.communicate()
        with (self._folder / "health.log").open("ab") as log:
            log.write(said)
        return process.returncode == 0

    def _wait(
        self, service: subprocess.Popen[bytes], is_so: Callable[[], bool], complaint: str
    ) -> None:
        ends_s = time.monotonic() + READY_LIMIT_S
        while not is_so():
            if service.poll() is not None or time.monotonic() > ends_s:
                log = (self._folder / "service.log").read_text(encoding="utf-8", errors="replace")
                raise ProofFailed(f"the service: {complaint}; its log ends with\n{log[-3000:]}")
            time.sleep(_BETWEEN_QUESTIONS_S)

    def _stopped_s(self, service: subprocess.Popen[bytes]) -> float:
        """Ask the service to end as an engine does: a signal to its first process."""
        [first] = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
        number = signal.Signals[self._container.image.stop_signal]
        began_s = time.monotonic()
        os.kill(int(first), number)
        try:
            code = service.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise ProofFailed(f"the service does not end at {number.name}") from error
        if code:
            raise ProofFailed(f"the service ended with {code}")
        return time.monotonic() - began_s

    @contextmanager
    def _listening(self, broker_port: int) -> Iterator[list[str]]:
        """Collect the topics of events that the broker hears of."""
        heard: list[str] = []
        client = paho.Client(CallbackAPIVersion.VERSION2, "listener")
        client.username_pw_set(USER, PASSWORD)
        client.on_connect = lambda client, *_: client.subscribe("camera_app/emulated/+/event", 1)
        client.on_message = lambda _client, _data, message: heard.append(message.topic)
        client.connect("127.0.0.1", broker_port)
        client.loop_start()
        try:
            yield heard
        finally:
            client.disconnect()
            client.loop_stop()


def _seen(folder: Path) -> Seen:
    files = ReplayFiles(folder)
    tracks = files.tracks("", is_only=True)
    return seen_of(files.event_log.read_text(), tracks.read_text())
