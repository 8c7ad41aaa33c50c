"""Small parts of torchrl: what a user of its trainers would build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tensordict.nn import NormalParamExtractor, TensorDictModule, TensorDictSequential
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs import Compose, GymEnv, RewardSum, StepCounter, TransformedEnv
from torchrl.modules import MLP, EGreedyModule, ProbabilisticActor, QValueActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss, DQNLoss, SACLoss, SoftUpdate
from torchrl.objectives.value import GAE

from rlrecipe.trainers.trainer import Trainer

FRAMES = 32


@dataclass
class Parts:
    """What a trainer takes, and what its hooks are made of."""

    collector: Any
    loss_module: Any
    policy: Any
    exploration: Any = None
    replay_buffer: Any = None
    targets: Any = None
    advantage: Any = None

    def trainer(self, total_frames: int = 128, **options: Any) -> Trainer:
        """A trainer of these parts, with Adam over the loss's parameters."""
        options.setdefault("optimizer", torch.optim.Adam(self.loss_module.parameters(), lr=1e-2))
        return Trainer(
            collector=self.collector, loss_module=self.loss_module, total_frames=total_frames, **options
        )  # fmt: skip


def env(name: str) -> Any:
    return TransformedEnv(GymEnv(name), Compose(StepCounter(), RewardSum()))


def buffer() -> Any:
    return TensorDictReplayBuffer(storage=LazyTensorStorage(1000), batch_size=16)


def dqn(total_frames: int = 128, seed: int = 0) -> Parts:
    """DQN on CartPole with a target network and an exploration that is annealed."""
    torch.manual_seed(seed)
    made = env("CartPole-v1")
    actor = QValueActor(
        MLP(in_features=4, out_features=2, num_cells=[8]), spec=made.action_spec, in_keys=["observation"]
    )
    exploration = EGreedyModule(made.action_spec, annealing_num_steps=1000)
    policy = TensorDictSequential(actor, exploration)
    loss = DQNLoss(actor, action_space=made.action_spec, delay_value=True)
    collector = Collector(made, policy, frames_per_batch=FRAMES, total_frames=total_frames)
    return Parts(collector, loss, actor, exploration, buffer(), SoftUpdate(loss, eps=0.9))


def sac(total_frames: int = 128) -> Parts:
    """SAC on Pendulum."""
    torch.manual_seed(0)
    made = env("Pendulum-v1")
    actor = _actor(3, 1, TanhNormal, {"low": -2.0, "high": 2.0}, made.action_spec)
    critic = ValueOperator(MLP(in_features=4, out_features=1, num_cells=[8]), in_keys=["observation", "action"])
    collector = Collector(made, actor, frames_per_batch=FRAMES, total_frames=total_frames)
    loss = SACLoss(actor, critic)
    return Parts(collector, loss, actor, replay_buffer=buffer(), targets=SoftUpdate(loss, eps=0.9))


def ppo(total_frames: int = 128) -> Parts:
    """PPO on Pendulum."""
    torch.manual_seed(0)
    made = env("Pendulum-v1")
    actor = _actor(3, 1, TanhNormal, {"low": -2.0, "high": 2.0}, made.action_spec)
    value = ValueOperator(MLP(in_features=3, out_features=1, num_cells=[8]), in_keys=["observation"])
    collector = Collector(made, actor, frames_per_batch=FRAMES, total_frames=total_frames)
    gae = GAE(gamma=0.99, lmbda=0.95, value_network=value, average_gae=True)
    return Parts(collector, ClipPPOLoss(actor, value), actor, advantage=gae)


def _actor(features: int, actions: int, distribution: Any, bounds: dict[str, Any], spec: Any) -> Any:
    network = torch.nn.Sequential(
        MLP(in_features=features, out_features=2 * actions, num_cells=[8]), NormalParamExtractor()
    )
    module = TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"])
    return ProbabilisticActor(
        module,
        spec=spec,
        in_keys=["loc", "scale"],
        distribution_class=distribution,
        distribution_kwargs=bounds,
        return_log_prob=True,
    )


def weights(trainer: Trainer) -> torch.Tensor:
    """Every number of the loss, targets included."""
    state = trainer.loss_module.state_dict()  # type: ignore[attr-defined] # any object may be one
    return torch.cat([state[name].reshape(-1).float() for name in sorted(state) if "value_estimator" not in name])


def saved(folder: Path) -> dict[str, Any]:
    """Options of a trainer that saves itself."""
    return {"save_trainer_file": folder / "trainer.pt"}
