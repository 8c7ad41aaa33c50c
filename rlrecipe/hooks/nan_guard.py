"""Stops a run whose numbers are no longer finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlrecipe.errors import Diverged
from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import Batch
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class NanGuardOptions(Options):
    """After each batch's updates, end the run (exit 6) if a parameter, reward or observation is not finite."""


class NanGuard(Hook, options=NanGuardOptions, point="post_steps_log"):
    """Looks at every parameter and at the batch, once a batch."""

    category = "logging"
    reads_mapping = True
    observer = True

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Look at the end of every batch."""
        self.parameters = trainer.update.parameters
        super().register(trainer, name)

    def __call__(self, batch: Batch) -> None:
        """Raise Diverged if something is not finite."""
        named = {"parameters": self.parameters.flat}
        named |= {".".join(key) if isinstance(key, tuple) else key: tensor for key, tensor in batch.items()}
        wrong = [name for name, tensor in named.items() if not bool(torch.isfinite(tensor).all())]
        if "parameters" in wrong:
            wrong += [
                name for name, tensor in self.parameters.named().items() if not bool(torch.isfinite(tensor).all())
            ]
        if wrong:
            raise Diverged(
                f"not finite: {', '.join(wrong)}; go on from a checkpoint before with a lower rate (rlrecipe fork "
                "RUN_DIR --at FRAME -s optimizer.lr=...), or check the environment's rewards"
            )


@register("hook", "nan_guard")
def make_nan_guard(options: NanGuardOptions) -> NanGuard:
    """A guard."""
    return NanGuard()
