"""Evaluation: whole episodes, frozen statistics, raw rewards, the same fixed seeds each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rlrecipe.acting.policy import Policy
from rlrecipe.errors import Diverged
from rlrecipe.interfaces import Key, State, Transform
from rlrecipe.stepping.capture import METHODS, renewal
from rlrecipe.stepping.wrappers.checked import told
from rlrecipe.streams import Stream, Streams

#: Environments stepped side by side; more only cost memory.
WIDTH = 16
#: Most steps of an episode where nobody says another number.
MAX_STEPS = 100_000


@dataclass(frozen=True)
class Evaluation:
    """Returns and lengths of the episodes, in the order of their seeds.

    Attributes:
        cut: how many had not ended after the stage's ``max_steps``, and were cut there.
    """

    returns: list[float]
    lengths: list[int]
    cut: int = 0

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


@dataclass(frozen=True)
class Stage:
    """What episodes of a policy need besides their seeds.

    Attributes:
        make: builds one environment; it may be given gymnasium's ``render_mode``.
        policy: what acts.
        transforms: what stands before it, with frozen statistics.
        width: most environments side by side.
        lend: lends one that trains, where none can be built beside it; it gives None where it cannot.
        max_steps: after how many steps an episode that has not ended is cut.
    """

    make: Callable[..., Any]
    policy: Policy
    transforms: Sequence[Transform]
    width: int = WIDTH
    lend: Callable[[], AbstractContextManager[Any] | None] | None = None
    max_steps: int = MAX_STEPS


class OccupiedError(RuntimeError):
    """No environment can be built to evaluate in while others train, and none of those can be lent."""


class Camera(Protocol):
    """Takes pictures of the first environment (``rlrecipe.recorders.mp4`` has one)."""

    def make(self, make: Callable[..., Any]) -> Any:
        """An environment that can be seen."""

    def take(self, episode: int, env: Any) -> None:
        """A picture, after a reset or a step."""


class Evaluator:
    """Runs episodes with a policy, each time in environments without a past.

    What an environment remembers of earlier episodes would make an evaluation depend on how often the
    run was resumed.

    Args:
        stage: environments, and what acts in them.
        streams: episode i is seeded by the evaluation stream i, whatever training has drawn.
        interrupted: asked at every step; an evaluation that is cut short returns None.
        keep: keep environments open between evaluations, put back to the state in which they were built;
            where no method is found that makes a used one as good as a new one, new ones are built all the same.
        camera: takes pictures of the first environment.
        width: environments stepped side by side; by default the stage's.
        say: tells, once, of episodes that did not end and were cut.
    """

    def __init__(
        self,
        stage: Stage,
        streams: Streams,
        interrupted: Callable[[], bool] = lambda: False,
        *,
        keep: bool = False,
        camera: Camera | None = None,
        width: int | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.stage, self.streams, self.interrupted = stage, streams, interrupted
        self.keep, self.camera, self.width = keep, camera, stage.width if width is None else width
        self.say, self._told = say, False
        self.envs: list[Any] = []
        #: What a policy with a memory remembers of each environment's episode.
        self.carry: dict[int, np.ndarray] = {}
        self._built: list[State] = []
        self._method: str | None = None
        self._borrowed, self._lent = ExitStack(), False

    def run(
        self,
        episodes: int,
        deterministic: bool = True,
        *,
        frames: int | None = None,
        watch: Callable[[Mapping[Key, Any]], None] | None = None,
    ) -> Evaluation | None:
        """Run ``episodes`` episodes, shared among the environments beforehand.

        Args:
            episodes: how many.
            deterministic: the most probable actions rather than drawn ones.
            frames: most frames of each, where fewer than the stage's ``max_steps``; None for whole episodes.
            watch: called with every transition, under the keys of a batch.

        Raises:
            Diverged: a reward or an observation is not finite.
        """
        self._open(min(episodes, self.width))
        try:
            evaluation = self._run(episodes, len(self.envs), deterministic, frames, watch)
            self._tell(evaluation)
            return evaluation
        finally:
            if self._method is None:
                self.close()

    def _tell(self, evaluation: Evaluation | None) -> None:
        if evaluation is None or not evaluation.cut or self._told:
            return
        self._told = True
        self.say(
            f"{evaluation.cut} of {len(evaluation.returns)} episodes did not end and were cut after "
            f"{self.stage.max_steps:,} steps (evaluation.max_steps); to end them for good, in training, too, add the "
            "transform step_counter (env.transforms) or give env.kwargs max_episode_steps"
        )

    def _open(self, width: int) -> None:
        """Environments as they are when they are built."""
        if len(self.envs) == width and self._method is not None:
            for env, built in zip(self.envs, self._built, strict=True):
                METHODS[self._method](env).load(built)
            return
        self.close()
        if self.keep:
            # Probed once: what cannot be put back today cannot be tomorrow.
            self._method, self.keep = renewal(self.stage.make), False
        try:
            self.envs.extend(self._make(k) for k in range(width))
        except Exception as error:
            # Some can be built once only: those that are there have to do.
            if not self.envs:
                self._borrow(error)
        if self._method is not None:
            self._built = [METHODS[self._method](env).save() for env in self.envs]

    def _borrow(self, error: Exception) -> None:
        """Take the environment that trains, where none could be built beside it.

        Raises:
            OccupiedError: it cannot be lent.
        """
        if self.stage.lend is None:
            raise error
        lent = self.stage.lend()
        if lent is None:
            raise OccupiedError(f"no environment can be built beside those that train: {told(error)}") from error
        self.envs, self._method, self._lent = [self._borrowed.enter_context(lent)], None, True

    def _make(self, k: int) -> Any:
        return self.stage.make() if k or self.camera is None else self.camera.make(self.stage.make)

    def _run(
        self,
        episodes: int,
        width: int,
        deterministic: bool,
        frames: int | None,
        watch: Callable[[Mapping[Key, Any]], None] | None,
    ) -> Evaluation | None:
        noise = None if deterministic else self.streams.fresh(Stream.EVALUATION, 2**31)
        returns, lengths, cut = [0.0] * episodes, [0] * episodes, 0
        most = self.stage.max_steps
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
                if watch is not None:
                    watch(_transition(shown[k], action, seen, reward, terminated, truncated))
                shown[k] = np.array(seen)
                returns[at[k]] += float(reward)
                lengths[at[k]] += 1
                if self.camera is not None:
                    self._picture(k, at[k])
                ended = terminated or truncated or lengths[at[k]] == frames
                cut += not ended and lengths[at[k]] == most
                if ended or lengths[at[k]] == most:
                    at[k] += width
                    if at[k] < episodes:
                        shown[k] = self._reset(k, at[k])
                    else:
                        del at[k]
        if not np.isfinite(returns).all():
            raise _diverged("rewards")
        return Evaluation(returns, lengths, cut)

    def _reset(self, k: int, episode: int) -> np.ndarray:
        self.carry.pop(k, None)
        observation, _ = self.envs[k].reset(seed=self.streams.integer(Stream.EVALUATION, episode))
        self._picture(k, episode)
        return np.array(observation)

    def _picture(self, k: int, episode: int) -> None:
        if k == 0 and self.camera is not None:
            self.camera.take(episode, self.envs[0])

    def _act(self, active: list[int], observation: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        for transform in self.stage.transforms:
            observation = transform.apply(observation)
        policy, rows = self.stage.policy, np.asarray(observation, np.float32)
        if not np.isfinite(rows).all():
            raise _diverged("observations")
        if policy.front is not None:
            nothing = policy.nothing(1)[0]
            rows = policy.go_on(rows, np.stack([self.carry.get(k, nothing) for k in active]))
            self.carry.update(zip(active, policy.remember(rows), strict=True))
        noise = None if rng is None else policy.noise(rng, len(rows))
        return policy.to_env(policy.act(rows, noise))

    def close(self) -> None:
        """Close the environments, or give back the one that was lent."""
        if self._lent:
            self.envs.clear()
        self._lent = False
        self._borrowed.close()
        for env in self.envs:
            env.close()
        self.envs.clear()


def _diverged(what: str) -> Diverged:
    return Diverged(f"not finite in an evaluation: {what}; check what the environment gives")


def _transition(shown: Any, action: Any, seen: Any, reward: Any, terminated: Any, truncated: Any) -> dict[Key, Any]:
    return {
        "observation": shown,
        "action": action,
        ("next", "observation"): np.array(seen),
        ("next", "reward"): float(reward),
        ("next", "terminated"): bool(terminated),
        ("next", "truncated"): bool(truncated),
    }
