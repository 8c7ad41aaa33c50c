"""stable-baselines3's own DQN, DDPG, TD3 and SAC updates, recorded one by one.

A small model collects a few hundred transitions, then its real ``train()`` makes 100 updates from its
real replay buffer under the observers of ``sb3_recorder``. Another implementation that takes ``initial``,
``initial_targets`` and each update's sample and noise must arrive at each update's ``parameters`` and
``targets``.

In float64 the transitions are collected in float32 as ever and then widened together with the policy,
its targets and the temperature, before anything is recorded.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.utils import polyak_update

from tests.parity.box_env import make_box_env
from tests.parity.sb3_model import HIDDEN, begin, falling, widen_policy
from tests.parity.sb3_recorder import OffPolicyTrace, Recorder
from tests.parity.sb3_slots import networks_of, optimizers_of, targets_of

TRANSITIONS, RANDOM_TRANSITIONS, UPDATES, CALLS, BATCH = 400, 200, 100, 20, 32
CARTPOLE_TIME_LIMIT = 12
BUFFER_ARRAYS = ("observations", "next_observations", "rewards", "dones", "timeouts")


def small(
    kind: Any,
    env: Any,
    *,
    learning_rate: float = 1e-2,
    gamma: float = 0.98,
    tau: float = 0.05,
    seed: int = 0,
    **options: Any,
) -> Any:
    """An untrained model with two small hidden layers and a falling learning rate."""
    return kind(
        "MlpPolicy",
        env,
        learning_rate=falling(learning_rate),
        gamma=gamma,
        tau=tau,
        seed=seed,
        buffer_size=TRANSITIONS,
        learning_starts=RANDOM_TRANSITIONS,
        policy_kwargs={"net_arch": HIDDEN},
        device="cpu",
        **options,
    )


def collect(model: Any) -> None:
    """Fills the model's buffer as ``learn`` would: random actions first, then its own."""
    model.collect_rollouts(
        model.env,
        begin(model, TRANSITIONS),
        TrainFreq(TRANSITIONS, TrainFrequencyUnit.STEP),
        model.replay_buffer,
        action_noise=model.action_noise,
        learning_starts=model.learning_starts,
    )
    assert model.replay_buffer.full


def widen(model: Any) -> None:
    """Turns policy, targets, temperature and the buffer into float64; their values stay."""
    widen_policy(model.policy)
    if isinstance(model, SAC):
        name = "ent_coef_tensor" if model.log_ent_coef is None else "log_ent_coef"
        tensor = getattr(model, name)
        tensor.data = tensor.data.double()  # in place, so that its optimizer keeps it
    discrete = isinstance(model, DQN)
    for name in BUFFER_ARRAYS if discrete else (*BUFFER_ARRAYS, "actions"):
        setattr(model.replay_buffer, name, getattr(model.replay_buffer, name).astype(np.float64))


def train(model: Any, copy_every: int | None) -> None:
    """Makes 100 updates by the model's own ``train()``: 20 calls of 5, the progress moving between them.

    So the learning rate falls, and TD3's delay has to run on across calls. With ``copy_every`` (DQN) the
    targets are moved between calls, as stable-baselines3 does from ``_on_step`` and never from ``train()``.
    """
    for call in range(CALLS):
        model._current_progress_remaining = 1.0 - call / CALLS
        model.train(gradient_steps=UPDATES // CALLS, batch_size=BATCH)
        if copy_every is not None and (call + 1) * UPDATES // CALLS % copy_every == 0:
            polyak_update(model.q_net.parameters(), model.q_net_target.parameters(), model.tau)


def record(model: Any, dtype: torch.dtype, copy_every: int | None = None, **settings: Any) -> OffPolicyTrace:
    """Collects with an untrained model, then records its 100 updates."""
    collect(model)
    if dtype == torch.float64:
        widen(model)
    group = optimizers_of(model)["qvalue"].param_groups[0]
    trace = OffPolicyTrace(
        algorithm=type(model).__name__.lower(),
        dtype=dtype,
        gamma=model.gamma,
        tau=model.tau,
        adam_betas=group["betas"],
        adam_eps=group["eps"],
        initial=networks_of(model),
        initial_targets=targets_of(model),
        **settings,
    )
    recorder = Recorder(model)
    with recorder.attached():
        train(model, copy_every)
    trace.updates.extend(recorder.updates)
    check_exercised(trace)
    return trace


def record_dqn(*, dtype: torch.dtype = torch.float64) -> OffPolicyTrace:
    """DQN on CartPole, its targets copied after every fifth update."""
    model = small(
        DQN,
        gymnasium.make("CartPole-v1", max_episode_steps=CARTPOLE_TIME_LIMIT),
        gamma=0.99,
        tau=1.0,
        max_grad_norm=10.0,
        exploration_fraction=1.0,
        target_update_interval=10 * TRANSITIONS,  # collecting must not move the targets
    )
    # They can only be moved between calls of train().
    return record(model, dtype, UPDATES // CALLS, clip_norm=model.max_grad_norm)


def record_deterministic(kind: Any, *, dtype: torch.dtype = torch.float64, **options: Any) -> OffPolicyTrace:
    """TD3 on ``BoxEnv``, or DDPG, which is a TD3 in stable-baselines3; ``options`` are the model's."""
    exploration = NormalActionNoise(np.zeros(2), np.full(2, 0.1))
    model = small(kind, make_box_env(), action_noise=exploration, **options)
    settings = {
        "policy_delay": model.policy_delay,
        "target_noise": model.target_policy_noise,
        "noise_clip": model.target_noise_clip,
    }
    return record(model, dtype, **settings)


#: Two critics, smoothed targets, policy and targets moved on delayed updates only.
record_td3 = partial(record_deterministic, TD3)
#: One critic, no delay. Its noise is drawn, then clipped to ``noise_clip`` = 0.
record_ddpg = partial(record_deterministic, DDPG)


def record_sac(
    *,
    dtype: torch.dtype = torch.float64,
    fixed_alpha: float | None = None,
    tanh_epsilon: float | None = None,
) -> OffPolicyTrace:
    """SAC on ``BoxEnv``, its temperature learned from 1, or else ``fixed_alpha``.

    stable-baselines3 adds 1e-6 inside the logarithm of the tanh correction; ``tanh_epsilon`` puts another
    number (0: the exact correction) there.
    """
    coefficient = "auto_1.0" if fixed_alpha is None else fixed_alpha
    model = small(SAC, make_box_env(), ent_coef=coefficient)
    if tanh_epsilon is not None:
        model.actor.action_dist.epsilon = tanh_epsilon
    settings = {
        "target_entropy": model.target_entropy if fixed_alpha is None else None,
        "fixed_alpha": None if fixed_alpha is None else float(model.ent_coef_tensor),
        "tanh_epsilon": model.actor.action_dist.epsilon,
    }
    return record(model, dtype, **settings)


def check_exercised(trace: OffPolicyTrace) -> None:
    """Asserts what every trace is for: both ends of episodes in the samples, targets and networks that move."""
    assert len(trace.updates) == UPDATES
    for flag in ("terminated", "truncated"):
        rows = torch.stack([getattr(update.sample, flag) for update in trace.updates])
        assert rows.any(-1).sum() >= 20, f"hardly any sample holds a row that is {flag}"
    assert sum(update.targets_moved for update in trace.updates) >= 5, "the targets hardly move"
    for name, tensor in trace.updates[-1].parameters.items():
        assert float((tensor - trace.initial[name]).abs().max()) > 1e-3, f"{name} hardly moves"
