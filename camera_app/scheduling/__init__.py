"""Which network looks at which region on which device, and the threads that do it."""

from camera_app.scheduling.executor import Answer, CpuSeats, Demand, SeatStats

__all__ = ["Answer", "CpuSeats", "Demand", "SeatStats"]
