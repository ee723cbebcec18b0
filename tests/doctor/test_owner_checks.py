"""Configuration, rights, the service, and Python: what an owner has in hand."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from camera_app.clock import SystemClock
from camera_app.config import MetricsSettings
from camera_app.demo.broker import free_port
from camera_app.doctor import Machine, borrowed_credentials, subject_of
from camera_app.doctor.checks import configuration, permissions, python, service
from camera_app.doctor.checks.permissions import Entry, judge_secret, may
from camera_app.doctor.checks.python import LIBRARIES, PythonFacts
from camera_app.doctor.checks.service import ServiceFacts
from camera_app.doctor.service import (
    Service,
    Who,
    began_at_s,
    find_service,
    running_config,
    unit_of,
    who_runs,
)
from camera_app.errors import ConfigError, Problem
from camera_app.health import Ability, Readiness, ReadinessReport, Shortfall
from camera_app.health.metrics import MetricsServer
from camera_app.store.known_good import KnownGood, Outcome, Running, Standing
from tests.health.metrics.figures import FIGURES
from tests.rights import without_rights
from tests.waiting import LIMIT_S, wait_until

from .conftest import MadeMachine, kinds

ONE_CAMERA = '[camera.front]\nsource = "front.mp4"\n'
NOBODY = Who(65534, frozenset({65534}))
OWNER = Who(4711, frozenset({4711, 44}))


# --- configuration -------------------------------------------------------------------------------


def test_every_problem_of_a_file_that_is_refused_is_told(made: MadeMachine) -> None:
    problems = [Problem("mqtt.prot", "no such key", 3, "did you mean 'port'?"), Problem("x", "y")]
    subject = replace(
        made.subject(),
        config_path=Path("/etc/my camera.toml"),
        config_error=ConfigError(problems, where="file"),
    )
    found = configuration.examine(subject)
    assert kinds(found) == ["configuration.wrong", "configuration.wrong"]
    assert found.findings[0].what == "line 3: mqtt.prot: no such key (did you mean 'port'?)"
    assert found.findings[0].line == "camera-app config check '/etc/my camera.toml'"


def test_nothing_configured_is_only_worth_knowing(made: MadeMachine) -> None:
    assert kinds(configuration.examine(made.subject())) == ["configuration.absent"]


@pytest.mark.parametrize(
    ("camera", "found"),
    [
        ('source = "rtsp://me:hunter2@cam/low"', ["configuration.password_in_source"]),
        ('source = "rtsp://me:{password}@cam/low"', ["configuration.password_unused"]),
        ('source = "rtsp://cam/low"\npassword_file = "p"', ["configuration.password_unused"]),
        ('source = "rtsp://me:{password}@cam/low"\npassword_file = "p"', []),
        ('source = "rtsp://me@cam/low"', []),
    ],
)
def test_where_passwords_stand_is_judged(made: MadeMachine, camera: str, found: list[str]) -> None:
    examined = configuration.examine(made.subject(f"[camera.front]\n{camera}\n"))
    assert kinds(examined) == found
    assert "hunter2" not in repr(examined)


def test_two_cameras_with_one_source_are_told_without_its_password(made: MadeMachine) -> None:
    source = 'source = "rtsp://me:hunter2@cam/low"'
    found = configuration.examine(made.subject(f"[camera.a]\n{source}\n[camera.b]\n{source}\n"))
    assert kinds(found).count("configuration.same_source") == 1
    assert "a and b read the same source, rtsp://cam/low" in repr(found)
    assert "hunter2" not in repr(found)


def test_pictures_of_a_camera_that_is_no_more_are_told(made: MadeMachine, tmp_path: Path) -> None:
    for name in ("front", "bakc"):
        (tmp_path / "data" / "snapshots" / name).mkdir(parents=True)
    text = f'data.folder = "{tmp_path / "data"}"\n{ONE_CAMERA}'
    [finding] = configuration.examine(made.subject(text)).findings
    assert finding.kind == "configuration.leftover"
    assert finding.line.endswith("snapshots/bakc")
    (tmp_path / "data" / "films" / "gate").mkdir(parents=True)
    _, finding = configuration.examine(made.subject(text)).findings
    assert finding.what == "films of a camera 'gate' are kept, and there is none"
    assert finding.line.endswith("films/gate")


def test_a_file_that_was_changed_under_a_running_service_is_told(made: MadeMachine) -> None:
    made.write("proc/stat", "cpu  1 2 3\nbtime 1790000000\n")
    ticks = 100 * os.sysconf("SC_CLK_TCK")
    made.write("proc/77/stat", f"77 (camera (app)) S {'0 ' * 18}{ticks} 0 0\n")
    subject = made.subject(ONE_CAMERA, service=Service(77, unit="camera-app@porch"))
    assert subject.config_path is not None
    began_s = 1_790_000_100.0
    os.utime(subject.config_path, (began_s + 5, began_s + 5))
    [finding] = configuration.examine(subject).findings
    assert finding.kind == "configuration.changed_since_start"
    assert finding.line.endswith("reload-or-restart camera-app@porch")
    os.utime(subject.config_path, (began_s - 5, began_s - 5))
    assert kinds(configuration.examine(subject)) == []


def standing(outcome: Outcome, running: Running = "file", *problems: Problem) -> Standing:
    return Standing("camera.toml", outcome, running, "2026-09-21T20:01:50.000Z", problems)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (standing("started"), []),
        (standing("applied"), []),
        (standing("refused", "last_good"), ["configuration.last_good_runs"]),
        (standing("refused", "file"), ["configuration.last_good_runs"]),
        (standing("rolled_back", "file", Problem("x", "y")), ["configuration.rolled_back"]),
        (standing("started", "file", Problem("x", "y")), ["configuration.not_working"]),
    ],
)
def test_what_the_service_made_of_its_file_is_told(
    made: MadeMachine, said: Standing, found: list[str]
) -> None:
    subject = replace(made.subject(ONE_CAMERA, service=Service(77)), standing=said)
    assert kinds(configuration.examine(subject)) == found
    # What a service wrote down that runs no more is nobody's trouble.
    assert kinds(configuration.examine(replace(subject, service=Service()))) == []


def test_a_file_that_was_read_again_is_not_taken_for_changed(made: MadeMachine) -> None:
    """The service began at 1790000000 and read the file again at 1790020910."""
    made.write("proc/stat", "btime 1790000000\n")
    made.write("proc/77/stat", f"77 (camera) S {'0 ' * 18}0 0 0\n")
    subject = made.subject(ONE_CAMERA, service=Service(77))
    assert subject.config_path is not None
    os.utime(subject.config_path, (1_790_000_100, 1_790_000_100))
    assert kinds(configuration.examine(subject)) == ["configuration.changed_since_start"]
    read_again = replace(subject, standing=standing("applied"))
    assert kinds(configuration.examine(read_again)) == []


def test_in_place_of_a_file_that_is_refused_the_last_good_one_is_examined(
    made: MadeMachine, tmp_path: Path
) -> None:
    """Kept as a service keeps it; the file itself is no TOML any more."""
    data, config = tmp_path / "data", tmp_path / "camera.toml"
    good = f'data.folder = "{data}"\n{ONE_CAMERA}'
    known = KnownGood(data, config)
    known.keep(good, "2026-09-21T20:01:50.000Z")
    known.note(replace(standing("refused", "last_good"), file=str(config)))
    config.write_text(f'[data]\nfolder = "{data}"\n[camera\n')
    subject = subject_of(config, made.machine)
    assert subject.config is not None
    assert list(subject.config.camera) == ["front"]
    found = configuration.examine(replace(subject, service=Service(77)))
    assert kinds(found) == ["configuration.last_good_runs", "configuration.wrong"]
    assert found.facts == (str(config), "what is examined is the last good one")


def test_the_begin_of_a_real_process_is_known() -> None:
    began_s = began_at_s(Machine(Path("/")), os.getpid())
    assert began_s is not None
    assert 0 <= time.time() - began_s < 86_400


@pytest.mark.parametrize("name", ["absent.toml", "folder"])
def test_a_file_that_cannot_be_read_is_told_as_such(
    made: MadeMachine, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    found = configuration.examine(subject_of(tmp_path / name, made.machine))
    assert kinds(found) == ["configuration.unreadable"]


# --- permissions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "who", "expected"),
    [
        (0o600, 4711, 0, OWNER, True),
        (0o600, 1, 0, OWNER, False),
        (0o640, 1, 44, OWNER, True),
        (0o640, 1, 45, OWNER, False),
        (0o604, 1, 45, OWNER, True),
        (0o060, 4711, 44, OWNER, False),  # the owner's own rights win
        (0o000, 1, 1, Who(0, frozenset()), True),
    ],
)
def test_rights_follow_owner_then_group_then_others(
    mode: int, uid: int, gid: int, who: Who, expected: bool
) -> None:
    assert may(Entry(Path("f"), mode, uid, gid), who, 4) is expected


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (Entry(Path("f"), None), ["permissions.secret_absent"]),
        (Entry(Path("f"), 0o600, 4711, 4711, size=0), ["permissions.secret_absent"]),
        (Entry(Path("f"), 0o600, 4711, 4711, size=9), []),
        (Entry(Path("f"), 0o640, 0, 44, size=9), []),
        (Entry(Path("f"), 0o600, 0, 0, size=9), ["permissions.secret_unreadable"]),
        (Entry(Path("f"), 0o644, 4711, 4711, size=9), ["permissions.secret_open"]),
        (Entry(Path("f"), 0o660, 4711, 4711, size=9), ["permissions.secret_open"]),
    ],
)
def test_a_secret_is_for_the_services_user_alone(entry: Entry, found: list[str]) -> None:
    assert kinds(judge_secret(entry, OWNER)) == found


def test_what_systemd_hands_out_is_not_judged(made: MadeMachine) -> None:
    path = "/run/credentials/camera-app.service/mqtt-password"
    subject = made.subject(f'mqtt.password_file = "{path}"\n{ONE_CAMERA}')
    assert "permissions.secret_absent" not in kinds(permissions.examine(subject))


def test_a_secret_that_whoever_asks_may_not_see_is_not_taken_for_absent(
    made: MadeMachine, tmp_path: Path
) -> None:
    """The installer makes such a folder: for the service's group alone."""
    folder = tmp_path / "camera-app"
    folder.mkdir()
    secret = folder / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    subject = made.subject(f'mqtt.password_file = "{secret}"\n{ONE_CAMERA}')
    folder.chmod(0)
    with without_rights():
        found = permissions.examine(subject)
    folder.chmod(0o700)
    assert not [kind for kind in kinds(found) if "secret" in kind]
    assert f"{secret}: not to be seen by " in found.facts[1]


def test_root_borrows_what_systemd_handed_to_the_service(made: MadeMachine) -> None:
    config = made.write("camera.toml", ONE_CAMERA)
    assert borrowed_credentials(config, made.machine) is None
    words = ["camera-app", "run", "--config", str(config)]
    made.write("proc/77/cmdline", "\0".join(words) + "\0")
    made.write("proc/77/cgroup", "0::/system.slice/camera-app.service\n")
    assert borrowed_credentials(config, made.machine) is None
    handed = made.write("run/credentials/camera-app.service/mqtt-password", "hunter2\n").parent
    assert borrowed_credentials(config, made.machine) == handed


def test_real_files_are_judged_for_the_user_as_whom_the_service_runs(
    made: MadeMachine, tmp_path: Path
) -> None:
    secret, data = tmp_path / "password", tmp_path / "data"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    data.mkdir(mode=0o700)
    text = f'mqtt.password_file = "{secret}"\ndata.folder = "{data}"\n{ONE_CAMERA}'
    subject = made.subject(text, service=Service(77, NOBODY))
    assert subject.config_path is not None
    subject.config_path.chmod(0o602)
    found = permissions.examine(subject)
    assert kinds(found) == [
        "permissions.config_open",
        "permissions.config_unreadable",
        "permissions.secret_unreadable",
        "permissions.data_unwritable",
    ]
    assert f"sudo chown nobody {secret}" in found.findings[2].line
    assert "hunter2" not in repr(found)


def test_devices_of_cameras_and_sticks_are_judged_by_their_group(made: MadeMachine) -> None:
    video = made.write("dev/video0", "")
    stick = made.write("dev/bus/usb/002/003", "")
    for device in (video, stick):
        device.chmod(0o600)
    port = "sys/bus/usb/devices/2-1"
    facts = {"idVendor": "18d1", "idProduct": "9302", "busnum": "2", "devnum": "3"}
    for name, value in facts.items():
        made.write(f"{port}/{name}", value)
    text = '[camera.a]\nsource = "v4l2:/dev/video0"\n'
    found = permissions.examine(made.subject(text, service=Service(77, NOBODY)))
    forbidden = [f for f in found.findings if f.kind == "permissions.device_forbidden"]
    assert [finding.where for finding in forbidden] == [str(video), str(stick)]
    assert forbidden[0].line.startswith("sudo usermod -aG ")


def test_a_service_that_runs_as_root_is_told(made: MadeMachine) -> None:
    root = Service(77, Who(0, frozenset({0})))
    assert kinds(permissions.examine(made.subject(service=root))) == ["permissions.as_root"]


# --- service -------------------------------------------------------------------------------------

READY = ReadinessReport(Readiness(), 0.5)
BLIND = ReadinessReport(
    Readiness((Shortfall(Ability.SEE, "camera front", "brings no pictures: refused"),)), 0.5
)
HANGING = ReadinessReport(Readiness(), 99.0)
WELL = ServiceFacts(Service(77, OWNER, None, READY), {}, OWNER, "camera.toml")


@pytest.mark.parametrize(
    ("running", "unit", "found"),
    [
        (Service(77, OWNER, None, READY), {}, []),
        (Service(77, OWNER, None, BLIND), {}, ["service.not_ready"]),
        (Service(77, OWNER, None, HANGING), {}, ["service.hangs"]),
        (Service(77, OWNER), {}, ["service.silent"]),
        (Service(77, NOBODY, None, READY), {}, ["service.other_user"]),
        (Service(), {}, ["service.not_running"]),
        (Service(), {"ActiveState": "inactive"}, ["service.stopped"]),
        (Service(), {"ActiveState": "failed", "Result": "exit-code"}, ["service.failed"]),
        (
            Service(77, OWNER, None, READY),
            {"ActiveState": "active", "UnitFileState": "disabled", "MainPID": "77"},
            ["service.not_enabled"],
        ),
        (
            Service(77, OWNER, None, READY),
            {"ActiveState": "active", "UnitFileState": "enabled", "NRestarts": "3"},
            ["service.restarts"],
        ),
    ],
)
def test_what_service_and_systemd_say_is_judged(
    running: Service, unit: dict[str, str], found: list[str]
) -> None:
    assert kinds(service.judge(replace(WELL, service=running, unit=unit))) == found


def test_the_services_own_words_are_told() -> None:
    [finding] = service.judge(replace(WELL, service=Service(77, OWNER, None, BLIND)))
    assert finding.where == "camera front"
    assert finding.what == "cannot see: brings no pictures: refused"


def test_metrics_that_another_program_or_nobody_tells_are_missed(made: MadeMachine) -> None:
    def missed(address: str) -> list[str]:
        text = f'[metrics]\nlisten = "{address}"\n{ONE_CAMERA}'
        findings = service.examine(made.subject(text, service=WELL.service)).findings
        return [one.what for one in findings if one.kind == "service.no_metrics"]

    settings = MetricsSettings(listen=f"127.0.0.1:{free_port()}")
    ours = MetricsServer(settings, lambda: FIGURES, SystemClock())
    ours.start()
    other = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=other.handle_request, daemon=True)
    thread.start()
    try:
        assert wait_until(lambda: ours.address is not None)
        assert missed(settings.listen) == []
        place = f"127.0.0.1:{other.server_port}"
        assert missed(place) == [f"another program answers at {place}"]
    finally:
        ours.stop()
        other.server_close()
        thread.join(LIMIT_S)
    assert missed(place) == [f"nobody answers at {place}"]


def test_systemd_is_asked_where_there_is_one(made: MadeMachine) -> None:
    made.command("systemctl", "echo LoadState=loaded; echo ActiveState=failed; echo Result=timeout")
    assert kinds(service.examine(made.subject())) == ["service.not_running"]
    made.write("run/systemd/system/.keep", "")
    [finding] = service.examine(made.subject()).findings
    assert (finding.kind, finding.what) == ("service.failed", "systemd has given it up: timeout")


def test_a_service_is_found_by_the_lock_on_its_data(made: MadeMachine, tmp_path: Path) -> None:
    """A real lock of a real store, found without touching it."""
    from camera_app.config import RetentionSettings
    from camera_app.store import EventStore

    assert find_service(Machine(Path("/")), tmp_path, Path("none.toml")).pid is None
    store = EventStore(tmp_path / "events.db", SystemClock(), RetentionSettings())
    store.start()
    try:
        found = find_service(Machine(Path("/")), tmp_path, Path("none.toml"))
    finally:
        store.stop()
    assert found.pid == os.getpid()
    assert found.who is not None
    assert found.who.uid == os.geteuid()


def test_a_service_is_found_by_how_it_was_called(made: MadeMachine, tmp_path: Path) -> None:
    config = tmp_path / "camera.toml"
    config.write_text("")
    words = ["/venv/bin/python", "/venv/bin/camera-app", "run", "--config", str(config)]
    made.write("proc/1/cmdline", "/sbin/init\0")
    made.write("proc/812/cmdline", "\0".join(words) + "\0")
    made.write("proc/812/status", "Name:\tcamera\nUid:\t1 4711 1 1\nGid:\t1 50 1 1\nGroups:\t44\n")
    assert running_config(made.machine) == config
    found = find_service(made.machine, None, config)
    assert (found.pid, found.who) == (812, Who(4711, frozenset({50, 44})))
    assert find_service(made.machine, None, tmp_path / "other.toml") == Service()


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/camera-app.service", "camera-app"),
        (
            "0::/system.slice/system-camera\\x2dapp.slice/camera-app@porch.service",
            "camera-app@porch",
        ),
        ("0::/user.slice/user-1000.slice/session-3.scope", "camera-app"),
    ],
)
def test_the_unit_of_a_service_is_read_from_its_group(
    made: MadeMachine, cgroup: str, unit: str
) -> None:
    made.write("proc/77/cgroup", f"{cgroup}\n")
    assert unit_of(made.machine, 77) == unit


def test_who_a_process_is_is_not_made_up(made: MadeMachine) -> None:
    assert who_runs(made.machine, 4) is None


# --- python --------------------------------------------------------------------------------------

GOOD = PythonFacts(
    (3, 11),
    "aarch64",
    64,
    {
        **{name: {"version": "1"} for name in LIBRARIES},
        "simplejpeg": {"absent": "yes"},
        "runtime": {"name": "ai-edge-litert", "version": "2.3.0"},
    },
)


def with_library(library: str, **told: str) -> PythonFacts:
    return replace(GOOD, libraries={**GOOD.libraries, library: told})


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (GOOD, []),
        (replace(GOOD, version=(3, 13)), []),
        (replace(GOOD, version=(3, 14)), ["python.untested"]),
        (replace(GOOD, processor="armv7l", bits=32), ["python.processor"]),
        (replace(GOOD, processor="aarch64", bits=32), ["python.processor"]),
        (replace(GOOD, libraries={}, crash="its process ended (SIGILL)"), ["python.crashed"]),
        (with_library("av", absent="yes"), ["python.missing"]),
        (with_library("cv2", error="ImportError: libGL.so.1"), ["python.broken"]),
        (with_library("runtime", error="no runtime for networks"), ["python.no_runtime"]),
        (with_library("runtime", name="tflite-runtime", version="2.14"), ["python.old_runtime"]),
        (with_library("simplejpeg", error="ValueError: dtype size"), ["python.old_simplejpeg"]),
    ],
)
def test_interpreter_and_libraries_are_judged(facts: PythonFacts, found: list[str]) -> None:
    assert (
        kinds(
            python.judge(facts, Machine(python="/venv/bin/python", pip="/venv/bin/python -m pip"))
        )
        == found
    )


def test_the_line_names_package_and_interpreter() -> None:
    [finding] = python.judge(
        with_library("cv2", error="ImportError: no"), Machine(pip="'/my venv/bin/python' -m pip")
    )
    assert finding.line == (
        "'/my venv/bin/python' -m pip install --force-reinstall --no-deps opencv-python-headless"
    )


def test_libraries_are_really_loaded_in_a_child(
    made: MadeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simplejpeg as bookworm has it, and libraries that are there."""
    folder = tmp_path / "system-packages"
    folder.mkdir()
    (folder / "simplejpeg.py").write_text("raise ValueError('numpy.dtype size changed')\n")
    monkeypatch.syspath_prepend(str(folder))
    found = python.examine(made.subject())
    assert "python.old_simplejpeg" in kinds(found)
    assert not {"python.missing", "python.broken", "python.no_runtime"} & set(kinds(found))
    assert "Python 3." in found.facts[0]


def test_a_library_that_crashes_its_process_is_a_finding(
    made: MadeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "simplejpeg.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    [finding] = [f for f in python.examine(made.subject()).findings if f.kind == "python.crashed"]
    assert "SIGILL" in finding.what
