"""stable-baselines3's own DQN, DDPG, TD3 and SAC updates, recorded one by one.

A small model collects a few hundred transitions, then its real ``train()`` makes 100 updates from its
real replay buffer under the observers of ``sb3_recorder``. Another implementation that takes ``initial``,
``initial_targets`` and each update's sample and noise must arrive at each update's ``parameters`` and
``targets``.

In float64 the transitions are collected in float32 as ever and then widened together with the policy,
its targets and the temperature, before anything is recorded.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.utils import polyak_update

from tests.parity.box_env import make_box_env
from tests.parity.sb3_recorder import OffPolicyTrace, Recorder
from tests.parity.sb3_slots import networks_of, optimizers_of, targets_of

TRANSITIONS, RANDOM_TRANSITIONS, UPDATES, CALLS = 400, 200, 100, 20
CARTPOLE_TIME_LIMIT = 12
HIDDEN = [16, 16]
BUFFER_ARRAYS = ("observations", "next_observations", "rewards", "dones", "timeouts")


def small(kind: Any, env: Any, learning_rate: float, **options: Any) -> Any:
    """An untrained model with two small hidden layers and a falling learning rate."""
    return kind(
        "MlpPolicy",
        env,
        learning_rate=lambda remaining: learning_rate * remaining,
        buffer_size=TRANSITIONS,
        learning_starts=RANDOM_TRANSITIONS,
        policy_kwargs={"net_arch": HIDDEN},
        device="cpu",
        **options,
    )


def collect(model: Any) -> None:
    """Fills the model's buffer as ``learn`` would: random actions first, then its own."""
    _, callback = model._setup_learn(total_timesteps=TRANSITIONS)
    callback.on_training_start({}, {})
    model.collect_rollouts(
        model.env,
        callback,
        TrainFreq(TRANSITIONS, TrainFrequencyUnit.STEP),
        model.replay_buffer,
        action_noise=model.action_noise,
        learning_starts=model.learning_starts,
    )
    assert model.replay_buffer.full


def widen(model: Any) -> None:
    """Turns policy, targets, temperature and the buffer into float64; their values stay."""
    model.policy.to(torch.float64)
    for name, module in model.policy.named_modules():
        # stable-baselines3 hands every observation over as float32, whatever the buffer holds.
        if name.endswith("features_extractor"):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    if isinstance(model, SAC):
        name = "ent_coef_tensor" if model.log_ent_coef is None else "log_ent_coef"
        tensor = getattr(model, name)
        tensor.data = tensor.data.double()  # in place, so that its optimizer keeps it
    discrete = isinstance(model, DQN)
    for name in BUFFER_ARRAYS if discrete else (*BUFFER_ARRAYS, "actions"):
        setattr(model.replay_buffer, name, getattr(model.replay_buffer, name).astype(np.float64))


def train(model: Any, batch_size: int, copy_every: int | None) -> None:
    """Makes 100 updates by the model's own ``train()``: 20 calls of 5, the progress moving between them.

    So the learning rate falls, and TD3's delay has to run on across calls. With ``copy_every`` (DQN) the
    targets are moved between calls, as stable-baselines3 does from ``_on_step`` and never from ``train()``.
    """
    for call in range(CALLS):
        model._current_progress_remaining = 1.0 - call / CALLS
        model.train(gradient_steps=UPDATES // CALLS, batch_size=batch_size)
        if copy_every is not None and (call + 1) * UPDATES // CALLS % copy_every == 0:
            polyak_update(model.q_net.parameters(), model.q_net_target.parameters(), model.tau)


def record(
    model: Any, dtype: torch.dtype, batch_size: int, copy_every: int | None = None, **settings: Any
) -> OffPolicyTrace:
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
        train(model, batch_size, copy_every)
    trace.updates.extend(recorder.updates)
    check_exercised(trace)
    return trace


def record_dqn(
    *,
    dtype: torch.dtype = torch.float64,
    learning_rate: float = 1e-2,
    gamma: float = 0.99,
    tau: float = 1.0,
    clip_norm: float = 10.0,
    batch_size: int = 32,
    copy_every: int = 5,
    seed: int = 0,
) -> OffPolicyTrace:
    """DQN on CartPole. The targets move by ``tau`` after every ``copy_every`` updates (a multiple of 5)."""
    assert copy_every % (UPDATES // CALLS) == 0, "the targets can only be moved between calls of train()"
    env = gymnasium.make("CartPole-v1", max_episode_steps=CARTPOLE_TIME_LIMIT)
    options = {
        "max_grad_norm": clip_norm,
        "exploration_fraction": 1.0,
        "target_update_interval": 10 * TRANSITIONS,  # collecting must not move the targets
    }
    model = small(DQN, env, learning_rate, gamma=gamma, tau=tau, seed=seed, **options)
    return record(model, dtype, batch_size, copy_every, clip_norm=model.max_grad_norm)


def record_td3(
    *,
    dtype: torch.dtype = torch.float64,
    learning_rate: float = 1e-2,
    gamma: float = 0.98,
    tau: float = 0.05,
    policy_delay: int = 2,
    target_noise: float = 0.2,
    noise_clip: float = 0.5,
    batch_size: int = 32,
    seed: int = 0,
) -> OffPolicyTrace:
    """TD3 on ``BoxEnv``: two critics, smoothed targets, policy and targets moved on delayed updates only."""
    noise = {"target_policy_noise": target_noise, "target_noise_clip": noise_clip}
    return record_deterministic(
        TD3, dtype, learning_rate, batch_size, gamma=gamma, tau=tau, policy_delay=policy_delay, seed=seed, **noise
    )


def record_ddpg(
    *,
    dtype: torch.dtype = torch.float64,
    learning_rate: float = 1e-2,
    gamma: float = 0.98,
    tau: float = 0.05,
    batch_size: int = 32,
    seed: int = 0,
) -> OffPolicyTrace:
    """DDPG on ``BoxEnv``: one critic, no delay. Its noise is drawn, then clipped to ``noise_clip`` = 0."""
    return record_deterministic(DDPG, dtype, learning_rate, batch_size, gamma=gamma, tau=tau, seed=seed)


def record_deterministic(
    kind: Any, dtype: torch.dtype, learning_rate: float, batch_size: int, **options: Any
) -> OffPolicyTrace:
    """TD3, or DDPG, which is a TD3 in stable-baselines3."""
    exploration = NormalActionNoise(np.zeros(2), np.full(2, 0.1))
    model = small(kind, make_box_env(), learning_rate, action_noise=exploration, **options)
    settings = {
        "policy_delay": model.policy_delay,
        "target_noise": model.target_policy_noise,
        "noise_clip": model.target_noise_clip,
    }
    return record(model, dtype, batch_size, **settings)


def record_sac(
    *,
    dtype: torch.dtype = torch.float64,
    learning_rate: float = 1e-2,
    gamma: float = 0.98,
    tau: float = 0.05,
    fixed_alpha: float | None = None,
    initial_alpha: float = 1.0,
    target_entropy: float | None = None,
    tanh_epsilon: float | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> OffPolicyTrace:
    """SAC on ``BoxEnv``, its temperature learned from ``initial_alpha`` or else ``fixed_alpha``.

    ``target_entropy`` None is minus the number of action components. stable-baselines3 adds 1e-6 inside
    the logarithm of the tanh correction; ``tanh_epsilon`` puts another number (0: the exact correction) there.
    """
    coefficient = f"auto_{initial_alpha}" if fixed_alpha is None else fixed_alpha
    entropy = {"ent_coef": coefficient, "target_entropy": "auto" if target_entropy is None else target_entropy}
    model = small(SAC, make_box_env(), learning_rate, gamma=gamma, tau=tau, seed=seed, **entropy)
    if tanh_epsilon is not None:
        model.actor.action_dist.epsilon = tanh_epsilon
    settings = {
        "target_entropy": model.target_entropy if fixed_alpha is None else None,
        "fixed_alpha": None if fixed_alpha is None else float(model.ent_coef_tensor),
        "tanh_epsilon": model.actor.action_dist.epsilon,
    }
    return record(model, dtype, batch_size, **settings)


def check_exercised(trace: OffPolicyTrace) -> None:
    """Asserts what every trace is for: both ends of episodes in the samples, targets and networks that move."""
    assert len(trace.updates) == UPDATES
    for flag in ("terminated", "truncated"):
        rows = torch.stack([getattr(update.sample, flag) for update in trace.updates])
        assert rows.any(-1).sum() >= 20, f"hardly any sample holds a row that is {flag}"
    assert sum(update.targets_moved for update in trace.updates) >= 5, "the targets hardly move"
    for name, tensor in trace.updates[-1].parameters.items():
        assert float((tensor - trace.initial[name]).abs().max()) > 1e-3, f"{name} hardly moves"
