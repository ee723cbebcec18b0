"""What is tried with one version of Home Assistant, from the first start to the removal.

Each step waits for what an owner would see, and notes how long that took. A step that fails ends
the trial: what follows would say nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

from tools.home_assistant.camera import Camera
from tools.home_assistant.hub import START_LIMIT_S, Hub
from tools.processes import Broker, Program, TrialFailed, wait_for

_log = logging.getLogger(__name__)

SEES = "binary_sensor.trial_front_sees"
PERSON = "binary_sensor.trial_front_person"
IN_ZONE = "binary_sensor.trial_front_mat_person"
DETECTION = "switch.trial_front_detection"
PRIVACY = "switch.trial_front_privacy_mode"
THRESHOLD = "number.trial_front_threshold"
FACES = "switch.trial_front_faces"
MODEL = "select.trial_front_model"
PROFILE = "select.trial_profile"
SELF_TEST = "binary_sensor.trial_self_test"
MOTION = "binary_sensor.trial_front_motion"
BEST = "image.trial_front_best_person"
FREE = "sensor.trial_free_disk_space"
DISK = "sensor.trial_disk"
# Entities that fire, what they may say, and an attribute that they must have.
EVENTS = {
    "event.trial_front_person_event": (("started", "updated", "ended"), "event_id"),
    "event.trial_front_face_event": (("started", "updated", "ended"), "event_id"),
    "event.trial_front_line_crossed": (("in", "out"), "line"),
    "event.trial_front_loitering": (("started", "continued"), "zone"),
}
RULES_EVENTS = {"event.trial_front_line_crossed", "event.trial_front_loitering"}
# Device triggers, and what counts them.
COUNTERS = {
    "person started": "counter.triggered",
    "crossed middle in": "counter.crossed",
    "loitering mat": "counter.loitered",
}
GONE = "unavailable"
JPEG = b"\xff\xd8\xff"
EVENT_LIMIT_S = 180.0  # until somebody comes before the camera again


@dataclass(slots=True)
class Report:
    """What came of a trial.

    Attributes:
        version: Of Home Assistant.
        style: How it learned of the camera.
        entities: How many it made, of how many that were announced.
        took_s: How long each thing took.
        complaints: Lines of its log about what we sent.
    """

    version: str = ""
    style: str = ""
    entities: tuple[int, int] = (0, 0)
    took_s: dict[str, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


class Trial:
    """A broker, a hub and a camera, and what is done to them.

    Args:
        environment: Where Home Assistant is installed.
        folder: For all that they write; must be empty.
        source: What the camera looks at: a film in which people come and go.
        style: How the hub is to learn of the camera.
    """

    def __init__(self, environment: Path, folder: Path, source: str, style: str) -> None:
        self._broker = Broker(folder / "broker")
        self._hub = Hub(environment, folder / "hub")
        self._camera = Camera(folder / "camera", self._broker.port, source)
        self._camera.configure(discovery=style)
        self._record = folder / "camera" / "data" / "home_assistant.json"
        self._store = folder / "broker" / "mosquitto.db"
        self.report = Report(style=style)

    def run(self) -> Report:
        """Try everything.

        Raises:
            TrialFailed: Something does not work; the report says how far it came.
        """
        steps: list[Callable[[], None]] = [
            self._discover,
            self._see,
            self._hear_of_events,
            self._feel_motion,
            self._look_at_the_disk,
            self._toggle,
            self._choose,
            self._trigger,
            self._lose_the_camera,
            self._lose_the_broker,
            self._restart_the_hub,
            self._restart_by_button,
            self._start_in_every_order,
            self._take_rules_away,
            self._change_the_style,
            self._switch_off,
        ]
        try:
            for step in steps:
                _log.info("%s", step.__name__.strip("_").replace("_", " "))
                step()
                self._refuse_complaints()
        finally:
            self.report.complaints = self._hub.complaints()
            for program in (self._camera, self._hub, self._broker):
                program.stop()
        return self.report

    def _refuse_complaints(self) -> None:
        if complaints := self._hub.complaints():
            raise TrialFailed("Home Assistant complains:\n" + "\n".join(complaints))

    def _note(self, what: str, took_s: float) -> None:
        self.report.took_s[what] = took_s
        _log.info("  %s: %.2f s", what, took_s)

    def _wait(self, what: str, entity: str, *states: str, limit_s: float = 60.0) -> None:
        took_s = wait_for(
            f"{what}: {entity} in {states}", lambda: self._hub.state(entity) in states, limit_s
        )
        self._note(what, took_s)

    def _wait_other_than(self, entity: str, *states: str) -> None:
        what = f"{entity} in a state other than {states}"
        wait_for(what, lambda: self._hub.state(entity) not in states, EVENT_LIMIT_S)

    # The steps

    def _discover(self) -> None:
        self._broker.start()
        self._hub.start()
        self._hub.set_up(self._broker.port)
        self.report.version = self._hub.version
        self._camera.start()
        wait_for("READY", lambda: "READY" in self._camera.text())
        self._note("all entities after the camera's start", wait_for("entities", self._has_all))
        self.report.entities = (len(self._known()), len(self._announced()))

    def _announced(self) -> set[str]:
        """Return the announced entities: platform and key."""
        if not self._record.exists():
            return set()
        topics = json.loads(self._record.read_text())["topics"].values()
        return {
            key for parts in topics for key, kind in parts.items() if kind != "device_automation"
        }

    def _known(self) -> set[str]:
        """Return the ids of the entities that the hub has of us."""
        return {
            name
            for name in self._hub.states()
            if name.partition(".")[2].startswith("trial_") and not name.startswith("automation.")
        }

    def _has_all(self) -> bool:
        return bool(self._announced()) and len(self._known()) == len(self._announced())

    def _see(self) -> None:
        self._wait("the camera sees", SEES, "on")
        self._wait("a person is there", PERSON, "on", limit_s=EVENT_LIMIT_S)
        took_s = wait_for("a live picture", lambda: self._shows("camera.trial_front"))
        self._note("a live picture", took_s)
        self._note("the best shot", wait_for("best shot", lambda: self._shows(BEST), EVENT_LIMIT_S))

    def _hear_of_events(self) -> None:
        """Wait until each kind of event has been told, and look at what it says."""
        for entity, (types, needed) in EVENTS.items():
            self._wait_other_than(entity, "", "unknown", GONE)
            said = self._hub.states()[entity]["attributes"]
            if said["event_type"] not in types or not said.get(needed) or not said.get("label"):
                raise TrialFailed(f"{entity} says {said}")

    def _feel_motion(self) -> None:
        for state in ("on", "off", "on"):
            self._wait(f"motion {state}", MOTION, state, limit_s=EVENT_LIMIT_S)

    def _look_at_the_disk(self) -> None:
        wait_for("free space", lambda: self._hub.state(FREE).isdigit())
        if self._hub.state(DISK) not in ("ample", "no_media", "no_snapshots", "full"):
            raise TrialFailed(f"the disk is {self._hub.state(DISK)}")

    def _shows(self, entity: str) -> bool:
        try:
            return self._hub.picture(entity).startswith(JPEG)
        except OSError:
            return False

    def _toggle(self) -> None:
        self._switch("switch.turn_off", DETECTION, "off")
        self._switch("switch.turn_on", DETECTION, "on")
        self._hub.call("number.set_value", THRESHOLD, value=0.45)
        self._wait("threshold set", THRESHOLD, "0.45")
        self._hub.call("number.set_value", THRESHOLD, value=0.5)
        self._wait("threshold set back", THRESHOLD, "0.5")
        self._switch("switch.turn_on", PRIVACY, "on")
        self._wait("what it saw is unavailable in privacy", PERSON, GONE)
        took_s = wait_for("no best shot", lambda: not self._shows(BEST))
        self._note("the best shot is withdrawn in privacy", took_s)
        if self._hub.state(DETECTION) == GONE:
            raise TrialFailed("a closed camera cannot be opened again from the hub")
        self._switch("switch.turn_off", PRIVACY, "off")
        self._wait("it sees again after privacy", SEES, "on")
        self._hub.call("button.press", "button.trial_run_self_test")
        self._wait("self-test", SELF_TEST, "off")
        self._hub.call("button.press", "button.trial_front_snapshot_now")

    def _choose(self) -> None:
        self._switch("switch.turn_off", FACES, "off")
        self._switch("switch.turn_on", FACES, "on")
        for model in ("person_small", "person_large"):
            self._hub.call("select.select_option", MODEL, option=model)
            self._wait(f"model {model}", MODEL, model)
        self._wait("profile at first", PROFILE, "configured")
        self._hub.call("select.select_option", PROFILE, option="away")
        self._wait("profile away", PROFILE, "away")
        self._wait("what the profile sets", THRESHOLD, "0.45")
        self._hub.call("number.set_value", THRESHOLD, value=0.55)
        self._wait("no profile holds", PROFILE, "unknown")
        self._hub.call("select.select_option", PROFILE, option="configured")
        self._wait("all as configured", THRESHOLD, "0.5")
        self._wait("profile configured", PROFILE, "configured")

    def _switch(self, service: str, entity: str, state: str) -> None:
        self._hub.call(service, entity)
        self._wait(f"{entity.partition('_')[2].replace('_', ' ')} {state}", entity, state)

    def _trigger(self) -> None:
        """Fire automations by device triggers."""
        device_id = self._hub.render(f"{{{{ device_id('{DETECTION}') }}}}")
        automations = [
            {
                "id": counter,
                "alias": kind,
                "trigger": [
                    {
                        "platform": "device",
                        "domain": "mqtt",
                        "device_id": device_id,
                        "type": kind,
                        "subtype": "front",
                    }
                ],
                "action": [{"service": "counter.increment", "target": {"entity_id": counter}}],
            }
            for kind, counter in COUNTERS.items()
        ]
        # YAML takes JSON.
        (self._hub.folder / "automations.yaml").write_text(json.dumps(automations))
        self._hub.call("automation.reload", "")
        # Whoever is there just now is a new event after this.
        wait_for("somebody there", lambda: self._hub.state(PERSON) == "on", EVENT_LIMIT_S)
        self._hub.call("switch.turn_off", DETECTION)
        wait_for("nobody there", lambda: self._hub.state(PERSON) == "off")
        self._hub.call("switch.turn_on", DETECTION)
        for kind, counter in COUNTERS.items():
            _log.info("  device trigger %s", kind)
            self._wait_other_than(counter, "", "0")

    def _lose_the_camera(self) -> None:
        self._camera.kill()
        self._wait("unavailable after kill -9 of the camera", DETECTION, GONE)
        self._camera.start()
        self._wait("back after its restart", DETECTION, "on")
        self._wait("it sees after its restart", SEES, "on")

    def _lose_the_broker(self) -> None:
        self._broker.kill()
        self._wait("unavailable after kill -9 of the broker", DETECTION, GONE)
        self._broker.start()
        self._wait("back after the broker's restart", DETECTION, "on")
        self._broker.kill()
        self._store.unlink(missing_ok=True)
        self._wait("unavailable, broker killed again", DETECTION, GONE)
        self._broker.start()
        self._wait("back after a broker that forgot all", DETECTION, "on")
        self._wait("sight after a broker that forgot all", SEES, "on")

    def _restart_the_hub(self) -> None:
        self._hub.stop()
        self._hub.start()
        self._hub.wait_running()
        self._wait("back after the hub has started", DETECTION, "on")
        self._wait("sight after the hub has started", SEES, "on")
        wait_for("every entity", self._has_all)

    def _restart_by_button(self) -> None:
        starts = self._camera.text().count("READY")
        self._hub.call("button.press", "button.trial_restart")
        took_s = wait_for("restart", lambda: self._camera.text().count("READY") > starts)
        self._note("restart by the hub's button", took_s)
        self._wait("sight after it", SEES, "on")

    def _start_in_every_order(self) -> None:
        named: dict[str, Program] = {
            "broker": self._broker,
            "hub": self._hub,
            "camera": self._camera,
        }
        for order in permutations(named):
            for program in reversed(list(named.values())):
                program.stop()
            for name in order:
                named[name].start()
            self._hub.wait_running()
            what = ", ".join(order)
            self._wait(f"after the hub's start: {what}", DETECTION, "on", limit_s=START_LIMIT_S)
            self._wait(f"sight: {what}", SEES, "on")
            wait_for(f"every entity: {what}", self._has_all)
            self._refuse_complaints()

    def _take_rules_away(self) -> None:
        """Take the zone and the line out of the configuration."""
        before = self._known()
        self._reconfigure()
        wait_for("the zone's entities to go", lambda: IN_ZONE not in self._hub.states())
        wait_for("the others to stay", self._has_all)
        gone = before - self._known()
        wanted = {name for name in before if "_mat_" in name} | RULES_EVENTS
        if gone != wanted:
            raise TrialFailed(f"not what was taken away: {sorted(gone ^ wanted)}")

    def _change_the_style(self) -> None:
        """Between both styles, and back; a version before 2024.12 knows one only."""
        if self.report.style == "entity":
            return
        before = self._known()
        for style in ("entity", "device"):
            self._reconfigure(discovery=style)
            self._wait(f"back in {style} style", SEES, "on")
            wait_for("every entity", self._has_all)
            if self._known() != before:
                raise TrialFailed(f"other entities: {sorted(self._known() ^ before)}")

    def _switch_off(self) -> None:
        self._reconfigure(discovery="off")
        self._note("all removed", wait_for("no entity", lambda: not self._known()))

    def _reconfigure(self, *, discovery: str = "") -> None:
        self._camera.stop()
        self._camera.configure(discovery=discovery or self.report.style, has_rules=False)
        self._camera.start()


def table(reports: list[Report]) -> Iterator[str]:
    """Yield the lines of a table of what was measured."""
    yield f"| | {' | '.join(f'{one.version}, {one.style} style' for one in reports)} |"
    yield f"| --- |{' --- |' * len(reports)}"
    made = " | ".join(f"{one.entities[0]} of {one.entities[1]}" for one in reports)
    yield f"| entities made of those announced | {made} |"
    names = dict.fromkeys(name for one in reports for name in one.took_s)
    for name in names:
        cells = [f"{one.took_s[name]:.2f} s" if name in one.took_s else "" for one in reports]
        yield f"| {name} | {' | '.join(cells)} |"
    complaints = " | ".join(str(len(one.complaints)) for one in reports)
    yield f"| complaints in its log about our messages | {complaints} |"
