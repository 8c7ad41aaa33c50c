"""The trainer of a recipe: the loop over its parts, with what hooks of torchrl ask of a trainer."""

from __future__ import annotations

from rlrecipe.loop.recipe_loop import RecipeLoop
from rlrecipe.torchrl.loop import AsTorchRL


class RecipeTrainer(AsTorchRL, RecipeLoop):
    """Collects batches and learns from them until the clock says that the run is complete."""
