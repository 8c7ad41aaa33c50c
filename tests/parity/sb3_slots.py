"""rlrecipe's names for what stable-baselines3's off-policy models are made of."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3 import DQN, SAC
from torch import Tensor, nn


def linears(module: nn.Module) -> list[nn.Linear]:
    """The linear layers in their order: activations are not counted."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def layers_of(slot: str, networks: list[nn.Module]) -> dict[str, Tensor]:
    """Copies of ``<slot>.<layer>.weight|bias``; several networks are stacked along a new first dimension."""
    ours = {}
    for index, layers in enumerate(zip(*map(linears, networks), strict=True)):
        for kind in ("weight", "bias"):
            tensors = [getattr(layer, kind).detach() for layer in layers]
            ours[f"{slot}.{index}.{kind}"] = torch.stack(tensors) if len(tensors) > 1 else tensors[0].clone()
    return complete(ours, networks)


def complete(ours: dict[str, Tensor], networks: list[nn.Module]) -> dict[str, Tensor]:
    """What was given.

    Raises:
        KeyError: a parameter of the networks has no counterpart, so they differ.
    """
    theirs = sum(parameter.numel() for network in networks for parameter in network.parameters())
    if theirs != sum(tensor.numel() for tensor in ours.values()):
        raise KeyError(f"{sorted(ours)} do not hold all of {theirs} parameters")
    return ours


def sac_policy(actor: Any) -> dict[str, Tensor]:
    """The policy with its two heads as one last layer that gives ``[mean, log_std]``."""
    ours = layers_of("policy", [actor.latent_pi])
    last = len(linears(actor.latent_pi))
    for kind in ("weight", "bias"):
        heads = [getattr(head, kind).detach() for head in (actor.mu, actor.log_std)]
        ours[f"policy.{last}.{kind}"] = torch.cat(heads, 0)
    return complete(ours, [actor])


def networks_of(model: Any) -> dict[str, Tensor]:
    """Copies of everything that an optimizer moves: ``policy.*``, ``qvalue.*``, ``alpha.log_alpha``."""
    if isinstance(model, DQN):
        return layers_of("qvalue", [model.q_net])
    ours = sac_policy(model.actor) if isinstance(model, SAC) else layers_of("policy", [model.actor])
    ours |= layers_of("qvalue", model.critic.q_networks)
    if getattr(model, "log_ent_coef", None) is not None:
        ours["alpha.log_alpha"] = model.log_ent_coef.detach().clone().reshape(())
    return ours


def targets_of(model: Any) -> dict[str, Tensor]:
    """Copies of the target networks: ``target_qvalue.*`` and, where there is one, ``target_policy.*``."""
    if isinstance(model, DQN):
        return layers_of("target_qvalue", [model.q_net_target])
    ours = {} if isinstance(model, SAC) else layers_of("target_policy", [model.actor_target])
    return ours | layers_of("target_qvalue", model.critic_target.q_networks)


def optimizers_of(model: Any) -> dict[str, torch.optim.Optimizer]:
    """The model's optimizers by the slot that each moves."""
    if isinstance(model, DQN):
        return {"qvalue": model.policy.optimizer}
    ours = {"policy": model.actor.optimizer, "qvalue": model.critic.optimizer}
    if getattr(model, "ent_coef_optimizer", None) is not None:
        ours["alpha"] = model.ent_coef_optimizer
    return ours
