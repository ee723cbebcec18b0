"""How long to wait before trying again. Pure: randomness is handed in, nothing waits in here."""

from __future__ import annotations

from collections.abc import Callable


class BackOff:
    """Waits that double up to a cap, spread by chance so that cameras do not knock in step."""

    def __init__(
        self,
        *,
        random: Callable[[], float],
        first_s: float = 0.5,
        cap_s: float = 30.0,
        healthy_s: float = 10.0,
    ) -> None:
        """Start afresh.

        Args:
            random: Returns 0.0 to 1.0, each call another.
            first_s: The wait after the first failure, before it is spread.
            cap_s: The longest wait.
            healthy_s: A source that worked this long begins anew at its next failure.
        """
        self._random = random
        self._first_s = first_s
        self._cap_s = cap_s
        self._healthy_s = healthy_s
        self._failures = 0

    def after(self, worked_s: float) -> float:
        """Return how long to wait after a failure, in seconds.

        Args:
            worked_s: How long it had worked before it failed; 0.0 if it never did.

        Returns:
            Between half of the wait and all of it.
        """
        if worked_s >= self._healthy_s:
            self._failures = 0
        # 2**20 is beyond every cap; more would overflow after weeks of failures.
        wait_s = min(self._cap_s, self._first_s * 2 ** min(self._failures, 20))
        self._failures += 1
        return self._spread(wait_s)

    def longest(self) -> float:
        """Return the wait where trying again is not expected to help."""
        return self._spread(self._cap_s)

    def _spread(self, wait_s: float) -> float:
        return wait_s * (0.5 + 0.5 * self._random())
