"""Which version of MQTT to speak at the next attempt. Pure."""

from __future__ import annotations

from typing import Literal

Version = Literal["5", "3.1.1"]


class ProtocolChoice:
    """Tries 5, falls back to 3.1.1 when that is refused, and tries 5 again at each new start.

    Attributes:
        version: What to speak now.
    """

    def __init__(self, wanted: Literal["auto", "5", "3.1.1"]) -> None:
        self._is_auto = wanted == "auto"
        self._first: Version = "3.1.1" if wanted == "3.1.1" else "5"
        self.version: Version = self._first

    @property
    def is_fallback(self) -> bool:
        return self.version != self._first

    def fall_back(self) -> bool:
        """Change to the older version, if that may help; return whether to try at once."""
        if not self._is_auto or self.is_fallback:
            return False
        self.version = "3.1.1"
        return True

    def start_over(self) -> None:
        """Begin with the wanted version: the broker may have been replaced."""
        self.version = self._first
