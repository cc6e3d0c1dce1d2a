"""How far a load has come, and the moment at which it has to end.

Invariant: a load that is stopped leaves a figure: so many rows of how many, after how long. What a
peer counts is what its server has confirmed.
"""

import time

# Sleeps and timeouts of the system may end so much early.
CLOCK_S = 0.01


class Stopped(Exception):
    """The time for the load is over."""


class Progress:
    """Told by a peer what it has done; `Stopped` is raised there when time is over."""

    def __init__(self, limit_s: float | None = None):
        self.limit_s = limit_s
        self.rows = self.count = 0
        self.step = "rows"
        self.started = time.monotonic()

    def begin(self, count: int) -> None:
        """Starts the clock: so many rows are to come."""
        self.rows, self.count, self.step = 0, count, "rows"
        self.started = time.monotonic()

    def done(self, rows: int, step: str = "rows") -> None:
        """So many rows have passed this step: `rows` that were sent, or `index`."""
        self.rows, self.step = rows, step
        self.check()

    def check(self) -> None:
        """Raises `Stopped` when time is over."""
        if self.is_over():
            raise Stopped

    def is_over(self) -> bool:
        """Whether the load must have ended by now."""
        left = self.left_s()
        return left is not None and left <= CLOCK_S

    def left_s(self) -> float | None:
        """Time that is left; none without a limit."""
        return None if self.limit_s is None else self.started + self.limit_s - time.monotonic()

    def deadline(self) -> float | None:
        """The end on the monotonic clock."""
        return None if self.limit_s is None else self.started + self.limit_s

    def figures(self) -> dict:
        """What was done when it was stopped."""
        return {"after_s": time.monotonic() - self.started, "rows": self.rows, "of": self.count,
                "step": self.step}
