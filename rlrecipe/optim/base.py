"""Options that every optimizer has."""

from __future__ import annotations

from typing import Annotated

from rlrecipe.recipe.options import Options, Slot, option


class GroupOptions(Options):
    """What may differ for the parameters of one network."""

    lr: float = option(..., "Learning rate of these parameters.", ge=0)


class OptimizerOptions(Options):
    """Base of every optimizer's options."""

    lr: float = option(3e-4, "Learning rate: higher learns faster and breaks sooner.", ge=0)
    schedule: Annotated[Options, Slot("schedule")] | None = option(
        None, "Factor on every learning rate over the run; linear goes from 1 to 0."
    )
    groups: dict[str, GroupOptions] = option({}, "Learning rates by network slot, where they differ.")
