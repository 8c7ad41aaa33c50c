"""Callables that make an environment, with everything that stands between it and the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np

from rlrecipe.assembly.environments import Env, in_phase, make_env, make_transforms
from rlrecipe.assembly.sections import Section, check, read
from rlrecipe.interfaces import Transform
from rlrecipe.recipe.values import DISCOUNT
from rlrecipe.streams import Streams


@dataclass(frozen=True)
class EnvConstructor:
    """Makes one environment at each call; plain data, so that it can be sent to another process.

    Attributes:
        options: of ``env``; ``num_envs`` says how many a collector makes.
        phase: "train" or "eval": transforms of the other phase are left out.
        gamma: discount, for transforms that sum rewards.
        render_mode: gymnasium's.
    """

    options: Any
    phase: Literal["train", "eval"] = "train"
    gamma: float = DISCOUNT
    render_mode: str | None = None

    def __call__(self) -> Env:
        """One environment; the statistics of its transforms are its own."""
        env = make_env(self.options, self.phase, self.render_mode)
        alone = self.options.model_copy(update={"num_envs": 1})
        transforms = make_transforms(alone, env.observation_space, self.gamma, Streams(0))
        shown = [transforms[name] for name in in_phase(self.options, self.phase)]
        return _Transformed(env, shown, frozen=self.phase == "eval") if shown else env


class _Transformed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Shows observations and rewards as the policy and the loss of a run see them.

    In evaluation the statistics stay as they are, and rewards are the environment's.
    """

    def __init__(self, env: Env, transforms: list[Transform], frozen: bool) -> None:
        super().__init__(env)
        self.transforms, self.frozen = transforms, frozen
        shape = env.observation_space.shape or ()
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        first, info = self.env.reset(seed=seed, options=options)
        shown = np.asarray(first)[None]
        for transform in self.transforms:
            shown = transform.apply(shown) if self.frozen else transform.reset(shown)
        return np.asarray(shown[0], np.float32), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        following, gained = np.asarray(observation)[None], np.array([reward], float)
        last, done = following, np.array([terminated or truncated])
        for transform in self.transforms:
            if self.frozen:
                last = transform.apply(last)
            else:
                # An episode's last observation stands for the next one's first, which only a reset shows.
                following, last, gained = transform.step(following, last, gained, done)
        return np.asarray(last[0], np.float32), float(gained[0]), terminated, truncated, info


def section_of(env: Section | EnvConstructor) -> Section:
    """The section of an environment from whatever says it."""
    options: Section = env.options if isinstance(env, EnvConstructor) else env
    return options


def options_of(env: Section | EnvConstructor, options: Mapping[str, Any] | None = None) -> Any:
    """Options of ``env`` from whatever says them, single ones over them."""
    return read("env", section_of(env), options)


def transformed_env_constructor(
    env: Section | None = None,
    *,
    phase: Literal["train", "eval"] = "train",
    gamma: float = DISCOUNT,
    render_mode: str | None = None,
    **options: Any,
) -> EnvConstructor:
    """A callable that makes an environment with its frame skip and all its transforms.

    Args:
        env: the id of an environment, or the section.
        phase: "train" or "eval": transforms of the other phase are left out.
        gamma: discount, for ``reward_norm``.
        render_mode: gymnasium's.
        options: single options of the section, such as ``num_envs``.

    Raises:
        RecipeError: the options are wrong.
    """
    read_options = read("env", env, options)
    check(env=read_options)
    return EnvConstructor(read_options, phase, gamma, render_mode)
