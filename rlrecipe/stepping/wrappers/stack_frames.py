"""The newest observations as one."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

Env = gymnasium.Env[Any, Any]
#: More channels than any picture has are a height.
CHANNELS = 4


class StackFrames(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Lays the newest ``count`` observations along one dimension, the oldest first; an episode's first fills all.

    Unlike gymnasium's, whose frames lie in a queue, it is one array, which a checkpoint can hold.

    Args:
        env: observes one array.
        count: how many.
        dim: the dimension along which they lie. None means channels first: pictures ``(H, W)`` and ``(H, W, C)``
            become ``(count * C, H, W)``, as ``(C, H, W)`` do; anything else grows along its last dimension.

    Raises:
        ValueError: the environment observes something else than one array, or one without this dimension.
    """

    def __init__(self, env: Env, count: int, dim: int | None = None) -> None:
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, gymnasium.spaces.Box) or not space.shape:
            raise ValueError(f"frames are stacked of one array, but the environment observes {space}")
        if dim is not None and not -len(space.shape) <= dim < len(space.shape):
            raise ValueError(f"observations of the shape {space.shape} have no dimension {dim}")
        self.count, self.dim = count, dim
        self._picture = dim is None and len(space.shape) in (2, 3)
        low, high = (self._repeated(self._laid(bound)) for bound in (space.low, space.high))
        self.observation_space = gymnasium.spaces.Box(low, high, dtype=space.dtype.type)
        self.frames = np.zeros(self.observation_space.shape, space.dtype)

    def _laid(self, observation: np.ndarray) -> np.ndarray:
        """One observation with the dimension to stack along."""
        if not self._picture:
            return observation
        if observation.ndim == 2:
            return observation[None]
        height, _, last = observation.shape
        return observation.transpose(2, 0, 1) if last <= CHANNELS < height else observation

    @property
    def _along(self) -> int:
        return (0 if self._picture else -1) if self.dim is None else self.dim

    def _repeated(self, observation: np.ndarray) -> np.ndarray:
        return np.concatenate([observation] * self.count, self._along)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation, ``count`` times."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.frames = self._repeated(self._laid(np.asarray(observation)))
        return self.frames, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """The newest observation takes the place of the oldest."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        newest = self._laid(np.asarray(observation))
        along = self._along
        kept = np.split(self.frames, [newest.shape[along]], along)[1]
        # A new array: who holds the observation of before keeps it.
        self.frames = np.concatenate([kept, newest], along)
        return self.frames, reward, terminated, truncated, info
