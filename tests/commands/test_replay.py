"""`camera-app replay` as an owner would call it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from camera_app.cli import build_parser, main
from camera_app.commands.replay import Progress, request_of


def clip(shared: Path) -> str:
    return str(shared / "clips" / "signers" / "help.mkv")


@pytest.mark.shared
def test_replay_prints_events_and_where_files_lie(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["replay", clip(shared), "--out", str(tmp_path), "--annotate", "--tracks"]
    assert main(words) == 0
    told, progress = capsys.readouterr()
    assert "started  person" in told
    for name in ("events.jsonl", "events.db", "annotated.mp4", "tracks.txt", "summary.json"):
        assert str(tmp_path / name) in told
        assert (tmp_path / name).exists()
    assert not progress  # a log has no use for a bar that is drawn again and again


def test_the_bar_is_drawn_where_somebody_sits_before_it_and_only_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(*, is_terminal: bool, is_quiet: bool = False) -> str:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
        with Progress(is_quiet=is_quiet) as progress:
            progress.clip_opened(Path("long.mkv"), 58)
            progress.frame_done()
        return capsys.readouterr().err

    assert "1/58" in drawn(is_terminal=True)
    assert not drawn(is_terminal=True, is_quiet=True)
    assert not drawn(is_terminal=False)


@pytest.mark.shared
def test_json_on_standard_output_is_the_summary_and_nothing_else(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", clip(shared), "--out", str(tmp_path), "--json", "--quiet"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    assert summary["frames"] == summary["looked_at"] + sum(summary["shed"].values()) == 58
    assert {"seconds", "fps", "events", "events_sha256", "model_sha256", "config_sha256"} <= set(
        summary
    )


@pytest.mark.shared
def test_several_clips_are_cameras_of_their_own(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [str(shared / "clips" / "signers" / name) for name in ("help.mkv", "eat.mkv")]
    assert main(["replay", *clips, "--out", str(tmp_path), "--tracks", "--quiet"]) == 0
    log = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert {change["camera"] for change in log} == {"help", "eat"}
    assert {path.name for path in tmp_path.glob("tracks*")} == {"tracks-help.txt", "tracks-eat.txt"}


@pytest.mark.shared
def test_a_configuration_decides_what_becomes_an_event(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "camera.toml"
    config.write_text('[camera.a]\nsource = "x"\n[camera.a.events]\nlabels = ["dog"]\n')
    assert main(["replay", clip(shared), "--config", str(config), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["absent.mp4"], "absent.mp4"),
        (["x.mp4", "--annotate"], "--out"),
        (["x.mp4", "--model", "yolox_nano_persom_256"], "yolox_nano_person_256"),
        (["x.mp4", "--config", "absent.toml"], "absent.toml"),
    ],
)
def test_a_call_that_cannot_be_done_says_why_and_fails(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", *words, "--quiet"]) == 1
    assert told in capsys.readouterr().err


def test_two_cameras_in_the_configuration_need_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "camera.toml"
    config.write_text('[camera.a]\nsource = "x"\n[camera.b]\nsource = "y"\n')
    assert main(["replay", "x.mp4", "--config", str(config)]) == 1
    assert "a, b" in capsys.readouterr().err
    assert main(["replay", "x.mp4", "--config", str(config), "--camera", "c"]) == 1
    assert "'c'" in capsys.readouterr().err


def test_replay_uses_packs_of_the_keys_that_its_configuration_trusts(
    strangers_pack: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, key = strangers_pack
    config = tmp_path / "camera.toml"
    camera = f'[camera.a]\nsource = "x"\nmodel = "{folder}"\n'
    words = ["replay", str(tmp_path / "no.mkv"), "--config", str(config)]
    config.write_text(camera)
    assert main(words) == 1
    assert "a key that is not trusted here" in capsys.readouterr().err
    config.write_text(f'[models]\ntrusted_keys = ["{key}"]\n{camera}')
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "not trusted" not in told
    assert "no.mkv" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "person_large", "--model", "rfb_face_320x24"], "rfb_face_320x240"),
        (["--model", "person_large", "--model", "yolox_nano_coco_320"], "the class 'person'"),
    ],
)
def test_every_named_model_is_looked_up_before_a_clip_is_played(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "x.mp4", "--quiet", *words]) == 1
    assert told in capsys.readouterr().err


def test_a_configuration_may_name_several_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "camera.toml"
    config.write_text('[inference]\nmodel = ["person_large", "face"]\n[camera.a]\nsource = "x"\n')
    arguments = build_parser().parse_args(["replay", "x.mp4", "--config", str(config)])
    assert request_of(arguments).models.names == ("person_large", "face")
    config.write_text(config.read_text() + 'model = "face"\n')
    assert request_of(arguments).models.names == ("face",)
