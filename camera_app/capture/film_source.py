"""A camera's second stream, of which films are made and nothing else: nobody looks at it.

It is read while films are wanted. No picture of it is decoded; what it sends is kept for some
seconds and written when the parent says so, in a child of its own as with any source.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from camera_app.capture.backoff import BackOff
from camera_app.capture.child import Errand
from camera_app.capture.doorway import Doorway
from camera_app.capture.live import LiveSource, errand_of
from camera_app.capture.wire import FilmNews, FilmOrder, Said
from camera_app.clock import Clock
from camera_app.roster import ROUND_LIMIT_S

if TYPE_CHECKING:  # the child imports this room, and does without the configuration's library
    from camera_app.config import CameraSettings

IDLE_S = 60.0  # only to give a sign of life: what ends the wait is an order, or the end


class FilmSource(LiveSource):
    """Has films made of `recording.source`; `on_change` tells whether that stream is there.

    Args:
        name: Of the camera.
        settings: Its section; must name such a stream.
        clock: Time.
        on_change: As of `LiveSource`.
        on_film: The same.
        back_off: The same.
    """

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        clock: Clock,
        *,
        on_change: Callable[[bool], None],
        on_film: Callable[[FilmNews | None], None],
        back_off: BackOff | None = None,
    ) -> None:
        super().__init__(
            name,
            film_stream_of(settings),
            clock,
            Doorway(),  # nothing is ever put there
            on_change=on_change,
            on_film=on_film,
            back_off=back_off,
        )
        self.name = f"camera-app-films-{name}"
        self._title = f"camera {name}, stream for films"
        self._something = threading.Event()  # there may be an order, or the end

    def film(self, order: FilmOrder) -> None:
        super().film(order)
        self._something.set()

    def wake(self) -> None:
        super().wake()
        self._something.set()

    def run_once(self) -> None:
        if self._is_wanted():
            super().run_once()
            return
        self._set_state("nothing is to be filmed")
        self.promise(IDLE_S + ROUND_LIMIT_S)
        self._something.wait(IDLE_S)
        self._something.clear()

    def _is_wanted(self) -> bool:
        with self._guard:
            return self._order.is_on

    def _take(self, said: Said | None) -> bool:
        is_alive = super()._take(said)
        if is_alive and not self._is_delivering:
            self._begin_delivery()
        return is_alive

    def _errand(self) -> Errand:
        errand = errand_of(self._settings)
        # What cannot be kept as it is cannot be filmed: there are no pictures to encode.
        films = replace(errand.films, method="copy")
        return replace(errand, films=films, is_for_films=True)


def film_stream_of(settings: CameraSettings) -> CameraSettings:
    """Return a camera's settings as if its stream for films were what is looked at."""
    return settings.model_copy(update={"source": settings.recording.source})
