"""Ends training once it is good enough."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import State
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class EarlyStoppingOptions(Options):
    """End the run (exit 0) when the mean return of the last training episodes reaches a threshold."""

    threshold: float = option(..., "Mean return that is good enough.")
    episodes: int = option(100, "How many of the last episodes are averaged.", gt=0)


class EarlyStopping(Hook, options=EarlyStoppingOptions, point="post_steps"):
    """Looks at the episodes that ended in each batch."""

    category = "operation"

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.threshold, self.episodes = self.options.threshold, self.options.episodes
        self.returns: deque[float] = deque(maxlen=self.episodes)

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Look at the end of every batch."""
        self.trainer = trainer
        super().register(trainer, name)

    def __call__(self) -> None:
        """Ask the trainer to stop when the threshold is reached."""
        self.returns.extend(value for _, value, _ in self.trainer.episodes)
        if len(self.returns) == self.episodes and sum(self.returns) / self.episodes >= self.threshold:
            self.trainer.stop(f"the last {self.episodes} episodes reached a mean return of {self.threshold:g}")

    def state_dict(self) -> State:
        """The last returns."""
        return {"returns": list(self.returns)}

    def load_state_dict(self, state: State) -> None:
        """Go on from saved returns."""
        self.returns = deque(state["returns"], maxlen=self.episodes)


@register("hook", "early_stopping")
def make_early_stopping(options: EarlyStoppingOptions) -> EarlyStopping:
    """An early stopping by the training return."""
    return EarlyStopping.of(options)
