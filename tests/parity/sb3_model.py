"""What the recorders do alike to every small model of stable-baselines3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from stable_baselines3.common.logger import Logger

HIDDEN = [16, 16]


def falling(learning_rate: float) -> Callable[[float], float]:
    """A learning rate in proportion to what is left of the training."""
    return lambda remaining: learning_rate * remaining


def begin(model: Any, frames: int) -> Any:
    """Prepares a model to collect ``frames``, without a log folder of its own; what its collecting calls."""
    model.set_logger(Logger(None, []))
    _, callback = model._setup_learn(total_timesteps=frames)
    callback.on_training_start({}, {})
    return callback


def widen_policy(policy: Any) -> None:
    """Turns a policy into float64; its parameters' values stay."""
    policy.to(torch.float64)
    for name, module in policy.named_modules():
        # stable-baselines3 hands every observation over as float32, whatever the buffer holds.
        if name.endswith("features_extractor"):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
