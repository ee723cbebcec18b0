"""A Home Assistant of one version: its folder, its process, and its HTTP interface."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camera_app.demo.broker import free_port
from tools.processes import Program, wait_for

START_LIMIT_S = 300.0  # its first start on a busy machine
_CLIENT = "http://127.0.0.1/"
_NO_TLS = {"set_client_cert": False, "set_ca_cert": "off"}
# Lines of its log that speak of what we sent.
_OURS = ("homeassistant.components.mqtt", "homeassistant.helpers.template", "trial")
# And those that say that there is no broker, which is what a trial does to it.
_NO_BROKER = (
    "The connection was lost",
    "client is not currently connected",
    "Failed to connect to MQTT server",
    "Disconnected from MQTT server",
)
# What 2025.4 says of its own documented way from one message for all to one for each and back.
# The topic has to be emptied, and by then nothing may hang on it any more; and a device trigger
# that was handed over is taken down twice. Whether it says so is a race inside it; nothing is lost.
_HANDED_OVER = ("No device components to cleanup", "Unable to remove unknown dispatcher")
_SETTINGS = """homeassistant:
  name: Trial
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
config:
onboarding:
counter:
  triggered:
  crossed:
  loitered:
automation: !include automations.yaml
logger:
  default: warning
  logs:
    homeassistant.components.mqtt: info
"""


class Hub(Program):
    """Home Assistant, from its own environment.

    Attributes:
        version: Of Home Assistant.
    """

    def __init__(self, environment: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = free_port()
        self.version = ""
        self._token = ""  # nosec B105 # none yet
        self._earlier: list[str] = []  # complaints of earlier runs: a start begins the log anew
        (folder / "configuration.yaml").write_text(_SETTINGS.format(port=self.port))
        (folder / "automations.yaml").write_text("[]\n")
        command = [
            str(environment / "bin" / "python"),
            "-m",
            "homeassistant",
            "--config",
            str(folder),
            "--skip-pip",
        ]
        super().__init__(command, folder / "output.log")

    # Its life

    def start(self) -> None:
        self._earlier = self.complaints()
        (self.folder / "home-assistant.log").unlink(missing_ok=True)
        super().start()

    def wait_running(self) -> float:
        """Wait until it has started; return how long that took."""
        return wait_for("Home Assistant", self._is_running, START_LIMIT_S)

    def set_up(self, broker_port: int) -> None:
        """Make an owner, and tell it where the broker is; once, after the first start."""
        wait_for("Home Assistant's onboarding", self._make_owner, START_LIMIT_S)
        self.wait_running()
        self.version = self.ask("GET", "/api/config")["version"]
        flow = self.ask("POST", "/api/config/config_entries/flow", {"handler": "mqtt"})
        place = f"/api/config/config_entries/flow/{flow['flow_id']}"
        filled: dict[str, Any] = {"broker": "127.0.0.1", "port": broker_port}
        if any(field["name"] == "other_settings" for field in flow["data_schema"]):
            filled["other_settings"] = _NO_TLS  # versions of 2026 ask for it at once
        made = self.ask("POST", place, filled)
        assert made["type"] == "create_entry", made

    def _make_owner(self) -> bool:
        owner = {
            "client_id": _CLIENT,
            "name": "Trial",
            "username": "trial",
            "password": secrets.token_urlsafe(),
            "language": "en",
        }
        try:
            made = self.ask("POST", "/api/onboarding/users", owner)
        except (OSError, ValueError):
            return False
        words = {
            "client_id": _CLIENT,
            "grant_type": "authorization_code",
            "code": made["auth_code"],
        }
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/auth/token", urllib.parse.urlencode(words).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # nosec B310 # HTTP, as said above
            self._token = json.loads(answer.read())["access_token"]
        return True

    def _is_running(self) -> bool:
        try:
            return bool(self.ask("GET", "/api/config")["state"] == "RUNNING")
        except (OSError, ValueError):
            return False

    # What it knows

    def states(self) -> dict[str, dict[str, Any]]:
        """Return its entities by id."""
        return {one["entity_id"]: one for one in self.ask("GET", "/api/states")}

    def state(self, entity: str) -> str:
        """Return an entity's state; empty where there is no such entity or no answer."""
        try:
            return str(self.ask("GET", f"/api/states/{entity}")["state"])
        except (OSError, ValueError):
            return ""

    def call(self, service: str, entity: str, **data: Any) -> None:
        """Do what a press or a toggle in its pages does."""
        place = f"/api/services/{service.replace('.', '/')}"
        about = {"entity_id": entity} if entity else {}
        self.ask("POST", place, {**about, **data})

    def render(self, template: str) -> str:
        """Return what it makes of a template."""
        body = json.dumps({"template": template}).encode()
        return self._fetch("POST", "/api/template", body).decode()

    def picture(self, entity: str) -> bytes:
        """Return the picture of a camera or image."""
        return self._fetch("GET", f"/api/{entity.partition('.')[0]}_proxy/{entity}", None)

    def complaints(self) -> list[str]:
        """Return warnings and errors in its log that speak of MQTT or of us."""
        log = self.folder / "home-assistant.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        found = [
            line
            for line in lines
            if (" WARNING " in line or " ERROR " in line) and any(one in line for one in _OURS)
        ]
        every = [*self._earlier, *found]
        excused = (*_NO_BROKER, *_HANDED_OVER)
        return [line for line in every if not any(one in line for one in excused)]

    # HTTP

    def ask(self, method: str, place: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the answer to a request, as JSON."""
        data = None if body is None else json.dumps(body).encode()
        return json.loads(self._fetch(method, place, data))

    def _fetch(self, method: str, place: str, data: bytes | None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{place}", data)
        request.method = method
        request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # nosec B310 # HTTP, as said above
            found: bytes = answer.read()
            return found
