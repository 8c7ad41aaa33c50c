"""A corridor whose end asks what was seen at its beginning: a task for memories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlrecipe.envs.base import EnvOptions
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    Env = gymnasium.Env[Any, Any]


class TMazeOptions(EnvOptions):
    """The T-maze (Bakker, 2002): a sign at the start says which turn at the far end is worth 1; the other costs 1."""

    length: int = option(8, "Steps between the sign and the turn: more are harder to remember.", gt=0)


@register("env", "t_maze")
def make_t_maze(options: TMazeOptions, render_mode: str | None) -> Env:
    """One maze. Without memory no policy reaches a mean return above 0."""

    class TMaze(gymnasium.Env[Any, Any]):
        """Observes ``[sign, whether it is at the turn]``; actions turn left (0) or right (1), and count there only."""

        def __init__(self) -> None:
            self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
            self.action_space = gymnasium.spaces.Discrete(2)
            self.sign, self.place = 0, 0

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            super().reset(seed=seed)
            self.sign, self.place = int(self.np_random.integers(2)), 0
            return np.array([2 * self.sign - 1, 0], np.float32), {}

        def step(self, action: Any) -> Any:
            if self.place == length:
                return np.zeros(2, np.float32), 1.0 if int(action) == self.sign else -1.0, True, False, {}
            self.place += 1
            return np.array([0, self.place == length], np.float32), 0.0, False, False, {}

    length = options.length
    return TMaze()
