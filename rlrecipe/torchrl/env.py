"""torchrl's environments and transforms as gymnasium's, so that all else works on them unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
import torch
from torchrl.envs import EnvBase, GymWrapper, TransformedEnv
from torchrl.envs.utils import step_mdp

from rlrecipe.errors import UnbuildableError
from rlrecipe.stepping.wrappers.abilities import CapturedBy
from rlrecipe.stepping.wrappers.checked import Checked
from rlrecipe.torchrl.objects import Renders
from rlrecipe.torchrl.spaces import Observations, action_of, leaves

Env = gymnasium.Env[Any, Any]


class Played:
    """An environment of torchrl, one step at a time.

    What it draws from torch's own generator, it draws from one of its own here: neither a network's first weights
    nor another environment can change an episode.

    Args:
        inner: without a batch dimension.
        observations: dotted names of the entries to observe; empty means all.
        reward: dotted name of the entry that is the reward, where there are several.

    Raises:
        UnbuildableError: it is several environments or agents in one, or has entries that are no tensors; the path
            is one of the environment's options.
    """

    def __init__(self, inner: EnvBase, observations: list[str], reward: str | None) -> None:
        kind = type(inner).__name__
        if inner.batch_size:
            message = f"{kind} is a batch of environments, of size {tuple(inner.batch_size)}"
            raise UnbuildableError(("kwargs",), message, "take a single one, and let env.num_envs step several")
        self.inner, self._wanted, self._reward_name = inner, observations, reward
        self._reward_key = _reward_of(inner, reward)
        actions = leaves(inner.full_action_spec)
        if len(actions) != 1 or "done" not in leaves(inner.full_done_spec):
            ends = ", ".join(leaves(inner.full_done_spec))
            message = f"{kind} takes the actions {', '.join(actions)} and ends by {ends}: that is more than one agent"
            raise UnbuildableError(("env",), message, "take an environment with one action, which ends by 'done'")
        ((self._action_key, action_spec),) = actions.values()
        self.action_space, self._to_tensor = action_of(action_spec)
        self._observations = Observations(inner.full_observation_spec, observations)
        self.observation_space = self._observations.space
        self._entries: Any = None
        self._numbers = torch.get_rng_state()

    def transformed(self, transform: Any) -> Played:
        """The same with one more of torchrl's transforms; all of them share one TransformedEnv."""
        inner = self.inner
        if isinstance(inner, TransformedEnv):
            inner.append_transform(transform)
        else:
            inner = TransformedEnv(inner, transform)
        return Played(inner, self._wanted, self._reward_name)

    def reset(self, seed: int) -> Any:
        """The first observation of the episode of a seed."""
        self._numbers = torch.Generator().manual_seed(seed).get_state()
        with self._own_numbers():
            self._entries = self.inner.reset()
        return self._observations(self._entries)

    def step(self, action: Any) -> tuple[Any, float, bool, bool]:
        """Observation, reward, terminated, truncated."""
        self._entries.set(self._action_key, self._to_tensor(action))
        with self._own_numbers():
            entries = self.inner.step(self._entries)
        following = entries.get("next")
        done, truncated = bool(following.get("done")), bool(following.get("truncated", False))
        terminated = bool(following.get("terminated", done and not truncated))
        self._entries = step_mdp(entries)
        return self._observations(following), float(following.get(self._reward_key)), terminated, truncated

    @contextmanager
    def _own_numbers(self) -> Iterator[None]:
        others = torch.get_rng_state()
        torch.set_rng_state(self._numbers)
        try:
            with torch.no_grad():
                yield
        finally:
            self._numbers = torch.get_rng_state()
            torch.set_rng_state(others)


def _reward_of(inner: EnvBase, name: str | None) -> Any:
    rewards = leaves(inner.full_reward_spec)
    where, names = ("reward_key",), ", ".join(rewards)
    if name is not None and name not in rewards:
        raise UnbuildableError(where, f"no reward is named {name!r}; there are: {names}", f"use one of {names}")
    if name is None and len(rewards) != 1:
        raise UnbuildableError(where, f"there are several rewards: {names}", "say by reward_key which one counts")
    key, spec = rewards[name or next(iter(rewards))]
    if spec.shape.numel() != 1:
        message = f"the reward {name or key} has the shape {tuple(spec.shape)} and is not one number"
        raise UnbuildableError(where, message, "take an environment whose reward is one number")
    return key


class TorchRLEnv(gymnasium.Env[Any, Any], CapturedBy):
    """An environment of torchrl as one of gymnasium's. Every reset is seeded, by its own generator if by nobody else.

    Args:
        played: the environment.
        render_mode: gymnasium's, where the environment can render.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as gymnasium declares it
    #: Its state lies in TensorDicts and modules: an episode is saved as its seed and actions.
    captured_by = ("replay",)

    def __init__(self, played: Played, render_mode: str | None = None) -> None:
        self.played, self.render_mode = played, render_mode
        self.observation_space, self.action_space = played.observation_space, played.action_space

    def transformed(self, transform: Any) -> TorchRLEnv:
        """The same with one more of torchrl's transforms."""
        return TorchRLEnv(self.played.transformed(transform), self.render_mode)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation; the next episodes follow from ``seed``."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31)) if seed is None else seed
        self.played.inner.set_seed(drawn)
        return self.played.reset(drawn), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        return *self.played.step(action), {}

    def render(self) -> Any:
        """What the environment shows of itself.

        Raises:
            NotImplementedError: it shows nothing.
        """
        if not isinstance(self.played.inner, Renders):
            # What gymnasium's own environments raise; recorders of videos say it once and go on.
            raise NotImplementedError(f"{self.played.inner} shows no pictures")
        return np.asarray(self.played.inner.render())

    def close(self) -> None:
        """Close the environment."""
        if not self.played.inner.is_closed:
            self.played.inner.close()


class _Seeded(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Resets by the seed that was left here: torchrl has no reset with a seed that is one reset only."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.seed: int | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        seed, self.seed = self.seed, None
        return self.env.reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        space = self.env.action_space
        if isinstance(space, gymnasium.spaces.Box):
            # What torchrl's transforms make of an action can end one rounding outside.
            action = np.clip(np.asarray(action, space.dtype), space.low, space.high)
        return self.env.step(action)


class TransformedByTorchRL(gymnasium.Wrapper[Any, Any, Any, Any], CapturedBy):
    """An environment of gymnasium's under transforms of torchrl's.

    Args:
        env: the environment.
        played: it, as torchrl sees it; None wraps it.
    """

    captured_by = ("replay",)

    def __init__(self, env: Env, played: Played | None = None) -> None:
        super().__init__(env)
        if played is None:
            played = Played(GymWrapper(_Seeded(env), categorical_action_encoding=True), [], None)
        self.played, self.draws = played, np.random.default_rng()
        self.observation_space, self.action_space = played.observation_space, played.action_space

    def transformed(self, transform: Any) -> TransformedByTorchRL:
        """The same with one more of torchrl's transforms."""
        return TransformedByTorchRL(self.env, self.played.transformed(transform))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation; transforms that draw follow from ``seed``, too."""
        if seed is not None:
            self.draws = np.random.default_rng(seed)
        self._seeded.seed = seed
        return self.played.reset(int(self.draws.integers(2**31))), {}

    @property
    def _seeded(self) -> Any:
        inner = self.played.inner
        base = inner.base_env if isinstance(inner, TransformedEnv) else inner
        return base._env

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        return *self.played.step(action), {}


def of_torchrl(env: Env) -> TorchRLEnv | TransformedByTorchRL:
    """``env`` as what takes torchrl's transforms; neighbours share one TransformedEnv."""
    # What transforms give of torchrl's own environment is looked at behind them.
    inner = env.env if isinstance(env, Checked) else env
    return inner if isinstance(inner, TorchRLEnv | TransformedByTorchRL) else TransformedByTorchRL(env)


def entries_of(env: TorchRLEnv | TransformedByTorchRL) -> tuple[list[Any], list[Any]]:
    """Keys of what torchrl observes of an environment, and of the rewards, ends and actions beside it."""
    inner = env.played.inner
    specs = (inner.full_reward_spec, inner.full_done_spec, inner.full_action_spec)
    observed, *others = ([key for key, _ in leaves(spec).values()] for spec in (inner.full_observation_spec, *specs))
    return observed, [key for keys in others for key in keys]
