"""Where experience comes from and where it is kept: exploration, collector, replay buffer, sampler."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial, reduce
from typing import Any

import numpy as np

from rlrecipe.builders.environments import Spaces, in_phase, make_env
from rlrecipe.builders.learning import Learner
from rlrecipe.builders.numbers import Numbers
from rlrecipe.clock import Clock
from rlrecipe.interfaces import Collector, Exploration, Key, ReplayBuffer, Sampler, Transform
from rlrecipe.policy import Policy
from rlrecipe.recipe.schema import Recipe
from rlrecipe.replay.base import Transitions
from rlrecipe.streams import Stream, Streams
from rlrecipe.trainers.minibatches import Minibatches
from rlrecipe.trainers.replay import Ratio, Replay
from rlrecipe.vector import Vector


def make_exploration(recipe: Recipe, spaces: Spaces, numbers: Numbers) -> Exploration | None:
    """What makes the policy try other actions."""
    options, num_envs = recipe.exploration, getattr(recipe.env, "num_envs", 1)
    if options is None:
        return None
    exploration: Exploration = options.component.build(options, spaces.action, num_envs, numbers)
    return exploration


def make_collector(
    recipe: Recipe,
    policy: Policy,
    transforms: Mapping[str, Transform],
    streams: Streams,
    clock: Clock,
    capture: str | None,
    exploration: Exploration | None = None,
) -> Collector:
    """The collector over its environments."""
    env: Any = recipe.env
    envs = Vector([partial(make_env, env)] * env.num_envs, partial(streams.integer, Stream.ENVIRONMENT), capture)
    options = recipe.collector
    collector: Collector = options.component.build(
        options,
        envs,
        policy,
        [transforms[name] for name in in_phase(recipe.env, "train")],
        streams.generator(Stream.ACTION),
        lambda: clock.frames,
        exploration,
        raw=recipe.replay_buffer is not None,
    )
    return collector


def columns(policy: Policy, spaces: Spaces) -> dict[Key, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of one row of each key of a transition."""
    observation = (tuple(spaces.observation.shape), np.dtype(np.float32))
    action = policy.act(np.zeros((1, *spaces.observation.shape), np.float32), None)
    flag = ((), np.dtype(np.bool_))
    return {
        "observation": observation,
        "action": (action.shape[1:], action.dtype),
        ("next", "observation"): observation,
        ("next", "reward"): ((), np.dtype(np.float32)),
        ("next", "terminated"): flag,
        ("next", "truncated"): flag,
    }


def make_replay_buffer(
    recipe: Recipe,
    learner: Learner,
    spaces: Spaces,
    transforms: Mapping[str, Transform],
    streams: Streams,
    numbers: Numbers,
) -> ReplayBuffer:
    """The buffer of transitions."""
    seen = [transforms[name].apply_reward for name in in_phase(recipe.env, "train")]
    options: Any = recipe.replay_buffer
    algorithm, num_envs = learner.algorithm, getattr(recipe.env, "num_envs", 1)
    reward = partial(reduce, lambda reward, apply: apply(reward), seen) if seen else None
    held = Transitions(columns(learner.policy, spaces), num_envs, algorithm.n_steps, algorithm.gamma, reward)
    buffer: ReplayBuffer = options.component.build(options, held, streams.generator(Stream.SAMPLER), numbers)
    buffer.include_content = recipe.checkpoint.include_buffer
    return buffer


def make_sampler(
    recipe: Recipe,
    learner: Learner,
    buffer: ReplayBuffer | None,
    transforms: Mapping[str, Transform],
    streams: Streams,
    clock: Clock,
) -> Sampler:
    """Where the sub-batches of updates come from: the newest batch, or the buffer."""
    if buffer is None:
        return Minibatches(learner.algorithm, streams.generator(Stream.PERMUTATION))
    trainer = recipe.trainer
    starts = getattr(recipe.collector, "init_random_frames", 0)
    return Replay(
        buffer,
        learner.algorithm,
        [transforms[name] for name in in_phase(recipe.env, "train")],
        Ratio(starts, trainer.updates_per_frame, trainer.optim_steps_per_batch),
        clock,
        streams.generator(Stream.NOISE),
        learner.parameters.flat.device,
    )
