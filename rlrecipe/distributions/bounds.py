"""Actions as an environment with bounds takes them."""

from __future__ import annotations

from rlrecipe.lazy import gymnasium, np


class Bounds:
    """The bounds of a Box, in whose own numbers every action is inside of them.

    Args:
        space: of the environment's actions.
    """

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        self.shape, self.low, self.high = space.shape, space.low.reshape(-1), space.high.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            self._width = self.high - self.low
        #: Bounds may be further apart than the largest number of their kind.
        self._wide = not np.isfinite(self._width).all()

    def inside(self, action: np.ndarray) -> np.ndarray:
        """Actions ``[B, n]`` clipped, in the shape and the type of the space.

        The clip comes last: a number that is cast to fewer digits can be rounded over a bound.
        """
        if action.dtype != self.low.dtype:
            # A number that is too large for the space's type becomes infinite, which the clip then bounds.
            with np.errstate(over="ignore"):
                action = action.astype(self.low.dtype)
        # As np.clip, which calls four functions of Python's at every step.
        clipped: np.ndarray = np.minimum(np.maximum(action, self.low), self.high)
        return clipped.reshape(-1, *self.shape)

    def scaled(self, action: np.ndarray) -> np.ndarray:
        """Actions ``[B, n]`` in [-1, 1] as points between the bounds."""
        share = 0.5 * (action + 1.0)
        between = (1.0 - share) * self.low + share * self.high if self._wide else self.low + share * self._width
        return self.inside(between)
