"""The environment of evaluation: the training environment's options, changed by ``evaluation.env``."""

from __future__ import annotations

from rlrecipe.recipe.merge import merge
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import EnvSlot, Recipe
from rlrecipe.recipe.tree import Node, unmarked


class Holder(Options):
    """A recipe's environment alone."""

    env: EnvSlot


def merged_env(recipe: Recipe) -> Node:
    """``env`` with ``evaluation.env`` merged over it, before validation."""
    env = unmarked({"env": recipe.model_dump(include={"env"})["env"]})
    root, _ = merge([env, unmarked({"env": recipe.evaluation.env})])
    return root.value["env"]  # type: ignore[no-any-return]


def evaluation_env(recipe: Recipe) -> Options:
    """The options of the environment that the policy is evaluated in."""
    return Holder.model_validate({"env": merged_env(recipe).data()}).env
