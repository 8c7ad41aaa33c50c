"""Evaluation: whole episodes, frozen statistics, raw rewards, the same fixed seeds each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlrecipe.interfaces import Transform
from rlrecipe.policy import Policy
from rlrecipe.streams import Stream, Streams

#: Environments stepped side by side; more only cost memory.
WIDTH = 16


@dataclass(frozen=True)
class Evaluation:
    """Returns and lengths of the episodes, in the order of their seeds."""

    returns: list[float]
    lengths: list[int]

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Standard deviation of the returns, over the episodes themselves."""
        return float(np.std(self.returns))

    def interval(self, samples: int = 2000) -> tuple[float, float]:
        """95 % bootstrap interval of the mean return, percentile method; the same at every call."""
        rng = np.random.default_rng(0)
        returns = np.asarray(self.returns)
        means = returns[rng.integers(0, len(returns), (samples, len(returns)))].mean(1)
        low, high = np.percentile(means, [2.5, 97.5])
        return float(low), float(high)


class Evaluator:
    """Runs episodes with a policy, each time in new environments.

    What an environment remembers of earlier episodes would make an evaluation depend on how often the
    run was resumed.

    Args:
        make: builds one environment.
        policy: what acts.
        transforms: what stands before it, with frozen statistics.
        streams: episode i is seeded by the evaluation stream i, whatever training has drawn.
        interrupted: asked at every step; an evaluation that is cut short returns None.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        policy: Policy,
        transforms: Sequence[Transform],
        streams: Streams,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.make, self.policy, self.transforms, self.streams = make, policy, transforms, streams
        self.interrupted = interrupted
        self.envs: list[Any] = []
        #: What a policy with a memory remembers of each environment's episode.
        self.carry: dict[int, np.ndarray] = {}

    def run(self, episodes: int, deterministic: bool = True) -> Evaluation | None:
        """Run ``episodes`` episodes, shared among the environments beforehand."""
        width = min(episodes, WIDTH)
        self.envs = [self.make() for _ in range(width)]
        try:
            return self._run(episodes, width, deterministic)
        finally:
            self.close()

    def _run(self, episodes: int, width: int, deterministic: bool) -> Evaluation | None:
        noise = None if deterministic else self.streams.fresh(Stream.EVALUATION, 2**31)
        returns, lengths = [0.0] * episodes, [0] * episodes
        # Environment k lives episodes k, k + width, ...: which one ends first changes nothing.
        at = {k: k for k in range(width)}
        shown = {k: self._reset(k, k) for k in range(width)}
        while at:
            if self.interrupted():
                return None
            active = list(at)
            observation = np.stack([shown[k] for k in active])
            for k, action in zip(active, self._act(active, observation, noise), strict=True):
                seen, reward, terminated, truncated, _ = self.envs[k].step(action)
                shown[k] = np.array(seen)
                returns[at[k]] += float(reward)
                lengths[at[k]] += 1
                if terminated or truncated:
                    at[k] += width
                    if at[k] < episodes:
                        shown[k] = self._reset(k, at[k])
                    else:
                        del at[k]
        return Evaluation(returns, lengths)

    def _reset(self, k: int, episode: int) -> np.ndarray:
        self.carry.pop(k, None)
        observation, _ = self.envs[k].reset(seed=self.streams.integer(Stream.EVALUATION, episode))
        return np.array(observation)

    def _act(self, active: list[int], observation: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        for transform in self.transforms:
            observation = transform.apply(observation)
        rows = np.asarray(observation, np.float32)
        if self.policy.front is not None:
            nothing = self.policy.nothing(1)[0]
            rows = self.policy.go_on(rows, np.stack([self.carry.get(k, nothing) for k in active]))
            self.carry.update(zip(active, self.policy.remember(rows), strict=True))
        noise = None if rng is None else self.policy.noise(rng, len(rows))
        return self.policy.to_env(self.policy.act(rows, noise))

    def close(self) -> None:
        """Close the environments."""
        for env in self.envs:
            env.close()
        self.envs.clear()
