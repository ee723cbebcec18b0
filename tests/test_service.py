"""A service and its configuration file: what runs when that is right, wrong, or wrong by now."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from camera_app.errors import CameraAppError, ConfigError, PackRejected
from camera_app.inference import network
from camera_app.publish import StateBoard
from camera_app.service import Service
from camera_app.store.known_good import GOOD_NAME, read_standing

CAMERA = '[camera.{}]\nsource = "synthetic:"\nfps = 5\n'


class Rig:
    """A folder with a configuration file, and the service of it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "camera.toml"
        self.data = folder / "data"
        self.wishes: list[str] = []
        self.service: Service | None = None

    def write(self, cameras: str, more: str = "") -> None:
        self.file.write_text(
            f'mqtt.enabled = false\n[data]\nfolder = "{self.data}"\n'
            f'[inference]\nmodel = "person_small"\ncpu_seats = 1\nedgetpu = "off"\n{more}{cameras}'
        )

    def start(self) -> Service:
        self.stop()
        self.service = Service(
            self.file,
            self.data,
            lambda: self.wishes.append("restart"),
            lambda: self.wishes.append("reload"),
        )
        self.service.choose()
        self.service.start()
        return self.service

    def stop(self) -> None:
        if self.service is not None:
            self.service.stop()

    @property
    def cameras(self) -> set[str]:
        assert self.service is not None
        return set(self.service.running.figures().cameras)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Return what is put on the `configuration` topic."""
    messages: list[dict[str, object]] = []
    put = StateBoard.put

    def note(board: StateBoard, topic: str, payload: bytes, *rest: bool) -> None:
        if topic == "camera_app/camera/configuration":
            messages.append(json.loads(payload))
        put(board, topic, payload, *rest)

    monkeypatch.setattr(StateBoard, "put", note)
    return messages


FRONT, SIDE = CAMERA.format("front"), CAMERA.format("side")


def test_a_file_that_starts_well_is_kept_and_stands_well(
    rig: Rig, told: list[dict[str, object]]
) -> None:
    rig.write(FRONT)
    rig.start()
    assert (rig.data / GOOD_NAME).exists()
    standing = read_standing(rig.data)
    assert standing is not None
    assert (standing.outcome, standing.running, standing.problems) == ("started", "file", ())
    assert told[-1]["problem"] is False


# Each is wrong in a way of its own, some in two; every problem must be named.
WRONG = [
    ("[camera.front]\nsorce = 1\nfps = -1\n", {"camera.front.sorce", "camera.front.fps"}),
    ("[camera.front\n", {"file"}),
    (FRONT + 'model = "no_such_model"\n', {"camera.front.model"}),
    (FRONT + SIDE + 'model = ["person_small", "person_large"]\n', {"camera.side.model"}),
    (FRONT + "enabled = false\n", {"camera"}),
]


@pytest.mark.parametrize(("wrong", "keys"), WRONG)
def test_a_wrong_file_is_refused_at_a_reload_and_what_ran_runs_on(
    rig: Rig, told: list[dict[str, object]], wrong: str, keys: set[str]
) -> None:
    rig.write(FRONT)
    service = rig.start()
    rig.write(wrong)
    standing = service.reload()
    assert (standing.outcome, standing.running) == ("refused", "file")
    assert keys <= {problem.where for problem in standing.problems}
    assert rig.cameras == {"front"}
    assert told[-1]["problem"] is True
    rig.write(FRONT + SIDE)
    standing = service.reload()
    assert (standing.outcome, standing.changed) == ("applied", ("camera.side",))
    assert rig.cameras == {"front", "side"}
    assert told[-1]["problem"] is False


@pytest.mark.parametrize(("wrong", "keys"), WRONG)
def test_a_wrong_file_is_refused_at_the_start_and_the_last_good_one_runs(
    rig: Rig, told: list[dict[str, object]], wrong: str, keys: set[str]
) -> None:
    rig.write(FRONT + SIDE)
    rig.start()
    rig.write(wrong)
    service = rig.start()
    assert rig.cameras == {"front", "side"}
    standing = read_standing(rig.data)
    assert standing is not None
    assert (standing.outcome, standing.running) == ("refused", "last_good")
    assert keys <= {problem.where for problem in standing.problems}
    assert told[-1]["running"] == "last_good"
    rig.write(FRONT)
    assert service.reload().running == "file"
    assert rig.cameras == {"front"}
    assert told[-1]["problem"] is False


def test_a_wrong_file_alone_starts_nothing_and_every_problem_is_named(rig: Rig) -> None:
    rig.write(WRONG[0][0])
    with pytest.raises(ConfigError) as raised:
        rig.start()
    assert {problem.where for problem in raised.value.problems} >= WRONG[0][1]


def test_a_file_that_is_gone_does_not_end_a_service(rig: Rig) -> None:
    rig.write(FRONT)
    service = rig.start()
    rig.file.unlink()
    standing = service.reload()
    assert standing.problems[0].problem.startswith("cannot be read")
    rig.start()
    assert rig.cameras == {"front"}


def test_what_shows_only_when_it_starts_leads_to_the_last_good_one_as_well(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack whose network does not give its known answers passes every check before that."""
    rig.write(FRONT)
    service = rig.start()
    refuse_answers_of("face", monkeypatch)
    rig.write(FRONT + SIDE + 'model = "face"\n')
    standing = service.reload()
    assert standing.outcome == "rolled_back"
    assert "known answers" in standing.problems[0].problem
    assert rig.cameras == {"front"}

    rig.start()
    assert rig.cameras == {"front"}
    noted = read_standing(rig.data)
    assert noted is not None
    assert "known answers" in noted.problems[0].problem


def refuse_answers_of(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = network.require_known_answers

    def require(loaded: network.Answering, decode: object = None) -> None:
        if loaded.pack.name == name:
            raise PackRejected("the network does not give its known answers", where=name)
        right(loaded, decode)  # type: ignore[arg-type]

    monkeypatch.setattr(network, "require_known_answers", require)


def test_what_needs_a_restart_is_named_and_nothing_is_applied(rig: Rig) -> None:
    rig.write(FRONT)
    service = rig.start()
    rig.write(FRONT + SIDE, '[log]\nformat = "json"\n')
    standing = service.reload()
    assert standing.outcome == "refused"
    assert [problem.where for problem in standing.problems] == ["log.format"]
    assert "restart" in standing.problems[0].suggestion
    assert rig.cameras == {"front"}


def test_a_fault_of_the_program_does_not_end_the_service(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.write(FRONT)
    service = rig.start()
    rig.write(FRONT + SIDE)

    def fail(step: str) -> None:
        raise ValueError(step)

    with caplog.at_level(logging.ERROR):
        standing = service.reload(fail)
    assert standing.outcome == "rolled_back"
    assert rig.cameras == {"front"}
    assert service.reload().outcome == "applied"


def test_a_file_without_changes_is_found_unchanged(rig: Rig) -> None:
    rig.write(FRONT)
    service = rig.start()
    rig.file.write_text("# a word to myself\n" + rig.file.read_text())
    assert service.reload().outcome == "unchanged"


def test_a_password_file_that_is_missing_is_told_and_the_camera_runs(
    rig: Rig, told: list[dict[str, object]]
) -> None:
    """What has always run must run with the next version, too: it is a problem, no end."""
    rig.write(FRONT + f'password_file = "{rig.data / "absent"}"\n')
    service = rig.start()
    assert rig.cameras == {"front"}
    assert told[-1]["problem"] is True
    assert told[-1]["running"] == "file"
    rig.write(FRONT + f'priority = 2\npassword_file = "{rig.data / "absent"}"\n')
    assert service.reload().outcome == "refused"


def test_a_file_in_which_something_does_not_work_gives_way_to_one_in_which_all_does(
    rig: Rig,
) -> None:
    rig.write(FRONT)
    rig.start()
    rig.write(FRONT + SIDE + f'password_file = "{rig.data / "absent"}"\n')
    rig.start()
    assert rig.cameras == {"front"}
    standing = read_standing(rig.data)
    assert standing is not None
    assert [problem.where for problem in standing.problems] == ["camera.side.password_file"]


def test_when_nothing_can_be_started_the_error_of_the_file_is_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_answers_of("person_small", monkeypatch)
    rig.write(FRONT)
    with pytest.raises(CameraAppError, match="known answers"):
        rig.start()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("[camera.front]\nsorce = 1\n", "camera.front.sorce"),
        (SIDE + 'model = "face"\n', "start: face: the network does not give"),
        (SIDE + 'password_file = "/no/such"\n', "camera.side.password_file"),
    ],
    ids=["wrong", "fails at the start", "partly wrong, and fails"],
)
def test_when_neither_can_be_started_all_that_is_wrong_with_both_is_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, wrong: str, told: str
) -> None:
    """The last good one stands in for the file: why it could not is but half of what to mend."""
    rig.write(FRONT)
    rig.start()
    refuse_answers_of("person_small", monkeypatch)
    refuse_answers_of("face", monkeypatch)
    rig.write(wrong)
    with pytest.raises(CameraAppError) as raised:
        rig.start()
    assert told in str(raised.value)
    assert "start with the last good configuration: person_small:" in str(raised.value)
    assert isinstance(raised.value, ConfigError)
    assert raised.value.may_pass, "what keeps a right one from starting may pass"
