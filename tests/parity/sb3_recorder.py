"""What one update of an off-policy model of stable-baselines3 was given and what it left behind.

Only observers are put around what ``train()`` calls (the buffer's samples, torch's normal draws, gradient
clipping, the optimizers' steps), so every number comes from its code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

from tests.parity.sb3_slots import networks_of, optimizers_of, targets_of


class Sample(NamedTuple):
    """The rows of the replay buffer that one update sees."""

    rows: Tensor  # [B] int64: places in the replay buffer
    observations: Tensor  # [B, observation]
    actions: Tensor  # [B] int64 (DQN) or [B, action], scaled to [-1, 1]
    next_observations: Tensor  # [B, observation]: an episode's last one, never the next episode's first
    rewards: Tensor  # [B]
    terminated: Tensor  # [B] bool: cuts the bootstrap
    truncated: Tensor  # [B] bool: ended by the time limit; the update does not read it


@dataclass(frozen=True)
class OffPolicyUpdate:
    """One update: what went in, what was seen on the way, what came out.

    Attributes:
        sample: the rows it saw.
        noise: standard normal draws, ``[B, action]``, before any scaling or clipping. SAC: ``action`` (at the
            observations; temperature and policy losses) and ``next_action`` (at the next observations).
            TD3 and DDPG: ``next_action``, to be multiplied by ``target_noise`` and clipped to ``noise_clip``
            (0 in DDPG: it comes to nothing). DQN: none.
        learning_rate: of every optimizer.
        grad_norms: joint gradient norm before clipping by slot (``policy``, ``qvalue``, ``alpha``); a slot
            without an optimizer step in this update has none.
        targets_moved: whether the targets were moved after the step (TD3: on delayed updates only; DQN:
            where the hard copy followed).
        parameters: ``policy.*``, ``qvalue.*``, ``alpha.log_alpha`` after this update.
        targets: ``target_policy.*``, ``target_qvalue.*`` after this update, moved if they are to move.
    """

    sample: Sample
    noise: dict[str, Tensor]
    learning_rate: float
    grad_norms: dict[str, float]
    targets_moved: bool
    parameters: dict[str, Tensor]
    targets: dict[str, Tensor]


@dataclass(frozen=True)
class OffPolicyTrace:
    """The settings that the model really has, the parameters before the first update, and every update.

    Layers are ``<slot>.<index>.weight|bias``, ``[out, in]``, activations not counted, ReLU between them.
    Two critics are stacked along a new first dimension; their input is ``cat([observation, action], -1)``.
    The last layer of SAC's policy gives ``[mean, log_std]``. A setting that the algorithm lacks is None.
    """

    algorithm: str  # dqn, ddpg, td3, sac
    dtype: torch.dtype
    gamma: float
    tau: float  # target = (1 - tau) * target + tau * parameter
    adam_betas: tuple[float, float]
    adam_eps: float
    initial: dict[str, Tensor]
    initial_targets: dict[str, Tensor]
    clip_norm: float | None = None  # DQN
    policy_delay: int | None = None  # TD3 and DDPG: update number n, from 1, moves policy and targets if n % delay == 0
    target_noise: float | None = None  # TD3 and DDPG: standard deviation
    noise_clip: float | None = None  # TD3 and DDPG
    target_entropy: float | None = None  # SAC
    fixed_alpha: float | None = None  # SAC without a learned temperature
    tanh_epsilon: float | None = None  # SAC: log_prob -= log(1 - tanh(u)^2 + tanh_epsilon)
    updates: list[OffPolicyUpdate] = field(default_factory=list)


class Recorder:
    """Observers around one model; each passes on what it sees unchanged."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.updates: list[OffPolicyUpdate] = []
        self._sample: Sample | None = None
        self._draws: list[Tensor] = []
        self._grad_norms: dict[str, float] = {}
        self._learning_rates: set[float] = set()
        self._targets = targets_of(model)

    def samples(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Around the buffer's ``_get_samples``, which is given rows; here the next update begins."""

        def observed(rows: Any, env: Any = None) -> Any:
            self.finish()
            data = original(rows, env)
            discrete = not data.actions.is_floating_point()
            self._sample = Sample(
                rows=torch.as_tensor(rows),
                observations=data.observations.clone(),
                actions=data.actions.flatten().clone() if discrete else data.actions.clone(),
                next_observations=data.next_observations.clone(),
                rewards=data.rewards.flatten().clone(),
                terminated=data.dones.flatten() == 1,
                truncated=torch.as_tensor(self.model.replay_buffer.timeouts[rows, 0] == 1),
            )
            return data

        return observed

    def draws(self, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Around ``Tensor.normal_``: the draw is repeated as a standard normal from the same generator state."""

        def observed(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
            before = torch.get_rng_state()
            drawn = original(tensor, mean, std)
            after = torch.get_rng_state()
            torch.set_rng_state(before)
            standard = original(torch.empty_like(drawn))
            assert torch.equal(torch.get_rng_state(), after), "the repeated draw consumed something else"
            assert torch.equal(standard * std + mean, drawn), "the draw is not a scaled standard normal, bit for bit"
            self._draws.append(standard)
            return drawn

        return observed

    def clipping(self, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Around ``torch.nn.utils.clip_grad_norm_``, which only DQN calls."""

        def observed(*arguments: Any, **options: Any) -> Tensor:
            norm = original(*arguments, **options)
            self._grad_norms["qvalue"] = float(norm)
            return norm

        return observed

    def step(self, slot: str, optimizer: torch.optim.Optimizer) -> Callable[..., Any]:
        """Around one optimizer's ``step``."""
        original = optimizer.step

        def observed(*arguments: Any, **options: Any) -> Any:
            group = optimizer.param_groups[0]
            norms = [parameter.grad.norm() for parameter in group["params"]]
            # Where gradients were clipped, the norm before that has been seen already.
            self._grad_norms.setdefault(slot, float(torch.stack(norms).norm()))
            self._learning_rates.add(group["lr"])
            return original(*arguments, **options)

        return observed

    def finish(self) -> None:
        """Records the update under way, if there is one: nothing will change any more before the next."""
        if self._sample is None:
            return
        targets = targets_of(self.model)
        (learning_rate,) = self._learning_rates
        names = ("action", "next_action")[-len(self._draws) :] if self._draws else ()
        update = OffPolicyUpdate(
            sample=self._sample,
            noise=dict(zip(names, self._draws, strict=True)),
            learning_rate=float(learning_rate),
            grad_norms=self._grad_norms,
            targets_moved=any(not torch.equal(tensor, self._targets[name]) for name, tensor in targets.items()),
            parameters=networks_of(self.model),
            targets=targets,
        )
        self.updates.append(update)
        self._sample, self._draws, self._grad_norms = None, [], {}
        self._learning_rates, self._targets = set(), targets

    @contextmanager
    def attached(self) -> Iterator[None]:
        """While this lasts, the model's updates are recorded."""
        buffer = self.model.replay_buffer
        with ExitStack() as stack:
            stack.enter_context(patch.object(buffer, "_get_samples", self.samples(buffer._get_samples)))
            stack.enter_context(patch.object(torch.Tensor, "normal_", self.draws(torch.Tensor.normal_)))
            clip = self.clipping(torch.nn.utils.clip_grad_norm_)
            stack.enter_context(patch.object(torch.nn.utils, "clip_grad_norm_", clip))
            for slot, optimizer in optimizers_of(self.model).items():
                stack.enter_context(patch.object(optimizer, "step", self.step(slot, optimizer)))
            yield
            self.finish()
