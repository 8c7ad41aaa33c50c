"""What a wrapper, or an environment, may be able to do besides gymnasium's interface: its class derives from these."""

from __future__ import annotations


class GoesOn:
    """A wrapper whose resets may go on in the same game; others begin a new one."""

    @property
    def going_on(self) -> bool:
        """Whether the next reset does."""
        return False


class CapturedBy:
    """An environment or wrapper that only some methods can save; others can be tried with all.

    Attributes:
        captured_by: their names.
    """

    captured_by: tuple[str, ...]
