"""Off-policy updates written down once more, plainly, to show that a trace holds all that an update needs.

``wrong`` names one deliberate mistake, to show that a trace is sharp enough to tell it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from tests.parity.sb3_recorder import OffPolicyTrace, OffPolicyUpdate, Sample


def mlp(parameters: dict[str, Tensor], slot: str, x: Tensor) -> Tensor:
    """``[B, out]``, or ``[networks, B, out]`` where networks are stacked."""
    for layer in range(3):
        x = x @ parameters[f"{slot}.{layer}.weight"].mT + parameters[f"{slot}.{layer}.bias"].unsqueeze(-2)
        x = torch.relu(x) if layer < 2 else x
    return x


class Replay:
    """Parameters, targets and optimizers that start where the trace starts."""

    def __init__(self, trace: OffPolicyTrace, wrong: str = "") -> None:
        self.trace, self.wrong = trace, wrong
        self.parameters = {name: tensor.clone().requires_grad_() for name, tensor in trace.initial.items()}
        self.targets = {name: tensor.clone() for name, tensor in trace.initial_targets.items()}
        slots = {name.partition(".")[0] for name in self.parameters}
        self.adam = {
            slot: torch.optim.Adam(self.leaves(slot), betas=trace.adam_betas, eps=trace.adam_eps) for slot in slots
        }

    def leaves(self, slot: str) -> list[Tensor]:
        return [tensor for name, tensor in self.parameters.items() if name.startswith(f"{slot}.")]

    def step(self, slot: str, loss: Tensor, learning_rate: float) -> None:
        """One optimizer step on one slot, its gradient clipped if the trace says so."""
        leaves = self.leaves(slot)
        gradients = torch.autograd.grad(loss, leaves)
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        limit = math.inf if self.trace.clip_norm is None or self.wrong == "unclipped" else self.trace.clip_norm
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient * (limit / (norm + 1e-6)).clamp(max=1.0)
        self.adam[slot].param_groups[0]["lr"] = learning_rate
        self.adam[slot].step()

    def move_targets(self) -> None:
        tau = self.trace.tau
        for name, target in self.targets.items():
            target.mul_(1 - tau).add_(self.parameters[name.removeprefix("target_")].detach(), alpha=tau)

    def target_value(self, sample: Sample, next_value: Tensor) -> Tensor:
        cut = sample.terminated | sample.truncated if self.wrong == "cut at truncation" else sample.terminated
        return sample.rewards + self.trace.gamma * next_value * (~cut).to(next_value.dtype)

    def critics(self, observations: Tensor, actions: Tensor, *, target: bool = False) -> Tensor:
        """``[critics, B]``."""
        pairs = torch.cat([observations, actions], -1)
        parameters, slot = (self.targets, "target_qvalue") if target else (self.parameters, "qvalue")
        return mlp(parameters, slot, pairs).squeeze(-1).reshape(-1, len(pairs))

    def critic_step(self, update: OffPolicyUpdate, value: Tensor, scale: float) -> None:
        sample = update.sample
        errors = self.critics(sample.observations, sample.actions) - value.detach()
        self.step("qvalue", scale * errors.square().mean(-1).sum(), update.learning_rate)

    def dqn(self, number: int, update: OffPolicyUpdate) -> None:
        sample = update.sample
        best = mlp(self.targets, "target_qvalue", sample.next_observations).max(-1).values
        chosen = mlp(self.parameters, "qvalue", sample.observations).gather(-1, sample.actions[:, None]).squeeze(-1)
        loss = functional.mse_loss if self.wrong == "squared loss" else functional.smooth_l1_loss
        self.step("qvalue", loss(chosen, self.target_value(sample, best)), update.learning_rate)
        if update.targets_moved:
            self.move_targets()

    def td3(self, number: int, update: OffPolicyUpdate) -> None:
        """TD3 and DDPG."""
        trace, sample = self.trace, update.sample
        assert trace.target_noise is not None
        assert trace.noise_clip is not None
        assert trace.policy_delay is not None
        clip = math.inf if self.wrong == "unclipped noise" else trace.noise_clip  # 0 in DDPG
        noise = (update.noise["next_action"] * trace.target_noise).clamp(-clip, clip)
        next_actions = torch.tanh(mlp(self.targets, "target_policy", sample.next_observations)) + noise
        next_actions = next_actions if self.wrong == "unclipped action" else next_actions.clamp(-1, 1)
        next_values = self.critics(sample.next_observations, next_actions, target=True).min(0).values
        self.critic_step(update, self.target_value(sample, next_values), 1.0)
        counted = number if self.wrong == "counted from zero" else number + 1
        if counted % trace.policy_delay != 0:
            return
        actions = torch.tanh(mlp(self.parameters, "policy", sample.observations))
        values = self.critics(sample.observations, actions)
        value = values.min(0).values if self.wrong == "both critics" else values[0]
        self.step("policy", -value.mean(), update.learning_rate)
        self.move_targets()

    def squashed(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions in [-1, 1] and their log-probabilities."""
        mean, log_std = mlp(self.parameters, "policy", observations).chunk(2, -1)
        log_std = log_std.clamp(-20, 2)
        before = mean + log_std.exp() * noise
        log_density = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
        correction = 2 * (math.log(2) - before - functional.softplus(-2 * before))  # log(1 - tanh(u)^2)
        if self.trace.tanh_epsilon and self.wrong != "stable correction":
            correction = (1 - torch.tanh(before).square() + self.trace.tanh_epsilon).log()
        return torch.tanh(before), (log_density - correction).sum(-1)

    def alpha_step(self, update: OffPolicyUpdate, log_prob: Tensor) -> Tensor:
        """The temperature of the other losses: the one before this step."""
        if self.trace.fixed_alpha is not None:
            return torch.tensor(self.trace.fixed_alpha, dtype=self.trace.dtype)
        log_alpha = self.parameters["alpha.log_alpha"]
        old = log_alpha.detach().exp()
        assert self.trace.target_entropy is not None
        self.step("alpha", -(log_alpha * (log_prob.detach() + self.trace.target_entropy)).mean(), update.learning_rate)
        return log_alpha.detach().exp() if self.wrong == "new alpha" else old

    def sac(self, number: int, update: OffPolicyUpdate) -> None:
        sample = update.sample
        actions, log_prob = self.squashed(sample.observations, update.noise["action"])
        alpha = self.alpha_step(update, log_prob)
        next_noise = update.noise["action" if self.wrong == "same noise" else "next_action"]
        next_actions, next_log_prob = self.squashed(sample.next_observations, next_noise)
        next_values = self.critics(sample.next_observations, next_actions, target=True).min(0).values
        value = self.target_value(sample, next_values - alpha * next_log_prob)

        def policy_step() -> None:
            values = self.critics(sample.observations, actions).min(0).values
            self.step("policy", (alpha * log_prob - values).mean(), update.learning_rate)

        if self.wrong == "policy first":
            policy_step()
        self.critic_step(update, value, 0.5)
        if self.wrong != "policy first":
            policy_step()
        self.move_targets()

    def deviation(self, enough: float = math.inf) -> float:
        """The largest difference to the trace after any update, or the first beyond ``enough``."""
        kind = "td3" if self.trace.algorithm == "ddpg" else self.trace.algorithm
        worst = 0.0
        for number, update in enumerate(self.trace.updates):
            getattr(self, kind)(number, update)
            theirs, ours = update.parameters | update.targets, self.parameters | self.targets
            assert set(theirs) == set(ours)
            worst = max([worst, *(float((ours[name].detach() - theirs[name]).abs().max()) for name in ours)])
            if worst > enough:
                break
        return worst
