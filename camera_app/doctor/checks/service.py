"""The service itself: whether it runs, what it says of itself, and what systemd says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from camera_app.config import MetricsSettings
from camera_app.doctor.findings import Finding
from camera_app.doctor.machine import Machine
from camera_app.doctor.service import Service, Who, ourselves, user_name
from camera_app.doctor.subject import Check, Examined, Kinds, Subject

_ASKED = (
    "LoadState",
    "ActiveState",
    "Result",
    "NRestarts",
    "UnitFileState",
    "MainPID",
)
MANY_RESTARTS = 3
METRICS_LIMIT_S = 2.0
LONGEST_ANSWER_BYTES = 64

_kinds = Kinds("service")
NOT_READY = _kinds.error(
    "not_ready",
    "the service runs, and cannot see or cannot deliver; the text is its own",
    "See what the check of what it names says",
    "camera-app health",
)
HANGS = _kinds.error(
    "hangs",
    "the service runs, and has stopped telling how it does",
    "Restart it; keep the log if it comes again",
    "sudo systemctl restart <unit>",
)
FAILED = _kinds.error(
    "failed",
    "systemd has given the service up: it ended too often",
    "See in its log why, mend that, and start it",
    "journalctl -u <unit> -n 50; sudo systemctl reset-failed <unit> && sudo systemctl start <unit>",
)
STOPPED = _kinds.warning(
    "stopped",
    "the service is installed and does not run",
    "Start it",
    "sudo systemctl start <unit>",
)
NOT_ENABLED = _kinds.warning(
    "not_enabled",
    "the service runs, and will not start with the machine",
    "Have it start with it",
    "sudo systemctl enable <unit>",
)
RESTARTS = _kinds.warning(
    "restarts",
    "systemd had to start the service anew several times",
    "See in its log why",
    "journalctl -u <unit> --grep 'Main process exited|Watchdog'",
)
NOT_RUNNING = _kinds.note(
    "not_running",
    "no service runs with this configuration, and none is installed",
    "Start it, or install it",
    "camera-app run --config <config>",
)
SILENT = _kinds.note(
    "silent",
    "the service runs without a runtime folder, so that nobody can ask it how it does",
    "Start it as the shipped unit does, or name a folder",
    "RUNTIME_DIRECTORY=/run/camera-app camera-app run --config <config>",
)
NO_METRICS = _kinds.warning(
    "no_metrics",
    "metrics are configured, and at their address nobody answers, or another program",
    "Give listen in [metrics] an address of this machine and a port that nobody uses",
    "sudo ss -ltnp 'sport = :<port>'",
)
OTHER_USER = _kinds.note(
    "other_user",
    "the service runs as another user than this doctor: what that one may do is judged by modes, "
    "not tried",
    "Ask again as that user",
    "sudo -u <user> camera-app doctor --config <config>",
)


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What is known of the service.

    Attributes:
        service: What was found to run.
        unit: What systemd says of its unit; empty: there is no systemd, or no such unit.
        us: As whom we ask.
        config: The configuration, for a line to type.
        metrics: Where the configuration has metrics told; None: nowhere.
        heard: What is said there; None: nobody answers.
    """

    service: Service
    unit: Mapping[str, str]
    us: Who
    config: str
    metrics: MetricsSettings | None = None
    heard: bytes | None = None


def examine(subject: Subject) -> Examined:
    """Ask the kernel, systemd and the service."""
    service = subject.service
    unit = read_unit(subject.machine, service.unit)
    metrics = subject.config.metrics if subject.config and subject.config.metrics.listen else None
    heard = read_metrics(metrics) if metrics and service.is_running else None
    facts = ServiceFacts(service, unit, ourselves(), subject.config_argument, metrics, heard)
    told = [f"runs as process {service.pid}" if service.is_running else "does not run"]
    if unit:
        told.append(f"{service.unit}.service is {unit.get('ActiveState', '?')}")
    if service.readiness is not None and service.readiness.is_ready:
        told.append("it sees and delivers")
    return Examined(tuple(told), tuple(judge(facts)))


def read_unit(machine: Machine, name: str) -> dict[str, str]:
    """Ask systemd about a unit."""
    if not machine.has("run/systemd/system"):
        return {}
    asked = (f"--property={one}" for one in _ASKED)
    ran = machine.run(("systemctl", "show", f"{name}.service", *asked))
    told = dict(line.partition("=")[::2] for line in ran.output.splitlines())
    return told if told.get("LoadState") == "loaded" else {}


def read_metrics(settings: MetricsSettings) -> bytes | None:
    """Ask at the address of the metrics whether the service is ready; None: nobody answers."""
    connection = HTTPConnection(*settings.address, timeout=METRICS_LIMIT_S)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().read(LONGEST_ANSWER_BYTES)
    except HTTPException:  # somebody does, and speaks of something else
        return b""
    except OSError:
        return None
    finally:
        connection.close()


def judge(facts: ServiceFacts) -> Iterator[Finding]:
    """Say what is wrong with the service."""
    unit, service = facts.unit, facts.service
    if unit.get("ActiveState") == "failed":
        what = f"systemd has given it up: {unit.get('Result', '')}"
        yield FAILED.found(what, unit=service.unit)
    elif not service.is_running and unit:
        yield STOPPED.found("it is installed and does not run", unit=service.unit)
    elif not service.is_running:
        yield NOT_RUNNING.found("no service runs with this configuration", config=facts.config)
    if service.is_running:
        yield from _judge_readiness(facts)
        yield from _judge_metrics(facts)
        yield from _judge_user(facts)
        if unit.get("UnitFileState") == "disabled" and unit.get("MainPID") == str(service.pid):
            yield NOT_ENABLED.found("it will not start with the machine", unit=service.unit)
    restarts = unit.get("NRestarts", "")
    if restarts.isdecimal() and int(restarts) >= MANY_RESTARTS:
        yield RESTARTS.found(f"it was started anew {restarts} times", unit=service.unit)


def _judge_readiness(facts: ServiceFacts) -> Iterator[Finding]:
    report = facts.service.readiness
    if report is None:
        yield SILENT.found("it does not tell how it does", config=facts.config)
    elif report.is_stale:
        what = f"it has told nothing for {report.age_s:.0f} s"
        yield HANGS.found(what, unit=facts.service.unit)
    else:
        for shortfall in report.readiness.shortfalls:
            what = f"cannot {shortfall.ability}: {shortfall.problem}"
            yield NOT_READY.found(what, where=shortfall.where)


def _judge_metrics(facts: ServiceFacts) -> Iterator[Finding]:
    if facts.metrics is None or (facts.heard or b"").startswith((b"ready\n", b"not ready\n")):
        return
    who = "nobody" if facts.heard is None else "another program"
    port = facts.metrics.address[1]
    yield NO_METRICS.found(f"{who} answers at {facts.metrics.listen}", port=port)


def _judge_user(facts: ServiceFacts) -> Iterator[Finding]:
    who = facts.service.who
    if who is not None and who.uid != facts.us.uid:
        yield OTHER_USER.found(
            f"it runs as {user_name(who.uid)}, and you are {user_name(facts.us.uid)}",
            user=user_name(who.uid),
            config=facts.config,
        )


CHECK = Check("service", "whether it runs, sees and delivers; systemd's word", examine, _kinds.made)
