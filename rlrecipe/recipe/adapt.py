"""Defaults that follow from what the recipe says: what nobody wrote stands in nobody's way."""

from __future__ import annotations

import math

from rlrecipe.recipe.asked import HasWidth, frames_per_batch, has, minibatch_size
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.tree import Node

#: Where the size of a batch stands.
FRAMES = ("collector", "frames_per_batch")


def adapted(recipe: Recipe, root: Node) -> Recipe:
    """The recipe with a batch that its environments can share, where nobody wrote how large batches are.

    Args:
        recipe: valid in itself.
        root: its tree, which knows what was written.
    """
    written, collector, env = root.get(*FRAMES), recipe.collector, recipe.env
    frames = frames_per_batch(collector)
    if (written is not None and written.mark is not None) or frames is None or not has(env, HasWidth):
        return recipe
    fitting = shared(frames, env.num_envs, minibatch_size(recipe.algorithm))
    if fitting == frames:
        return recipe
    batches = collector.model_copy(update={"frames_per_batch": fitting})
    return recipe.model_copy(update={"collector": batches})


def shared(frames: int, num_envs: int, minibatch_size: int = 1) -> int:
    """The number of frames nearest to a default that environments can share; as it is where they can.

    Minibatches divide the result, too.
    """
    if frames % num_envs == 0:
        return frames
    step = math.lcm(num_envs, minibatch_size)
    return max(1, round(frames / step)) * step
