"""Logs the norm of each gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlrecipe.hooks.base import Hook
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class GradientNormOptions(Options):
    """Log the mean norm of each loss's gradient, before clipping, as loss/gradient_norm."""


class GradientNorm(Hook, options=GradientNormOptions):
    """Asks the update to report norms: nothing stands between gradient and step, so compiled updates stay whole."""

    category = "operation"
    observer = True

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Have every objective report its gradient's norm."""
        trainer.register_module(name or self.usual_name, self)
        trainer.update.report_norms()


@register("hook", "gradient_norm")
def make_gradient_norm(options: GradientNormOptions) -> GradientNorm:
    """A report of norms."""
    return GradientNorm.of(options)
