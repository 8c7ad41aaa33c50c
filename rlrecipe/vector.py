"""Several environments stepped as one, with their state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlrecipe.capture import METHODS, Tape
from rlrecipe.interfaces import State


def _taped(make: Callable[[], gymnasium.Env[Any, Any]]) -> gymnasium.Env[Any, Any]:
    return Tape(make())


class _Vector(SyncVectorEnv):
    """gymnasium's, without gathering every environment's info at every step: only final observations."""

    def _add_info(self, infos: dict[str, Any], env_info: dict[str, Any], env_num: int) -> dict[str, Any]:
        if "final_obs" in env_info:
            infos.setdefault("final_obs", {})[env_num] = env_info["final_obs"]
        return infos


class Vector:
    """gymnasium's synchronous vector environment with same-step autoreset, and a way to save it.

    Args:
        makes: builds each environment.
        seed: of an environment's own generator, by index; every start takes N new ones.
        capture: name of the method that saves an environment, or None if none can.
    """

    def __init__(
        self,
        makes: Sequence[Callable[[], gymnasium.Env[Any, Any]]],
        seed: Callable[[int], int],
        capture: str | None = None,
    ) -> None:
        if capture == "replay":
            makes = [partial(_taped, make) for make in makes]
        self.inner = _Vector(list(makes), autoreset_mode=AutoresetMode.SAME_STEP, copy=False)
        self.num_envs, self.seed, self.starts = len(makes), seed, 0
        self.single_observation_space = self.inner.single_observation_space
        self.single_action_space = self.inner.single_action_space
        self.captures = [METHODS[capture](env) for env in self.inner.envs] if capture else None

    def start(self) -> np.ndarray:
        """First observations ``[N, ...]``, each environment seeded; another start has other seeds."""
        first = self.starts * self.num_envs
        seeds: list[int | None] = [self.seed(first + i) for i in range(self.num_envs)]
        for env, seed in zip(self.inner.envs, seeds, strict=True):
            # An environment may sample its own spaces; unseeded, they draw from the system's entropy.
            env.action_space.seed(seed)
            env.observation_space.seed(seed)
        observation, _ = self.inner.reset(seed=seeds)
        self.starts += 1
        return np.asarray(observation)

    def advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One step of every environment.

        Returns:
            Observations to act on ``[N, ...]``, rewards, terminated, truncated ``[N]``, and the true next
            observations ``[N, ...]``: where an episode ended, its last one. All but the last are
            overwritten by the next step.
        """
        observation, reward, terminated, truncated, info = self.inner.step(action)
        final = observation
        if info:
            final = np.array(observation)
            for i, last in info["final_obs"].items():
                final[i] = last
        return np.asarray(observation), reward, terminated, truncated, np.asarray(final)

    def state_dict(self) -> State:
        """How often they were started, and each environment's state, if there is a way to save it."""
        states = None if self.captures is None or not self.starts else [capture.save() for capture in self.captures]
        return {"starts": self.starts, "states": states}

    def load_state_dict(self, state: State) -> bool:
        """Put every environment back; False if their states were not saved, so that they have to start anew."""
        self.starts = state["starts"]
        if self.captures is None or state["states"] is None:
            return False
        # A reset first: it makes what a state refers to, such as a wrapper's episode.
        self.start()
        for capture, saved in zip(self.captures, state["states"], strict=True):
            capture.load(saved)
        self.starts = state["starts"]
        return True

    def close(self) -> None:
        """Close every environment."""
        self.inner.close()
