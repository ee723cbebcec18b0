"""What a configuration costs, from costs that are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from camera_app.bench.costs import (
    CameraLoad,
    Costs,
    ModelCosts,
    Room,
    SourceCosts,
    StickCosts,
    StreamCosts,
    TellingCosts,
    activity_of_share,
    estimate,
    of_size,
    refusals,
    warnings,
)
from camera_app.config import CameraSettings, Config, parse_config
from camera_app.health import Activity

SMALL = SourceCosts(640, 360, "h264", 1.0, 0.5, 30e6, 2.0, 50e3, look_ms=1.0)
LARGE = SourceCosts(1920, 1080, "h264", 5.0, 1.5, 70e6, 10.0, 250e3, look_ms=3.0)
COSTS = Costs(
    machine={},
    at="2025-01-01T00:00:00.000Z",
    cores=4,
    base_cores=0.01,
    base_bytes=80e6,
    rare_look_ms=0.0,
    look_bytes=7e6,
    sizes=(SMALL, LARGE),
    models={"person": ModelCosts("d", 5.0, 20e6), "face": ModelCosts("e", 2.0, 5e6)},
    change_ms=1.0,
    change_kept_bytes=3e3,
    change_written_bytes=40e3,
)
ROOM = Room(memory_bytes=1e9, disk_bytes=10e9)


def config(more: str = "", camera: str = "") -> Config:
    return parse_config(
        f'mqtt.enabled = false\n{more}\n[camera.front]\nsource = "rtsp://cam/1"\n{camera}'
    )


def load(settings: CameraSettings, activity: Activity, *models: str) -> CameraLoad:
    return CameraLoad("front", settings, models or ("person",), SMALL, 20.0, activity, "")


def test_the_sum_is_what_its_parts_come_to() -> None:
    """By hand: 20 pictures decoded, 10 taken, 5 looked at with 2 regions, as milliseconds."""
    one = config()
    busy = Activity(looked_share=0.5, regions=2.0, changes_per_s=0.1, stills_per_s=0.01)
    found = estimate(COSTS, one, [load(one.camera["front"], busy, "person", "face")], seats=2)
    frames_ms = 20 * 1.0 + 10 * 0.5 + 5 * 1.0
    networks_ms = 5 * 2 * (5.0 + 2.0)
    written_ms = 0.1 * 1.0 + 0.01 * 2.0
    assert found.cores == pytest.approx(0.01 + (frames_ms + networks_ms + written_ms) / 1000)
    assert found.memory_bytes == 80e6 + 2 * (20e6 + 5e6) + 30e6 + 7e6
    assert found.kept_bytes_per_day == pytest.approx(86_400 * (0.1 * 3e3 + 0.01 * 50e3))
    assert found.written_bytes_per_day == pytest.approx(86_400 * (0.1 * 40e3 + 0.01 * 50e3))
    peak_ms = 20 * 1.0 + 10 * 0.5 + 10 * 1.0 + 10 * 2 * 7.0 + written_ms
    assert found.peak_cores == pytest.approx(0.01 + peak_ms / 1000)


def test_a_closed_camera_costs_nothing_and_a_paused_one_no_looks() -> None:
    busy = Activity(1.0, 1.0, 0.0, 0.0)
    for camera, cores in (("privacy = true", 0.01), ("detection = false", 0.01 + 0.025)):
        one = config(camera=camera)
        found = estimate(COSTS, one, [load(one.camera["front"], busy)], seats=1)
        assert found.cores == pytest.approx(cores)


def test_a_connected_service_tells_and_settles_what_it_writes() -> None:
    """What a broker has taken is written a second time: it leaves the outbox."""
    # Of two changes a second half a second apart, one is settled along with the next: e to the -1.
    telling = TellingCosts(0.002, 4e6, change_ms=2.0, change_written_bytes=8e3)
    busy = Activity(0.0, 1.0, changes_per_s=2.0, stills_per_s=0.0)
    costs = replace(COSTS, telling=telling)
    silent = config()
    told = silent.model_copy(update={"mqtt": silent.mqtt.model_copy(update={"enabled": True})})
    cameras = [load(silent.camera["front"], busy)]
    without, found = (estimate(costs, one, cameras, seats=1) for one in (silent, told))
    assert found.cores - without.cores == pytest.approx(0.002 + 2.0 * 2.0 / 1000)
    assert found.memory_bytes - without.memory_bytes == 4e6
    more = found.written_bytes_per_day - without.written_bytes_per_day
    assert more == pytest.approx(86_400 * 2.0 * 8e3 * 0.3679, rel=1e-3)


def test_what_is_written_comes_in_pages_and_is_more_than_what_is_kept() -> None:
    busy = Activity(0.0, 1.0, changes_per_s=0.0, stills_per_s=0.01)
    costs = replace(COSTS, still_more_bytes=6e3, note_written_bytes=9e3)
    one = config()
    found = estimate(costs, one, [load(one.camera["front"], busy)], seats=1)
    assert found.kept_bytes_per_day == pytest.approx(86_400 * 0.01 * 50e3)
    notes = 48 * 9e3  # how busy it is, every half hour
    assert found.written_bytes_per_day == pytest.approx(86_400 * 0.01 * 56e3 + notes)


def test_a_second_stream_is_read_for_each_of_its_pictures() -> None:
    stream = StreamCosts(picture_ms=0.25, memory_bytes=20e6)
    quiet = Activity(0.0, 1.0, 0.0, 0.0)
    found = []
    for recording in ("", "enabled = true\n", 'enabled = true\nsource = "rtsp://cam/0"\n'):
        one = config(camera=f"[camera.front.recording]\n{recording}")
        cameras = [load(one.camera["front"], quiet)]
        found.append(estimate(replace(COSTS, stream=stream), one, cameras, seats=1))
    without, own, second = found
    assert own.cores == without.cores
    assert second.cores - without.cores == pytest.approx(20 * 0.25 / 1000)
    assert second.memory_bytes - without.memory_bytes == 20e6


def test_a_look_a_second_takes_more_than_one_of_ten() -> None:
    one = config()
    found = [
        estimate(costs, one, [load(one.camera["front"], activity)], seats=1).cores
        for activity in (Activity(0.02, 1.0, 0.0, 0.0), Activity(1.0, 1.0, 0.0, 0.0))
        for costs in (COSTS, replace(COSTS, rare_look_ms=4.0))
    ]
    assert found[1] - found[0] == pytest.approx(0.2 * 4.0 / 1000)
    assert found[3] - found[2] == pytest.approx(1.0 * 4.0 / 1000)


def test_each_model_and_region_after_the_first_is_a_request_of_its_own() -> None:
    """A plan that took them for nothing but their networks was too low for faces."""
    one, busy = config(), Activity(1.0, 1.5, 0.0, 0.0)
    camera = load(one.camera["front"], busy, "person", "face")
    without, found = (
        estimate(costs, one, [camera], seats=1).cores
        for costs in (COSTS, replace(COSTS, request_ms=0.5))
    )
    assert found - without == pytest.approx(10 * (1.5 * 2 - 1) * 0.5 / 1000)


def test_two_models_on_a_stick_take_what_they_share_once() -> None:
    stick = StickCosts(10.0, 0.5, memory_bytes=30e6, shared_bytes=20e6)
    costs = replace(COSTS, sticks={"usb:1-1": {"person": stick, "face": stick}})
    one, busy = config(), Activity(1.0, 1.0, 0.0, 0.0)
    alone, both = (
        estimate(costs, one, [load(one.camera["front"], busy, *models)], seats=1).memory_bytes
        for models in (["person"], ["person", "face"])
    )
    assert both - alone == pytest.approx(10e6 + 5e6)  # on the stick, and on the processor


def on_stick(*, service_ms: float, cpu_ms: float = 0.5) -> Costs:
    """Return costs of a machine with a stick, on which a person takes 50 ms of the processor."""
    sticks = {"usb:1-1": {"person": StickCosts(service_ms, cpu_ms)}}
    return replace(COSTS, sticks=sticks, models={"person": ModelCosts("d", 50.0, 20e6)})


def test_what_a_stick_takes_the_processor_does_not() -> None:
    one, busy = config(), Activity(1.0, 2.0, 0.0, 0.0)
    costs = on_stick(service_ms=10.0)
    found = estimate(costs, one, [load(one.camera["front"], busy)], seats=1)
    # 20 regions and 2 known answers, of 10 ms each.
    assert found.duty == {"usb:1-1": pytest.approx(0.22)}
    assert found.duty_between == {"usb:1-1": pytest.approx((0.22, 0.22))}
    assert found.cores == pytest.approx(0.01 + (20 + 5 + 10 + 22 * 0.5) / 1000)
    off = config('[inference]\nedgetpu = "off"')
    found = estimate(costs, off, [load(off.camera["front"], busy)], seats=1)
    assert found.duty == {}
    assert found.cores == pytest.approx(0.01 + (20 + 5 + 10 + 20 * 50.0) / 1000)


def test_what_a_full_stick_leaves_is_the_processors() -> None:
    one, busy = config(), Activity(1.0, 1.0, 0.0, 0.0)
    costs = on_stick(service_ms=55.0, cpu_ms=0.0)
    costs = replace(costs, models={"person": ModelCosts("d", 120.0, 20e6)})
    cameras = [replace(load(one.camera["front"], busy), name=name) for name in ("a", "b", "c")]
    found = estimate(costs, one, cameras, seats=1)
    assert found.duty["usb:1-1"] == pytest.approx(0.95)
    left_per_s = 30 - (0.95 - 2 * 0.055) / 0.055
    assert found.cores == pytest.approx(0.01 + (3 * (20 + 5 + 10) + left_per_s * 120.0) / 1000)


def test_a_processor_that_is_quicker_takes_a_busy_sticks_work_and_the_plan_says_so() -> None:
    """Foreseen as if the stick did it all, its duty came out up to 170% too high."""
    one, busy = config(), Activity(1.0, 1.0, 0.0, 0.0)
    costs = replace(on_stick(service_ms=12.0), models={"person": ModelCosts("d", 6.0, 20e6)})
    cameras = [replace(load(one.camera["front"], busy), name=name) for name in ("a", "b", "c")]
    found = estimate(costs, one, cameras, seats=1)
    alone = 30 * 0.012 + 2 * 0.012
    assert found.duty["usb:1-1"] < 0.85 * alone
    least, most = found.duty_between["usb:1-1"]
    assert (least, most) == pytest.approx((10 * 0.012 + 0.024, alone))
    (told,) = warnings(costs, found)
    assert "between 14% and 38%" in told


def test_models_that_take_turns_on_a_stick_bring_their_weights_each_time() -> None:
    """10 frames a second, each looked at by both: one change a frame, and one a second besides."""
    costs_of = {"person": StickCosts(10.0, 0.0, change_ms=20.0), "face": StickCosts(4.0, 0.0)}
    costs_of["face"] = replace(costs_of["face"], change_ms=20.0)
    models = {name: replace(one, cpu_ms=100.0) for name, one in COSTS.models.items()}
    costs = replace(COSTS, sticks={"usb:1-1": costs_of}, models=models)
    one, busy = config(), Activity(1.0, 1.0, 0.0, 0.0)
    both = load(one.camera["front"], busy, "person", "face")
    found = estimate(costs, one, [both], seats=1)
    answers_ms, known_ms, changes_ms = 10 * (10.0 + 4.0), 2 * 7.0, (10 + 2 / 2) * 20.0
    assert found.duty["usb:1-1"] == pytest.approx((answers_ms + known_ms + changes_ms) / 1000)
    alone = estimate(costs, one, [load(one.camera["front"], busy, "face")], seats=1)
    assert alone.duty["usb:1-1"] == pytest.approx((10 + 2) * 4.0 / 1000)


def test_sizes_between_those_measured_cost_in_proportion() -> None:
    middle = (SMALL.pixels + LARGE.pixels) // 2
    found = of_size([LARGE, SMALL], middle // 1000, 1000, "h264")
    assert found.decode_ms == pytest.approx(3.0, rel=0.01)
    assert found.frame_ms == pytest.approx(1.0, rel=0.01)
    assert found.look_ms == pytest.approx(2.0, rel=0.01)
    assert of_size([LARGE, SMALL], 640, 360, "h264").decode_ms == 1.0
    assert of_size([LARGE, SMALL], 3840, 2160, "h264").decode_ms > 5.0
    assert of_size([LARGE, SMALL], 64, 64, "h264").decode_ms >= 0.0


@pytest.mark.parametrize(
    ("share", "camera", "looked"),
    [
        (0.0, "", 0.02),  # every five seconds, of ten frames a second
        (1.0, "", 1.0),
        (0.5, "", 0.51),
        (0.0, "motion.enabled = false", 1.0),
        (0.0, "motion.recheck_s = 0.01", 1.0),
    ],
)
def test_a_stated_share_means_so_many_looks(share: float, camera: str, looked: float) -> None:
    settings = config(camera=camera).camera["front"]
    assert activity_of_share(share, settings).looked_share == pytest.approx(looked)


BUSY = Activity(1.0, 3.0, 0.1, 0.01)


@pytest.mark.parametrize(
    ("more", "camera", "room", "why"),
    [
        ("", "", ROOM, None),
        ("", "fps = 120", ROOM, "cores on average"),
        ("", "fps = 120\nmin_fps = 120", ROOM, "cores on average"),
        ("", "", replace(ROOM, memory_bytes=100e6), "MB of memory"),
        ("", "", replace(ROOM, disk_bytes=300e6), "the disk has"),
        ('[inference]\nedgetpu = ["usb:1-1"]', "", ROOM, "names usb:1-1"),
    ],
)
def test_what_cannot_be_met_is_refused_with_what_to_lower(
    more: str, camera: str, room: Room, why: str | None
) -> None:
    one = config(more, camera)
    frames = replace(load(one.camera["front"], BUSY), source_fps=one.camera["front"].fps)
    costs = replace(COSTS, cores=1)
    found = estimate(costs, one, [frames], seats=1)
    reasons = refusals(costs, one, found, room)
    assert [why in reason for reason in reasons] == [True] if why else reasons == []


def test_a_promise_that_cannot_be_kept_is_refused_however_quiet_it_is() -> None:
    one = config(camera="fps = 120\nmin_fps = 120")
    quiet = replace(load(one.camera["front"], Activity(0.0, 3.0, 0.0, 0.0)), source_fps=120.0)
    costs = replace(COSTS, cores=1)
    (reason,) = refusals(costs, one, estimate(costs, one, [quiet], seats=1), ROOM)
    assert "min_fps" in reason


def test_too_much_at_once_is_told_and_not_refused() -> None:
    one = config(camera="fps = 120")
    quiet = replace(load(one.camera["front"], Activity(0.0, 3.0, 0.0, 0.0)), source_fps=120.0)
    costs = replace(COSTS, cores=1)
    found = estimate(costs, one, [quiet], seats=1)
    assert refusals(costs, one, found, ROOM) == []
    (told,) = warnings(costs, found)
    assert "smaller models" in told


def test_costs_of_a_busy_hour_are_told_as_such() -> None:
    one = config()
    found = estimate(COSTS, one, [], seats=1)
    assert warnings(replace(COSTS, others_cores=0.9), found) == []
    (told,) = warnings(replace(COSTS, others_cores=1.1), found)
    assert "others took 1.1 of 4 cores" in told
