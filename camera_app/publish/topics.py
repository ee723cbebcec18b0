"""The names of the topics. Pure; `docs/` and the tests read them from here."""

from __future__ import annotations

from dataclasses import dataclass

# Levels directly below a camera, beside its labels and zones.
CAMERA_LEVELS = (
    "availability",
    "event",
    "now",
    "snapshot",
    "live",
    "motion",
    "set",
    "detection",
    "privacy",
    "recording",
    "snapshots",
    "threshold",
    "faces",
    "variant",
    "snapshot_now",
)


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic that one device writes, all below `<base>/<device_id>`.

    Attributes:
        base: The owner's first part, without a slash at either end.
        device_id: The device, unique at its broker.
    """

    base: str
    device_id: str

    @property
    def root(self) -> str:
        return f"{self.base}/{self.device_id}"

    @property
    def availability(self) -> str:
        """`online` or `offline`: the service as a whole; retained, and the last will."""
        return f"{self.root}/availability"

    @property
    def status(self) -> str:
        """How the device does; retained."""
        return f"{self.root}/status"

    @property
    def fallback(self) -> str:
        """Whether less is done than the owner asked for, and why; retained."""
        return f"{self.root}/fallback"

    @property
    def result(self) -> str:
        """What became of a command; not retained."""
        return f"{self.root}/result"

    @property
    def self_test(self) -> str:
        """What the last self-test found; retained."""
        return f"{self.root}/self_test"

    @property
    def profile(self) -> str:
        """Which profile holds; retained."""
        return f"{self.root}/profile"

    @property
    def configuration(self) -> str:
        """How the configuration file stands, and what the last reload brought; retained."""
        return f"{self.root}/configuration"

    def device_command(self, command: str) -> str:
        """Where the device is told: `restart`, `reload`, `self_test`, `try_edgetpu`, `profile`."""
        return f"{self.root}/{command}/set"

    def setting(self, camera: str, setting: str) -> str:
        """How a setting of a camera stands; retained."""
        return f"{self.root}/{camera}/{setting}"

    def camera_command(self, camera: str, command: str) -> str:
        """Where a camera's setting is changed, or it is asked for something."""
        return f"{self.root}/{camera}/{command}/set"

    @property
    def probe(self) -> str:
        """Where `camera-app doctor` tries whether it may write, and hears what is asked of the
        camera; nobody acts on it.
        """
        return f"{self.root}/events/doctor/set"

    @property
    def command_filters(self) -> tuple[str, str]:
        """Under what all commands come: those to the device, those to a camera."""
        return self.device_command("+"), self.camera_command("+", "+")

    @property
    def request(self) -> str:
        """Where a subscriber that missed something asks for it."""
        return f"{self.root}/events/request"

    def answer(self, subscriber: str) -> str:
        """Pages of the ledger for one subscriber that asked; not retained."""
        return f"{self.root}/events/answer/{subscriber}"

    def camera_availability(self, camera: str) -> str:
        """`online` or `offline`: whether this camera can see; retained."""
        return f"{self.root}/{camera}/availability"

    def event(self, camera: str) -> str:
        """The ledger: every change, complete and in order; not retained."""
        return f"{self.root}/{camera}/event"

    def now(self, camera: str) -> str:
        """Fresh changes only, for automations; not retained."""
        return f"{self.root}/{camera}/now"

    def motion(self, camera: str) -> str:
        """Whether anything moves before the camera, whatever it is; retained."""
        return f"{self.root}/{camera}/motion"

    def count(self, camera: str, label: str) -> str:
        """How many of a label the camera sees now; retained."""
        return f"{self.root}/{camera}/{level(label)}"

    def zone_count(self, camera: str, zone: str, label: str) -> str:
        """How many of a label stand in a zone now; retained."""
        return f"{self.root}/{camera}/{zone}/{level(label)}"

    def snapshot(self, camera: str) -> str:
        """JPEG of the best moment of the newest event; retained."""
        return f"{self.root}/{camera}/snapshot"

    def label_snapshot(self, camera: str, label: str) -> str:
        """JPEG of the best moment of the newest event with a label; retained."""
        return f"{self.root}/{camera}/{level(label)}/snapshot"

    def live(self, camera: str) -> str:
        """JPEG of what the camera sees, now and then; not retained."""
        return f"{self.root}/{camera}/live"


def is_passing(topic: str) -> bool:
    """Say whether a topic of a camera tells what passes and is not retained."""
    return topic.rpartition("/")[2] in ("event", "now", "live")


def level(text: str) -> str:
    """Return a label as one level of a topic: `traffic light` becomes `traffic_light`.

    What MQTT keeps for itself (`/`, `+`, `#`) and white space become `_`; a label that would be
    taken for a topic of the camera itself gets one appended.
    """
    name = "".join("_" if c in "/+#" or c.isspace() or not c.isprintable() else c for c in text)
    return f"{name}_" if name in CAMERA_LEVELS else name
