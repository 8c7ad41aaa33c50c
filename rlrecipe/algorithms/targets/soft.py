"""Target networks that follow a little after every update."""

from __future__ import annotations

from rlrecipe.interfaces import Target
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register


class SoftOptions(Options):
    """After every update targets go a small share of the way (Lillicrap et al., 2016)."""

    tau: float = option(0.005, "Share of the way: higher learns faster and less stably.", gt=0, le=1)


@register("target", "soft")
def make_soft(options: SoftOptions) -> Target:
    """Targets that follow by ``tau``."""
    return Target(options.tau)
