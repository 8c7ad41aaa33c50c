"""PPO, all of it: networks, rollout, advantages, updates."""

from __future__ import annotations

from math import sqrt

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

from benchmarks.cards import Card
from benchmarks.peers.meter import Counts, Meter, Options

# Checking every batch of numbers takes a tenth of the time.
Distribution.set_default_validate_args(False)


def layer(fan_in: int, fan_out: int, gain: float = sqrt(2)) -> nn.Linear:
    """A linear layer with orthogonal weights."""
    linear = nn.Linear(fan_in, fan_out)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    """Policy and value, two networks of two hidden layers."""

    def __init__(self, features: int, actions: int, discrete: bool) -> None:
        super().__init__()
        self.actor = nn.Sequential(
            layer(features, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, actions, gain=0.01)
        )
        self.critic = nn.Sequential(layer(features, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, 1, gain=1.0))
        self.log_std = None if discrete else nn.Parameter(torch.zeros(actions))

    def policy(self, obs: Tensor) -> Distribution:
        """The distribution of actions."""
        out = self.actor(obs)
        if self.log_std is None:
            return Categorical(logits=out)
        return Independent(Normal(out, self.log_std.exp()), 1)

    def value(self, obs: Tensor) -> Tensor:
        """The expected return."""
        values: Tensor = self.critic(obs).squeeze(-1)
        return values


class Trainer:
    """A run: what it has besides the numbers that are learned."""

    def __init__(self, card: Card, options: Options, meter: Meter) -> None:
        self.options, self.meter, self.args = card.peer.options, meter, options
        self.steps, num_envs = int(self.options["n_steps"]), card.peer.num_envs
        torch.manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        self.envs = SyncVectorEnv(
            # The default mode spends a step without a transition on every reset.
            [lambda: gym.make(card.env_id)] * num_envs,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        space = self.envs.single_action_space
        self.bounds = (space.low, space.high) if isinstance(space, gym.spaces.Box) else None
        observed = self.envs.single_observation_space.shape or ()
        actions = int(space.n) if isinstance(space, gym.spaces.Discrete) else int(np.prod(space.shape or ()))
        self.agent = Agent(int(np.prod(observed)), actions, discrete=self.bounds is None)
        self.optimizer = torch.optim.Adam(self.agent.parameters(), eps=1e-5)
        self.frames, self.updates, self.minibatch = 0, 0, 0
        self.returns = np.zeros(num_envs)
        grid = (self.steps, num_envs)
        self.obs = torch.zeros(*grid, *observed)
        self.actions = torch.zeros(*grid, *(space.shape or ()))
        self.log_probs, self.rewards, self.values, self.terminated, self.done = torch.zeros(5, *grid)
        self.next_obs = torch.tensor(self.envs.reset(seed=options.seed)[0], dtype=torch.float32)

    @torch.no_grad()
    def collect(self) -> None:
        """Fill the rollout."""
        gamma = self.options["gamma"]
        for t in range(self.steps):
            policy = self.agent.policy(self.next_obs)
            action = policy.sample()
            self.obs[t], self.actions[t] = self.next_obs, action
            self.log_probs[t], self.values[t] = policy.log_prob(action), self.agent.value(self.next_obs)
            taken = action.numpy() if self.bounds is None else np.clip(action.numpy(), *self.bounds)
            observed, rewards, terminated, truncated, infos = self.envs.step(taken)
            self.frames += len(rewards)
            self.next_obs = torch.as_tensor(observed, dtype=torch.float32)
            self.rewards[t], done = torch.as_tensor(rewards), terminated | truncated
            self.done[t] = torch.as_tensor(done)
            self.returns += rewards
            for env in np.flatnonzero(done):
                self.meter.episode(self.frames, float(self.returns[env]))
                self.returns[env] = 0.0
                if not terminated[env]:  # what would have followed counts, too
                    last = torch.as_tensor(infos["final_obs"][env], dtype=torch.float32)
                    self.rewards[t, env] += gamma * self.agent.value(last)
            self.meter.frame(self.frames, lambda: self.updates)

    @torch.no_grad()
    def advantages(self) -> Tensor:
        """Generalised advantage estimation, backwards in time."""
        gamma, decay = self.options["gamma"], self.options["gae_lambda"]
        advantages = torch.zeros_like(self.rewards)
        following, advantage = self.agent.value(self.next_obs), torch.zeros(self.rewards.shape[1])
        for t in reversed(range(self.steps)):
            goes_on = 1.0 - self.done[t]
            delta = self.rewards[t] + gamma * following * goes_on - self.values[t]
            advantage = delta + gamma * decay * goes_on * advantage
            advantages[t], following = advantage, self.values[t]
        return advantages

    def loss(self, batch: dict[str, Tensor], clip: float) -> Tensor:
        """The clipped surrogate and half the squared error of the value."""
        policy = self.agent.policy(batch["obs"])
        ratio = (policy.log_prob(batch["actions"]) - batch["log_probs"]).exp()
        gain = batch["advantages"]
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        surrogate = torch.min(gain * ratio, gain * ratio.clamp(1.0 - clip, 1.0 + clip)).mean()
        error = nn.functional.mse_loss(self.agent.value(batch["obs"]), batch["returns"])
        return 0.5 * error - surrogate

    def update(self, remaining: float) -> None:
        """Epochs of minibatches over the rollout."""
        advantages = self.advantages()
        named = {"obs": self.obs, "actions": self.actions, "log_probs": self.log_probs, "advantages": advantages}
        named["returns"] = advantages + self.values
        rollout = {name: tensor.flatten(0, 1) for name, tensor in named.items()}
        self.optimizer.param_groups[0]["lr"] = self.options["learning_rate"](remaining)
        clip, size = self.options["clip_range"](remaining), int(self.options["batch_size"])
        for _ in range(self.options["n_epochs"]):
            order = torch.as_tensor(self.rng.permutation(self.rewards.numel()))
            for rows in torch.split(order, size):
                batch = {name: tensor[rows] for name, tensor in rollout.items()}
                self.optimizer.zero_grad()
                torch.autograd.backward(self.loss(batch, clip))
                nn.utils.clip_grad_norm_(self.agent.parameters(), 0.5)
                self.optimizer.step()
                self.updates, self.minibatch = self.updates + 1, len(batch["obs"])


def train(card: Card, options: Options, meter: Meter) -> Counts:
    """Train, save, count."""
    run = Trainer(card, options, meter)
    for batch in range(card.peer.batches):
        run.collect()
        run.update(1.0 - batch / card.peer.batches)
    torch.save(run.agent.state_dict(), options.out / "agent.pt")
    return Counts(run.frames, run.updates, run.minibatch, sum(p.numel() for p in run.agent.parameters()))
