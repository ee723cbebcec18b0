"""What the status and the fallback topic make of the figures."""

from __future__ import annotations

from dataclasses import replace

from camera_app.clock import nanoseconds
from camera_app.health.status import Standing
from camera_app.inference.edgetpu import findings
from camera_app.scheduling import Condition, DeviceKind, DeviceStats, ExecutorStats, Reason

CPU = DeviceStats("cpu", DeviceKind.CPU, Condition.HEALTHY)
STICK = DeviceStats("usb:1-1", DeviceKind.EDGETPU, Condition.HEALTHY)
WELL = ExecutorStats(devices=(CPU, STICK))
LOST = ExecutorStats(
    devices=(
        CPU,
        replace(STICK, condition=Condition.BROKEN, finding=findings.absent("usb:1-1")),
    ),
    reasons=(Reason.STICK_LOST,),
    fallbacks=1,
)


def at(seconds: float) -> int:
    return nanoseconds(seconds)


def test_a_lost_stick_is_a_fallback_that_says_what_to_do_and_since_when() -> None:
    standing = Standing()
    well = standing.fallback(WELL, at(100))
    assert (well.active, well.device, well.since) == (False, "usb:1-1", 100.0)
    lost = standing.fallback(LOST, at(150))
    assert (lost.active, lost.device, lost.since, lost.count) == (True, "cpu", 150.0, 1)
    assert lost.reasons == ("stick_lost",)
    assert "Plug it in" in lost.lost["usb:1-1"]
    assert standing.fallback(WELL, at(160)).since == 160.0


def test_nothing_new_is_the_same_message() -> None:
    """The broker is told a retained message again only when something has changed."""
    standing = Standing()
    first = standing.fallback(LOST, at(100))
    assert standing.fallback(LOST, at(101)) is first


def test_another_reason_is_news_of_the_same_fallback() -> None:
    standing = Standing()
    standing.fallback(LOST, at(100))
    worse = standing.fallback(replace(LOST, reasons=(Reason.HEAT, Reason.STICK_LOST)), at(120))
    assert (worse.reasons, worse.since) == (("heat", "stick_lost"), 100.0)


def test_a_stick_that_is_still_being_opened_is_no_fallback() -> None:
    starting = replace(WELL, devices=(CPU, replace(STICK, condition=Condition.BROKEN)))
    assert not Standing().fallback(starting, at(1)).active
    assert Standing().fallback(starting, at(1)).lost == {}
