"""Which network looks at which region on which device, and the threads that do it."""

from camera_app.scheduling.cpu import CpuSeats, SeatStats
from camera_app.scheduling.demand import ANSWER_WITHIN_S, Answer, Demand, DemandShed
from camera_app.scheduling.executor import DeviceStats, Executor, ExecutorStats, StickPlan
from camera_app.scheduling.fleet import SPARE_CPU_NS, TRY_SLOW_STICK_NS
from camera_app.scheduling.load import (
    CameraShare,
    Condition,
    DeviceKind,
    Pressure,
    Reason,
    ShedCause,
    Worth,
)
from camera_app.scheduling.look_times import LookStep
from camera_app.scheduling.stick_device import CHECK_EVERY_S, CHECK_IDLE_EVERY_S

__all__ = [
    "ANSWER_WITHIN_S",
    "CHECK_EVERY_S",
    "CHECK_IDLE_EVERY_S",
    "SPARE_CPU_NS",
    "TRY_SLOW_STICK_NS",
    "Answer",
    "CameraShare",
    "Condition",
    "CpuSeats",
    "Demand",
    "DemandShed",
    "DeviceKind",
    "DeviceStats",
    "Executor",
    "ExecutorStats",
    "LookStep",
    "Pressure",
    "Reason",
    "SeatStats",
    "ShedCause",
    "StickPlan",
    "Worth",
]
