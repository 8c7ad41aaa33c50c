"""Logs how much is learned of each frame: the update-to-data ratio."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import State
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class UTDRHookOptions(Options):
    """Log how many rows updates have learned from for each collected frame, as utd_ratio."""


class UTDRHook(Hook, options=UTDRHookOptions):
    """Rows of all sub-batches so far over frames so far.

    Args:
        trainer: whose; a recipe's hook takes the one it is registered with.
    """

    category = "logging"
    reads_mapping = True
    observer = True
    logs_newest = ("utd_ratio", "write_count", "update_count")

    def __init__(self, trainer: Loop | None = None) -> None:
        super().__init__()
        self.trainer, self.rows = trainer, 0

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Count each sub-batch, and log once a batch."""
        self.trainer = trainer
        trainer.register_module(name or self.usual_name, self)
        trainer.register_op("post_optim_log", self.count)
        trainer.register_op("post_steps_log", self)

    def count(self, sub_batch: Any) -> None:
        """Take the rows of a sub-batch in."""
        self.rows += len(next(iter(sub_batch.values())))

    def __call__(self, batch: Any) -> dict[str, float]:
        """The ratio, and what it is made of.

        Raises:
            ValueError: it knows no trainer.
        """
        if self.trainer is None:
            raise ValueError("UTDRHook: give it the trainer, or register it with one")
        clock = self.trainer.clock
        return {
            # Of rows of a dataset there is none.
            "utd_ratio": self.rows / clock.frames if clock.frames else math.nan,
            "write_count": float(clock.frames),
            "update_count": float(clock.updates),
        }

    def state_dict(self) -> State:
        """Rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state: State) -> None:
        """Go on counting."""
        self.rows = state["rows"]


@register("hook", "utdr_hook")
def make_utdr_hook(options: UTDRHookOptions) -> UTDRHook:
    """A report of the ratio."""
    return UTDRHook()
