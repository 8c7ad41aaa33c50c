"""Collects frames in this process, one vector step at a time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlrecipe.interfaces import Batch, Collector, Exploration, State, Transform, Vectored
from rlrecipe.interfaces.abilities import Observes
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.asked import frames_per_batch, minibatch_size, num_envs
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.acting.policy import Policy
    from rlrecipe.recipe.schema import Recipe


class SyncOptions(Options):
    """Environments stepped in turn in this process: exactly resumable, and fastest for light ones."""

    frames_per_batch: int = option(2048, "Frames of one batch, over all environments.", gt=0)
    init_random_frames: int = option(
        0, "Frames with random actions before off-policy learning starts; more fill the buffer more evenly.", ge=0
    )


class EpisodeCounter:
    """Return and length of every episode, raw rewards, as they finish."""

    def __init__(self, num_envs: int) -> None:
        self.returns, self.lengths = np.zeros(num_envs), np.zeros(num_envs, dtype=np.int64)
        self.finished: list[tuple[int, float, int]] = []

    def step(self, reward: np.ndarray, done: np.ndarray, frames: int) -> None:
        """Count one vector step; ``frames`` is the run's count after it."""
        self.returns += reward
        self.lengths += 1
        if done.any():
            for i in np.flatnonzero(done):
                self.finished.append((frames, float(self.returns[i]), int(self.lengths[i])))
            self.returns[done] = 0.0
            self.lengths[done] = 0

    def take(self) -> list[tuple[int, float, int]]:
        """Frames, return and length of each episode since the last call."""
        taken, self.finished = self.finished, []
        return taken


#: Arrays that a collector records, of observations and in all.
OBSERVED = ("observation", "next_observation")
RECORDED = (*OBSERVED, "action", "reward", "terminated", "truncated", "done")


def as_batch(arrays: Mapping[str, np.ndarray]) -> Batch:
    """Arrays ``[T, N, ...]`` of a collection as a batch over the same memory."""
    tensors = {name: torch.from_numpy(arrays[name]) for name in RECORDED}
    batch: Batch = {"observation": tensors["observation"], "action": tensors["action"]}
    batch["next", "observation"] = tensors["next_observation"]
    for key in ("reward", "terminated", "truncated", "done"):
        batch["next", key] = tensors[key]
    return batch


def without_episodes(state: Any) -> Any:
    """A collector's state whose environments start new episodes; how often they were started is kept."""
    if isinstance(state, list):
        return [without_episodes(part) for part in state]
    if not isinstance(state, dict):
        return state
    if "starts" in state and "states" in state:
        return {**state, "states": None}
    if "envs" in state and "observation" in state:
        none = {"observation": None, "recorded": None}
        zeros = {key: np.zeros_like(state[key]) for key in ("returns", "lengths")}
        return {**state, **none, **zeros, "envs": without_episodes(state["envs"])}
    return {key: without_episodes(part) for key, part in state.items()}


class SyncCollector:
    """Steps a vector of environments with same-step autoreset into preallocated arrays.

    Args:
        envs: the environments.
        policy: what acts.
        transforms: what stands between them, first to last.
        options: frames_per_batch is a multiple of the number of environments.
        rng: the action stream.
        frames: the run's frames before the next batch.
        exploration: changes the policy's actions.
        raw: record observations and rewards as they are, not as the policy sees them.
    """

    def __init__(
        self,
        envs: Vectored,
        policy: Policy,
        transforms: Sequence[Transform],
        options: SyncOptions,
        rng: np.random.Generator,
        frames: Callable[[], int],
        exploration: Exploration | None = None,
        raw: bool = False,
    ) -> None:
        self.envs, self.policy, self.transforms, self.rng, self.frames = envs, policy, transforms, rng, frames
        self.exploration, self.raw, self.random_frames = exploration, raw, options.init_random_frames
        self.frames_per_batch = options.frames_per_batch
        #: Frames of one step of all environments that are stepped together.
        self.stride = envs.num_envs
        self.episodes: EpisodeCounter = EpisodeCounter(envs.num_envs)
        #: What the policy sees next, and what of it is recorded.
        self.observation: np.ndarray | None = None
        self.recorded: np.ndarray | None = None
        steps, n = options.frames_per_batch // envs.num_envs, envs.num_envs
        shape = policy.shape(envs.single_observation_space.shape or ())
        #: Of the rows that the policy sees at once; a batch may keep them as bytes.
        self.shape = (n, *shape)
        seen, kept = self._dtypes()
        self.seen, self.kept = seen, kept if raw else seen
        action = policy.act(np.zeros((n, *shape), seen), None)
        arrays = {
            "observation": np.zeros((steps, n, *shape), self.kept),
            "next_observation": np.zeros((steps, n, *shape), self.kept),
            "action": np.zeros((steps, *action.shape), action.dtype),
            "reward": np.zeros((steps, n), np.float32),
            "terminated": np.zeros((steps, n), np.bool_),
            "truncated": np.zeros((steps, n), np.bool_),
            "done": np.zeros((steps, n), np.bool_),
        }
        self.packing = None if raw else policy.packing
        if self.packing is not None:
            for name in OBSERVED:
                arrays[name] = np.zeros((steps, n, self.packing.size), np.uint8)
        self.record_into(arrays)

    def record_into(self, arrays: dict[str, np.ndarray]) -> None:
        """Let batches be these arrays."""
        self.arrays, self._batch = arrays, dict[Any, Any]()

    def _dtypes(self) -> tuple[np.dtype[Any], np.dtype[Any]]:
        """Of what the policy sees, and of what the environments give: bytes of an image stay bytes until it is read."""
        given = self.envs.observation_dtype
        # Numbers that a transform changes, or a row that also holds what is remembered, are no bytes any more.
        changed = any(not isinstance(transform, Observes) or transform.observes for transform in self.transforms)
        shape = self.envs.single_observation_space.shape or ()
        rows = self.policy.shape(shape) != shape
        return np.dtype(np.float32) if changed or rows else given, given

    @property
    def anew(self) -> bool:
        """Whether the next batch starts new episodes."""
        return self.observation is None

    def collect(self) -> Batch:
        """The next batch, ``[T, N, ...]`` over this collector's own arrays."""
        self.record()
        self._batch = self._batch or as_batch(self.arrays)
        return dict(self._batch)

    def record(self) -> None:
        """Fill the arrays with the next batch."""
        if self.anew:
            self._start()
        start = self.frames()
        for t in range(len(self.arrays["reward"])):
            self._step(t, start + t * self.stride)

    def _start(self) -> None:
        shown = first = self.envs.start()
        for transform in self.transforms:
            shown = transform.reset(shown)
        self.observation = np.asarray(self.policy.begin(shown), self.seen)
        self.recorded = np.asarray(first, self.kept) if self.raw else self.observation

    def _act(self, observation: np.ndarray, frames: int) -> np.ndarray:
        if frames < self.random_frames:
            return self.policy.random(self.rng, len(observation))
        action = self.policy.act(observation, self.policy.noise(self.rng, len(observation)))
        return action if self.exploration is None else self.exploration(action, self.rng)

    def _step(self, t: int, frames: int) -> None:
        """Act, step, record row ``t``, as the run has ``frames`` frames before it."""
        assert self.observation is not None, "environments have been started"
        arrays = self.arrays
        action = self._act(self.observation, frames)
        following, reward, terminated, truncated, final = self.envs.advance(self.policy.to_env(action))
        done = terminated | truncated
        # Not done: a life that was lost ends what is learned from, but not the game.
        self.episodes.step(reward, self.envs.over, frames + self.stride)
        if self.exploration is not None and done.any():
            self.exploration.reset(done)
        self._keep("observation", t, self.recorded)
        arrays["action"][t] = action
        raw = (following, final, reward)
        for transform in self.transforms:
            following, final, reward = transform.step(following, final, reward, done)
        following, final = self.policy.recall(self.observation, following, final, done)
        recorded, last, gained = raw if self.raw else (following, final, reward)
        self._keep("next_observation", t, last)
        arrays["reward"][t] = gained
        # Both flags mean terminated: there is no future to bootstrap from.
        arrays["terminated"][t], arrays["truncated"][t], arrays["done"][t] = (
            terminated,
            truncated & ~terminated,
            done,
        )
        self.observation = np.asarray(following, self.seen)
        self.recorded = np.asarray(recorded, self.kept) if self.raw else self.observation

    def _keep(self, name: str, t: int, rows: Any) -> None:
        """Record rows ``[N, ...]`` of observations."""
        if self.packing is None:
            self.arrays[name][t] = rows
        else:
            self.packing.pack(np.asarray(rows, np.float32), self.arrays[name][t])

    def state_dict(self) -> State:
        """What the next batch depends on besides the policy and the random streams."""
        return {
            "observation": self.observation,
            "recorded": self.recorded if self.raw else None,
            "exploration": self.exploration.state_dict() if self.exploration else None,
            "returns": self.episodes.returns,
            "lengths": self.episodes.lengths,
            "envs": self.envs.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Go on in the middle of the saved episodes, where the environments can be put back there.

        Raises:
            ValueError: what was observed last is no row of each environment.
        """
        expected = self.shape
        for name in ("observation", "recorded"):
            if state[name] is not None and np.shape(state[name]) != expected:
                raise ValueError(f"{name} has the shape {np.shape(state[name])}, expected {expected}")
        if self.exploration is not None:
            self.exploration.load_state_dict(state["exploration"])
        if self.envs.load_state_dict(state["envs"]):
            self.observation = state["observation"]
            self.recorded = state["recorded"] if self.raw else self.observation
            self.episodes.returns, self.episodes.lengths = state["returns"], state["lengths"]
        elif state["observation"] is not None:
            warnings.warn("environments start new episodes: their state could not be saved", stacklevel=2)

    def restart(self) -> None:
        """Give up the episodes at hand: the next batch starts new ones, in this run and in a resumed one."""
        self.observation = self.recorded = None
        self.episodes = EpisodeCounter(self.envs.num_envs)
        if self.exploration is not None:
            self.exploration.reset(np.ones(self.envs.num_envs, bool))

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()


def check(recipe: Recipe) -> Iterable[Problem]:
    """What in a recipe cannot go with this collector."""
    frames, n = frames_per_batch(recipe.collector) or 0, num_envs(recipe.env)
    if frames % n:
        # A cure that the algorithm's minibatches can share out, too.
        step = math.lcm(n, minibatch_size(recipe.algorithm))
        yield Problem(
            "E302",
            ("collector", "frames_per_batch"),
            f"{frames} frames cannot be shared among {n} environments: {frames} = {frames // n} x {n} + {frames % n}",
            f"make frames_per_batch {max(1, round(frames / step)) * step}",
            (("env", "num_envs"), ("algorithm",)),
        )


@register("collector", "sync", check=check)
def make_sync(
    options: SyncOptions,
    envs: Vectored,
    policy: Policy,
    transforms: Sequence[Transform],
    rng: np.random.Generator,
    frames: Callable[[], int],
    exploration: Exploration | None = None,
    raw: bool = False,
) -> Collector:
    """A collector in this process."""
    return SyncCollector(envs, policy, transforms, options, rng, frames, exploration, raw)
