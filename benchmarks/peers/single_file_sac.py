"""SAC, all of it: networks, replay, updates."""

from __future__ import annotations

from copy import deepcopy
from itertools import chain
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from benchmarks.cards import Card
from benchmarks.peers.meter import Counts, Meter, Options


def mlp(fan_in: int, fan_out: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(fan_in, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, fan_out))


class Actor(nn.Module):
    """A normal distribution, squashed by tanh."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        self.net = mlp(features, 2 * actions)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """A sample and its log-probability."""
        mean, log_std = self.net(obs).chunk(2, dim=-1)
        # Checking every batch of numbers takes time.
        normal: Distribution = Normal(mean, log_std.clamp(-20.0, 2.0).exp(), validate_args=False)
        raw = normal.rsample()
        action = raw.tanh()
        return action, (normal.log_prob(raw) - torch.log(1.0 - action.square() + 1e-6)).sum(-1)


class Critic(nn.Module):
    """The value of an action."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        self.net = mlp(features + actions, 1)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """One value a row."""
        values: Tensor = self.net(torch.cat([obs, action], -1)).squeeze(-1)
        return values


class Replay:
    """A ring of transitions."""

    def __init__(self, capacity: int, features: int, actions: int, seed: int) -> None:
        self.rng, self.capacity, self.written = np.random.default_rng(seed), capacity, 0
        widths = (features, actions, features, 1, 1)
        self.fields = [np.zeros((capacity, width), np.float32) for width in widths]

    def add(self, *transition: Any) -> None:
        """One transition, in the place of the oldest."""
        for field, entry in zip(self.fields, transition, strict=True):
            field[self.written % self.capacity] = entry
        self.written += 1

    def sample(self, rows: int) -> list[Tensor]:
        """Rows drawn with replacement."""
        drawn = self.rng.integers(min(self.written, self.capacity), size=rows)
        return [torch.from_numpy(field[drawn]) for field in self.fields]


class Learner:
    """Networks and optimizers."""

    def __init__(self, features: int, actions: int, rate: float, gamma: float) -> None:
        self.gamma, self.target_entropy = gamma, -float(actions)
        self.actor = Actor(features, actions)
        self.critics = nn.ModuleList([Critic(features, actions) for _ in range(2)])
        self.targets = deepcopy(self.critics)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=rate)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), lr=rate)
        self.alpha_optimizer = torch.optim.Adam([self.log_alpha], lr=rate)
        self.updates, self.minibatch = 0, 0

    def update(self, batch: list[Tensor]) -> None:
        """One step of every optimizer."""
        obs, action, next_obs, reward, terminated = batch
        alpha = self.log_alpha.detach().exp()
        with torch.no_grad():
            next_action, next_log_prob = self.actor(next_obs)
            least = torch.min(*(target(next_obs, next_action) for target in self.targets))
            goal = reward[:, 0] + self.gamma * (1.0 - terminated[:, 0]) * (least - alpha * next_log_prob)
        error = sum((nn.functional.mse_loss(critic(obs, action), goal) for critic in self.critics), torch.zeros(()))
        self.step(self.critic_optimizer, error)
        new_action, log_prob = self.actor(obs)
        least = torch.min(*(critic(obs, new_action) for critic in self.critics))
        self.step(self.actor_optimizer, (alpha * log_prob - least).mean())
        self.step(self.alpha_optimizer, -(self.log_alpha.exp() * (log_prob.detach() + self.target_entropy)).mean())
        with torch.no_grad():
            for learned, target in zip(self.critics.parameters(), self.targets.parameters(), strict=True):
                target.lerp_(learned, 0.005)
        self.updates, self.minibatch = self.updates + 1, len(obs)

    @staticmethod
    def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """One step down a loss."""
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    def act(self, obs: NDArray[Any]) -> NDArray[Any]:
        """A sampled action."""
        with torch.no_grad():
            action: NDArray[Any] = self.actor(torch.as_tensor(obs, dtype=torch.float32))[0].numpy()
        return action

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        learned = chain(self.actor.parameters(), self.critics.parameters(), [self.log_alpha])
        return sum(parameter.numel() for parameter in learned)


def train(card: Card, options: Options, meter: Meter) -> Counts:
    """Train, save, count."""
    asked = card.peer.options
    torch.manual_seed(options.seed)
    # The default mode spends a step without a transition on every reset.
    env = SyncVectorEnv([lambda: gym.make(card.env_id)], autoreset_mode=AutoresetMode.SAME_STEP)
    features, actions = (int(np.prod(s.shape or ())) for s in (env.single_observation_space, env.single_action_space))
    learner = Learner(features, actions, asked["learning_rate"], gamma=0.99)
    replay = Replay(1_000_000, features, actions, options.seed)
    env.action_space.seed(options.seed)
    obs, frames, episode_return = env.reset(seed=options.seed)[0], 0, 0.0
    while frames < card.peer.total_frames:
        # HalfCheetah's actions lie between -1 and 1, as the policy's do.
        action = env.action_space.sample() if frames < asked["learning_starts"] else learner.act(obs)
        next_obs, rewards, terminated, truncated, infos = env.step(action)
        frames, episode_return = frames + 1, episode_return + float(rewards[0])
        done = bool(terminated[0] or truncated[0])
        replay.add(obs[0], action[0], infos["final_obs"][0] if done else next_obs[0], rewards[0], terminated[0])
        obs = next_obs
        if done:
            meter.episode(frames, episode_return)
            episode_return = 0.0
        if frames > asked["learning_starts"]:
            learner.update(replay.sample(asked["batch_size"]))
        meter.frame(frames, lambda: learner.updates)
    torch.save({"actor": learner.actor.state_dict(), "critics": learner.critics.state_dict()}, options.out / "agent.pt")
    return Counts(frames, learner.updates, learner.minibatch, learner.parameters)
