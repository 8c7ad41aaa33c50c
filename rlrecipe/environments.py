"""Environments and what stands between them and the policy, from the options of ``env``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium

from rlrecipe.evaluation import Stage
from rlrecipe.interfaces import Transform
from rlrecipe.policy import Policy
from rlrecipe.recipe.evaluation import evaluation_env
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe

Env = gymnasium.Env[Any, Any]


def make_env(options: Any, phase: str = "train", render_mode: str | None = None) -> Env:
    """One environment with its frame skip and the transforms that wrap it.

    Args:
        options: of ``env``.
        phase: "train" or "eval": transforms of the other phase are left out.
        render_mode: gymnasium's.
    """
    env: Env = options.component.build(options, render_mode)
    if options.frame_skip > 1:
        env = _FrameSkip(env, options.frame_skip)
    for transform in options.transforms:
        if transform.component.traits.get("wraps") and transform.phase in (phase, "both"):
            env = transform.component.build(transform, env)
    return env


class _FrameSkip(gymnasium.Wrapper):
    """Repeats each action; rewards add up, and an episode's end ends the repetition."""

    def __init__(self, env: Env, skip: int) -> None:
        super().__init__(env)
        self.skip = skip

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        total = 0.0
        for _ in range(self.skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


def make_stage(recipe: Recipe, policy: Policy, transforms: Mapping[str, Transform]) -> Stage:
    """Where a recipe's policy is evaluated, with the transforms that ``make_transforms`` made for training."""
    return Stage(
        partial(make_env, evaluation_env(recipe), "eval"),
        policy,
        [transforms[name] for name in in_phase(recipe.env, "eval")],
    )


@dataclass(frozen=True)
class Spaces:
    """What an environment observes and takes."""

    observation: Any
    action: Any


def spaces_of(options: Any, phase: str = "train") -> Spaces:
    """The spaces of an environment by its options."""
    env = make_env(options, phase)
    try:
        return Spaces(env.observation_space, env.action_space)
    finally:
        env.close()


def make_transforms(options: Any, space: Any, gamma: float) -> dict[str, Transform]:
    """The transforms that stand between the environments and the policy, by the name of their state."""
    return {
        name: transform.component.build(transform, space, options.num_envs, gamma)
        for name, transform in named(options.transforms).items()
        if not transform.component.traits.get("wraps")
    }


def in_phase(options: Any, phase: str) -> list[str]:
    """Names of the transforms that ``make_transforms`` makes and that apply in "train" or "eval"."""
    return [
        name
        for name, transform in named(options.transforms).items()
        if not transform.component.traits.get("wraps") and transform.phase in (phase, "both")
    ]


def named(components: Sequence[Options]) -> dict[str, Any]:
    """Components by name; the second of a name keeps its state under a name of its own."""
    named: dict[str, Any] = {}
    for options in components:
        name = options.component.name
        same = sum(other.split(".")[0] == name for other in named)
        named[f"{name}.{same}" if same else name] = options
    return named
