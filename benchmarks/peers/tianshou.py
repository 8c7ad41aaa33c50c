"""Tianshou as its examples use it: networks, ``DummyVectorEnv``, ``Collector``, ``Trainer``; no test episodes.

DQN has no word for a largest gradient norm, so its optimizer clips. Its target network follows once per batch of
frames; stable-baselines3 copies more often, but to the same effect: within a batch of frames nothing is learned.
What falls linearly (exploration, clip range) falls once per batch.
"""

from __future__ import annotations

from typing import Any

from benchmarks.cards import Ramp
from benchmarks.peers.meter import Counts, Meter, Options, main
from benchmarks.peers.steps import Steps
from benchmarks.work import SPEED, SpeedCard

#: Stable-baselines3's default size of a replay buffer.
BUFFER = 1_000_000


def _net(ts: Any, speed: SpeedCard, env: Any, **options: Any) -> Any:
    """The card's hidden layers."""
    hidden = speed.networks[0][1][1:-1]
    return ts.utils.net.common.Net(state_shape=env.observation_space.shape, hidden_sizes=hidden, **options)


def _actor_critic(ts: Any, speed: SpeedCard, env: Any) -> tuple[Any, Any]:
    """The policy and the critic of an on-policy card, initialised as in Tianshou's examples."""
    from torch import distributions, nn

    reinforce, nets = ts.algorithm.modelfree.reinforce, ts.utils.net
    body, other = (_net(ts, speed, env, activation=nn.Tanh) for _ in range(2))
    policy: Any
    if hasattr(env.action_space, "n"):
        actor = nets.discrete.DiscreteActor(
            preprocess_net=body, action_shape=int(env.action_space.n), softmax_output=False
        )
        critic, last = nets.discrete.DiscreteCritic(preprocess_net=other), actor.last
        policy = reinforce.DiscreteActorPolicy(actor=actor, action_space=env.action_space)
    else:
        actor = nets.continuous.ContinuousActorProbabilistic(
            preprocess_net=body, action_shape=env.action_space.shape, unbounded=True
        )
        critic, last = nets.continuous.ContinuousCritic(preprocess_net=other), actor.mu
        policy = reinforce.ProbabilisticActorPolicy(
            actor=actor,
            dist_fn=lambda given: distributions.Independent(distributions.Normal(*given), 1),
            action_space=env.action_space,
            action_scaling=True,
            action_bound_method="clip",
        )
    for layer in [*actor.modules(), *critic.modules()]:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=2**0.5)
            nn.init.zeros_(layer.bias)
    for layer in last.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data.mul_(0.01)
    return policy, critic


def make_ppo(ts: Any, speed: SpeedCard, env: Any) -> Any:
    """PPO with separate networks."""
    optim, options = ts.algorithm.optim, speed.work.options
    policy, critic = _actor_critic(ts, speed, env)
    adam = optim.AdamOptimizerFactory(lr=options["learning_rate"].start, eps=1e-5)
    if options["learning_rate"].linear:
        falling = optim.LRSchedulerFactoryLinear(1, speed.work.frames, speed.work.frames_per_batch)
        adam = adam.with_lr_scheduler_factory(falling)
    return ts.algorithm.PPO(
        policy=policy,
        critic=critic,
        optim=adam,
        eps_clip=options["clip_range"].start,
        gamma=options["gamma"],
        gae_lambda=options["gae_lambda"],
        ent_coef=0.0,
        max_grad_norm=0.5,
    )


def make_a2c(ts: Any, speed: SpeedCard, env: Any) -> Any:
    """A2C with stable-baselines3's defaults."""
    policy, critic = _actor_critic(ts, speed, env)
    rmsprop = ts.algorithm.optim.RMSpropOptimizerFactory(lr=7e-4, alpha=0.99, eps=1e-5)
    return ts.algorithm.A2C(
        policy=policy, critic=critic, optim=rmsprop, gae_lambda=1.0, ent_coef=0.0, max_grad_norm=0.5
    )


def _critics(ts: Any, speed: SpeedCard, env: Any) -> dict[str, Any]:
    """Two critics and all optimizers, as both off-policy algorithms for continuous actions take them."""
    adam = ts.algorithm.optim.AdamOptimizerFactory(lr=speed.work.options["learning_rate"])
    nets = (_net(ts, speed, env, action_shape=env.action_space.shape, concat=True) for _ in range(2))
    first, second = (ts.utils.net.continuous.ContinuousCritic(preprocess_net=net) for net in nets)
    return {"critic": first, "critic2": second, "policy_optim": adam, "critic_optim": adam, "critic2_optim": adam}


def make_sac(ts: Any, speed: SpeedCard, env: Any) -> Any:
    """SAC with a learned temperature."""
    sac, shape = ts.algorithm.modelfree.sac, env.action_space.shape
    actor = ts.utils.net.continuous.ContinuousActorProbabilistic(
        preprocess_net=_net(ts, speed, env), action_shape=shape, unbounded=True, conditioned_sigma=True
    )
    rest = _critics(ts, speed, env)
    alpha = sac.AutoAlpha(target_entropy=-float(shape[0]), log_alpha=0.0, optim=rest["critic_optim"])
    policy = sac.SACPolicy(actor=actor, action_space=env.action_space)
    return ts.algorithm.SAC(policy=policy, alpha=alpha, **rest)


def make_td3(ts: Any, speed: SpeedCard, env: Any) -> Any:
    """TD3, the policy at every second update."""
    actor = ts.utils.net.continuous.ContinuousActorDeterministic(
        preprocess_net=_net(ts, speed, env), action_shape=env.action_space.shape
    )
    noise = ts.exploration.GaussianNoise(sigma=speed.work.options["action_noise"])
    ddpg = ts.algorithm.modelfree.ddpg
    policy = ddpg.ContinuousDeterministicPolicy(actor=actor, action_space=env.action_space, exploration_noise=noise)
    return ts.algorithm.TD3(policy=policy, **_critics(ts, speed, env))


def _clipping_adam(parameters: Any, lr: float) -> Any:
    """An optimizer that clips gradients as stable-baselines3's DQN does."""
    from torch import nn, optim

    def clip(optimizer: Any, *_: Any) -> None:
        nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 10.0)

    adam = optim.Adam(parameters, lr=lr)
    adam.register_step_pre_hook(clip)
    return adam


def make_dqn(ts: Any, speed: SpeedCard, env: Any) -> Any:
    """DQN, not the double one."""
    options = speed.work.options
    model = _net(ts, speed, env, action_shape=int(env.action_space.n))
    policy = ts.algorithm.modelfree.dqn.DiscreteQLearningPolicy(model=model, action_space=env.action_space)
    return ts.algorithm.DQN(
        policy=policy,
        optim=ts.algorithm.optim.TorchOptimizerFactory(_clipping_adam, lr=options["learning_rate"]),
        gamma=options["gamma"],
        target_update_freq=options["gradient_steps"],
        is_double=False,
        huber_loss_delta=1.0,
    )


ALGORITHMS = {"ppo": make_ppo, "a2c": make_a2c, "sac": make_sac, "td3": make_td3, "dqn": make_dqn}


class Watch:
    """Tianshou's step hook: frames, progress and returns of training episodes."""

    def __init__(self, meter: Meter, steps: Steps, num_envs: int) -> None:
        import numpy as np

        self.meter, self.steps, self.frames = meter, steps, 0
        self.returns = np.zeros(num_envs)

    def __call__(self, _: Any, step: Any) -> None:
        """Add up one step of all environments."""
        self.frames += len(step.rew)
        self.returns += step.rew
        if step.done.any():
            for env in step.done.nonzero()[0]:
                self.meter.episode(self.frames, float(self.returns[env]))
            self.returns[step.done] = 0.0
        self.meter.frame(self.frames, lambda: self.steps.updates)


def _each_batch(speed: SpeedCard, algorithm: Any, done: int) -> Any:
    """Tianshou's hook before each batch: sets what falls over the run; ``done`` frames were before its first."""
    work = speed.work

    def on_batch(_: int, frames: int) -> None:
        share = (frames + done) / work.total_frames
        if isinstance(work.options.get("clip_range"), Ramp):
            algorithm.eps_clip = work.options["clip_range"](1.0 - share)
        if "exploration_fraction" in work.options:
            last = work.options["exploration_final_eps"]
            falling = max(0.0, 1.0 - share / work.options["exploration_fraction"])
            algorithm.policy.set_eps_training(last + (1.0 - last) * falling)

    return on_batch


def _trainer(ts: Any, speed: SpeedCard, algorithm: Any, collector: Any) -> Any:
    """The trainer; for an off-policy algorithm after the random frames."""
    work, off_policy = speed.work, "n_steps" not in speed.work.options
    # Frames before the first update, in whole batches.
    first = work.options["learning_starts"] // work.frames_per_batch * work.frames_per_batch if off_policy else 0
    collector.reset()
    if first:
        collector.collect(n_step=first, random=True)
    common = {
        "training_collector": collector,
        "max_epochs": 1,
        "epoch_num_steps": work.total_frames - first,
        "collection_step_num_env_steps": work.frames_per_batch,
        "batch_size": speed.minibatch,
        "training_fn": _each_batch(speed, algorithm, first),
        "verbose": False,
        "show_progress": False,
    }
    if off_policy:
        ratio = work.options["gradient_steps"] / work.frames_per_batch
        params = ts.trainer.OffPolicyTrainerParams(update_step_num_gradient_steps_per_sample=ratio, **common)
    else:
        epochs = work.options.get("n_epochs", 1)
        params = ts.trainer.OnPolicyTrainerParams(update_step_num_repetitions=epochs, **common)
    return algorithm.create_trainer(params)


def run(options: Options, meter: Meter) -> Counts:
    """Train a card with Tianshou."""
    import gymnasium
    import numpy as np
    import tianshou as ts
    import torch

    speed = SPEED.get(options.card)
    if speed is None or speed.card.algorithm not in ALGORITHMS:
        raise SystemExit(f"{options.card}: not written for Tianshou")
    torch.set_num_threads(options.threads)
    np.random.seed(options.seed)
    torch.manual_seed(options.seed)
    work, name = speed.work, speed.card.env_id
    envs = ts.env.DummyVectorEnv([lambda: gymnasium.make(name) for _ in range(work.num_envs)])
    envs.seed(options.seed)
    algorithm = ALGORITHMS[speed.card.algorithm](ts, speed, gymnasium.make(name))
    steps = Steps()
    steps.watch(algorithm.critic if hasattr(algorithm, "critic") else algorithm.policy.model)
    size = work.options.get("buffer_size", BUFFER) if "n_steps" not in work.options else work.frames_per_batch
    buffer = ts.data.VectorReplayBuffer(size, work.num_envs) if work.num_envs > 1 else ts.data.ReplayBuffer(size)
    watch = Watch(meter, steps, work.num_envs)
    collector = ts.data.Collector(algorithm, envs, buffer, exploration_noise=True, on_step_hook=watch)
    # The random frames have been collected: their episode goes on, and they stay counted.
    _trainer(ts, speed, algorithm, collector).run(reset_collectors=False)
    torch.save(algorithm.state_dict(), options.out / "model.pt")
    return steps.counted(collector.collect_step)


if __name__ == "__main__":
    main(run, ("tianshou", "torch", "gymnasium", "numpy"), lambda card: SPEED[card].work.total_frames)
