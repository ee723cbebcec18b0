"""A stand-in for the few parts of picamera2 that are used, as its documentation has them.

Main stream YUV420: `make_buffer` gives a copy as one flat array, three halves of height times
stride, rows padded on the right, chroma rows to half the stride. What is given may differ from
what was asked. Requests are few: whoever does not release them waits for ever, here an error.

The environment holds the levers, so that they reach into a child: FAKE_CAMERAS (how many there
are), FAKE_STALL_AFTER (requests, then none comes any more), FAKE_BUSY (another program has it),
FAKE_RATE (pictures a second whatever is asked for, as of a sensor that cannot do otherwise).
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np

PADDING = 64  # libcamera pads rows so that each plane begins where the hardware likes it


class Picamera2:
    """One camera, filming a ramp that grows brighter from picture to picture."""

    instances: list[Picamera2] = []  # noqa: RUF012 - tests look at what was made

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        count = int(os.environ.get("FAKE_CAMERAS", "1"))
        return [{"Model": "imx708", "Num": number} for number in range(count)]

    def __init__(self, camera_num: int = 0) -> None:
        if os.environ.get("FAKE_BUSY"):
            try:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
            except RuntimeError:
                raise RuntimeError("Camera __init__ sequence did not complete.")  # noqa: B904
        self.number = camera_num
        self.calls: list[str] = []
        self.requests_out = 0
        self.delivered = 0
        self._configuration: dict[str, Any] = {}
        self.instances.append(self)

    def create_video_configuration(
        self,
        main: dict[str, Any] | None = None,
        buffer_count: int = 6,
        controls: dict[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        return {"main": dict(main or {}), "buffer_count": buffer_count, "controls": controls or {}}

    def configure(self, configuration: dict[str, Any]) -> None:
        self.calls.append("configure")
        assert configuration["main"]["format"] == "YUV420"
        width, height = configuration["main"]["size"]
        stride = -(-width // PADDING) * PADDING
        main = {**configuration["main"], "stride": stride, "framesize": stride * height * 3 // 2}
        space = "SMPTE170M" if width < 1280 else "Rec709"
        self._configuration = {**configuration, "main": main, "colour_space": space}

    def camera_configuration(self) -> dict[str, Any]:
        return self._configuration

    def start(self) -> None:
        self.calls.append("start")

    def capture_request(self, wait: bool | None = None) -> CompletedRequest:
        assert self.calls[-1] == "start"
        if self.delivered >= int(os.environ.get("FAKE_STALL_AFTER", "1000000")):
            threading.Event().wait()
        if self.requests_out >= self._configuration["buffer_count"]:
            raise AssertionError("all buffers are out: a request was not released")
        rate = float(os.environ.get("FAKE_RATE") or self._configuration["controls"]["FrameRate"])
        time.sleep(1 / rate)  # the sensor's own pace
        self.requests_out += 1
        self.delivered += 1
        return CompletedRequest(self, self.delivered)

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")


class CompletedRequest:
    def __init__(self, camera: Picamera2, number: int) -> None:
        self._camera = camera
        self._number = number
        self._is_released = False
        self._stamp_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 5_000_000

    def get_metadata(self) -> dict[str, Any]:
        return {"SensorTimestamp": self._stamp_ns, "ExposureTime": 10_000}

    def make_buffer(self, name: str) -> np.ndarray:
        assert not self._is_released
        main = self._camera.camera_configuration()[name]
        width, height = main["size"]
        stride = main["stride"]
        rows = np.full((height * 3 // 2, stride), 0xEE, np.uint8)  # padding must never be kept
        rows[:height, :width] = np.linspace(20, 60, width).astype(np.uint8) + self._number % 150
        chroma = rows[height:].reshape(-1, stride // 2)  # two chroma rows lie in one of these
        chroma[: height // 2, : width // 2] = 110
        chroma[height // 2 :, : width // 2] = 140
        return rows.reshape(-1)

    def release(self) -> None:
        assert not self._is_released, "released twice"
        self._is_released = True
        self._camera.requests_out -= 1
