"""The environment of evaluation: the training environment's options, changed by ``evaluation.env``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlrecipe.recipe.merge import merge
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import EnvSlot, Recipe
from rlrecipe.recipe.tree import Node, unmarked


class Holder(Options):
    """A recipe's environment alone."""

    env: EnvSlot


def merged_env(recipe: Recipe, changes: Mapping[str, Any] | None = None) -> Node:
    """``env`` with ``evaluation.env`` and then ``changes`` merged over it, before validation."""
    env = unmarked({"env": recipe.model_dump(include={"env"})["env"]})
    root, _ = merge([env, unmarked({"env": recipe.evaluation.env}), unmarked({"env": dict(changes or {})})])
    merged: Node = root.value["env"]
    return merged


def evaluation_env(recipe: Recipe, changes: Mapping[str, Any] | None = None) -> Options:
    """The options of the environment that the policy is evaluated in.

    Raises:
        pydantic.ValidationError: a change does not fit the options.
    """
    return Holder.model_validate({"env": merged_env(recipe, changes).data()}).env
