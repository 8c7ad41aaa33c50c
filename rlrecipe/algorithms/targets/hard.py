"""Target networks that are copied now and then."""

from __future__ import annotations

from rlrecipe.interfaces import Target
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.values import Duration


class HardOptions(Options):
    """Targets become copies of the networks at intervals (Mnih et al., 2015)."""

    every: Duration = option(Duration(10_000), "Interval between copies; a number means frames.")


@register("target", "hard")
def make_hard(options: HardOptions) -> Target:
    """Targets that are copied ``every`` so often."""
    return Target(1.0, options.every)
