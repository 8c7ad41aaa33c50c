"""torchrl's own trainers, ``PPOTrainer`` and ``SACTrainer``, built from its parts and otherwise as they come.

They log nothing here (``enable_logging=False``: without a logger its hooks only cost time). Worked around:

- ``PPOTrainer`` with as many ``optim_steps_per_batch`` as there are minibatches loses every second epoch: the
  buffer's iterator is found exhausted only by the first step of the next one. It is given no number, and then
  each epoch ends where the iterator does.
- ``SACTrainer`` extends its replay buffer only together with updates, so the random frames before them would be
  lost; a hook extends it before.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.meter import Counts, Meter, Options, main
from benchmarks.peers.steps import Steps
from benchmarks.work import SPEED, SpeedCard

#: Stable-baselines3's default size of a replay buffer.
BUFFER = 1_000_000
DIFFERS = {
    "ppo": "advantages are computed again in every epoch, with the critic as it is then, and standardised over the"
    " batch and not over each minibatch",
    "sac": "one optimizer steps on the sum of the losses, all taken before the step; one random frame more",
}


def _env(speed: SpeedCard, seed: int) -> Any:
    """The card's environments, one after the other in this process."""
    import gymnasium
    from torchrl.envs import DoubleToFloat, GymWrapper, SerialEnv, TransformedEnv

    def make() -> Any:
        env = gymnasium.make(speed.card.env_id)
        if speed.card.algorithm == "ppo" and isinstance(env.action_space, gymnasium.spaces.Box):
            # PPO's actions have no bounds: clipped for the environment only.
            env = gymnasium.wrappers.ClipAction(env)
        return GymWrapper(env, categorical_action_encoding=True)

    num_envs = speed.work.num_envs
    env = make() if num_envs == 1 else SerialEnv(num_envs, make)
    if env.observation_spec["observation"].dtype.itemsize > 4:
        env = TransformedEnv(env, DoubleToFloat())
    # The trainer seeds it too, but only after the collector has begun the first episode.
    env.set_seed(seed)
    return env


def _mlp(sizes: tuple[int, ...], activation: Any, *last: Any, **keys: Any) -> Any:
    """A network that reads and writes the named entries."""
    from tensordict.nn import TensorDictModule
    from torch import nn
    from torchrl.modules import MLP

    net = MLP(in_features=sizes[0], out_features=sizes[-1], num_cells=list(sizes[1:-1]), activation_class=activation)
    return TensorDictModule(nn.Sequential(net, *last) if last else net, **keys)


def _ppo_actor(speed: SpeedCard, env: Any) -> Any:
    """A policy that is categorical or normal with deviations of its own."""
    from tensordict.nn import AddStateIndependentNormalScale
    from torch import distributions, nn
    from torchrl.modules import IndependentNormal, ProbabilisticActor

    sizes, spec = speed.networks[0][1], env.action_spec_unbatched
    discrete = not spec.dtype.is_floating_point
    last, keys = ([], ["logits"]) if discrete else ([AddStateIndependentNormalScale(sizes[-1])], ["loc", "scale"])
    return ProbabilisticActor(
        _mlp(sizes, nn.Tanh, *last, in_keys=["observation"], out_keys=keys),
        in_keys=keys,
        spec=spec,
        distribution_class=distributions.Categorical if discrete else IndependentNormal,
        return_log_prob=True,
    )


def _ppo_loss(speed: SpeedCard, actor: Any) -> Any:
    """The loss of ``actor`` and of a new critic; the card has no entropy bonus."""
    from torch import nn
    from torchrl.objectives import ClipPPOLoss

    critic = _mlp(speed.networks[1][1], nn.Tanh, in_keys=["observation"], out_keys=["state_value"])
    clip = speed.work.options["clip_range"].start
    return ClipPPOLoss(actor, critic, clip_epsilon=clip, entropy_bonus=False, critic_coeff=0.5, loss_critic_type="l2")


def make_ppo(speed: SpeedCard, common: dict[str, Any]) -> Any:
    """PPO with separate networks and one optimizer."""
    from torch import optim
    from torchrl.collectors import Collector
    from torchrl.data import LazyTensorStorage, ReplayBuffer, SamplerWithoutReplacement
    from torchrl.trainers.algorithms import PPOTrainer

    work, options, env = speed.work, speed.work.options, _env(speed, common["seed"])
    actor, clip, rate = _ppo_actor(speed, env), options["clip_range"], options["learning_rate"]
    loss = _ppo_loss(speed, actor)
    optimizer = optim.Adam(loss.parameters(), lr=rate.start, eps=1e-5)
    falling = optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=work.batches) if rate.linear else None
    trainer = PPOTrainer(
        collector=Collector(env, actor, frames_per_batch=work.frames_per_batch, total_frames=-1),
        loss_module=loss,
        optimizer=optimizer,
        lr_scheduler=falling,
        optim_steps_per_batch=None,
        num_epochs=options["n_epochs"],
        replay_buffer=ReplayBuffer(
            storage=LazyTensorStorage(work.frames_per_batch),
            sampler=SamplerWithoutReplacement(),
            batch_size=speed.minibatch,
        ),
        gamma=options["gamma"],
        lmbda=options["gae_lambda"],
        clip_norm=0.5,
        **common,
    )

    def narrow() -> None:
        loss.clip_epsilon.fill_(clip(1.0 - trainer.collected_frames / work.total_frames))

    if clip.linear:
        trainer.register_op("post_steps", narrow)
    return trainer


def _sac_loss(speed: SpeedCard, env: Any) -> Any:
    """The loss of a new policy, of two critics and of a learned temperature."""
    from torch import nn
    from torchrl.modules import NormalParamExtractor, ProbabilisticActor, TanhNormal
    from torchrl.objectives import SACLoss

    spec, keys = env.action_spec_unbatched, ["loc", "scale"]
    actor = ProbabilisticActor(
        _mlp(speed.networks[0][1], nn.ReLU, NormalParamExtractor(), in_keys=["observation"], out_keys=keys),
        in_keys=keys,
        spec=spec,
        distribution_class=TanhNormal,
        distribution_kwargs={"low": spec.space.low, "high": spec.space.high},
    )
    critic = _mlp(speed.networks[1][1], nn.ReLU, in_keys=["observation", "action"], out_keys=["state_action_value"])
    return SACLoss(actor, critic, num_qvalue_nets=2, loss_function="l2")


def make_sac(speed: SpeedCard, common: dict[str, Any]) -> Any:
    """SAC, one optimizer for all that is learned."""
    from torch import optim
    from torchrl.collectors import Collector
    from torchrl.data import LazyTensorStorage, ReplayBuffer
    from torchrl.objectives import SoftUpdate
    from torchrl.trainers.algorithms import SACTrainer

    work, options, env = speed.work, speed.work.options, _env(speed, common["seed"])
    loss = _sac_loss(speed, env)
    # Its updates begin with the frame that completes the random ones, the card's with the one after.
    first = options["learning_starts"] + 1
    collector = Collector(
        env, loss.actor_network, frames_per_batch=work.frames_per_batch, total_frames=-1, init_random_frames=first
    )
    replay = ReplayBuffer(storage=LazyTensorStorage(BUFFER), batch_size=speed.minibatch)
    trainer = SACTrainer(
        collector=collector,
        loss_module=loss,
        optimizer=optim.Adam(loss.parameters(), lr=options["learning_rate"]),
        optim_steps_per_batch=options["gradient_steps"],
        replay_buffer=replay,
        target_net_updater=SoftUpdate(loss, tau=0.005),
        clip_grad_norm=False,
        **common,
    )

    def keep(batch: Any) -> None:
        if trainer.collected_frames + batch.numel() < first:
            replay.extend(batch.reshape(-1))

    trainer.register_op("batch_process", keep)
    return trainer


ALGORITHMS = {"ppo": make_ppo, "sac": make_sac}


class Watch:
    """Hooks of the trainer: progress and returns of training episodes."""

    def __init__(self, meter: Meter, steps: Steps, num_envs: int) -> None:
        import numpy as np

        self.meter, self.steps, self.returns = meter, steps, np.zeros(num_envs)
        self.trainer: Any = None

    def register(self, trainer: Any) -> None:
        """Make ``trainer`` call this."""
        self.trainer = trainer
        trainer.register_op("batch_process", self.collected)
        trainer.register_op("post_steps", self.trained)

    def collected(self, batch: Any) -> None:
        """Add up rewards; called before the trainer counts the frames of ``batch``."""
        rewards, done = (batch["next", key].reshape(len(self.returns), -1).numpy().T for key in ("reward", "done"))
        for i, (reward, ended) in enumerate(zip(rewards, done, strict=True)):
            self.returns += reward
            if ended.any():
                frames = self.trainer.collected_frames + (i + 1) * len(self.returns)
                for episode_return in self.returns[ended]:
                    self.meter.episode(frames, float(episode_return))
                self.returns[ended] = 0.0

    def trained(self) -> None:
        """Note the progress."""
        self.meter.frame(self.trainer.collected_frames, lambda: self.steps.updates)


def run(options: Options, meter: Meter) -> Counts:
    """Train a card with torchrl's trainer."""
    import torch
    from torchrl import torchrl_logger

    speed = SPEED.get(options.card)
    if speed is None or speed.card.algorithm not in ALGORITHMS:
        raise SystemExit(f"{options.card}: not written for torchrl's trainers")
    # It informs on standard output, which is for the report.
    torchrl_logger.setLevel("WARNING")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    common = {
        "total_frames": speed.work.total_frames,
        "frame_skip": 1,
        "progress_bar": False,
        "enable_logging": False,
        "seed": options.seed,
    }
    trainer = ALGORITHMS[speed.card.algorithm](speed, common)
    steps = Steps()
    steps.watch(trainer.loss_module)
    Watch(meter, steps, speed.work.num_envs).register(trainer)
    trainer.train()
    torch.save(trainer.loss_module.state_dict(), options.out / "model.pt")
    return steps.counted(trainer.collected_frames, DIFFERS[speed.card.algorithm])


if __name__ == "__main__":
    main(run, ("torchrl", "tensordict", "torch", "gymnasium", "numpy"), lambda card: SPEED[card].work.total_frames)
