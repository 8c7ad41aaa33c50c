"""Trace parity off-policy: stable-baselines3's weights, batches and noise in, its parameters out, update by update.

In float64: float32 rounding alone may exceed 1e-5 where a ReLU or a minimum changes sides. SAC is compared with
the recorder's ``tanh_epsilon=0``: stable-baselines3 adds 1e-6 inside the logarithm of its tanh correction, where
rlrecipe computes the exact one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlrecipe.clock import Clock
from rlrecipe.interfaces import Batch, Spaces
from rlrecipe.learning.compiled.native import Native, Whole
from rlrecipe.learning.compiled.trace import separable
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.targets import Targets
from rlrecipe.learning.update import Taken, update
from rlrecipe.networks.copies import Copies
from rlrecipe.networks.mlp import MLPOptions, make_mlp
from rlrecipe.optim.adam import AdamOptions, make_adam
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.recipe.values import Duration
from tests.parity.sb3_off_policy import record_ddpg, record_dqn, record_sac, record_td3
from tests.parity.sb3_recorder import OffPolicyTrace, OffPolicyUpdate


def algorithm_of(trace: OffPolicyTrace) -> Any:
    """This package's algorithm with the trace's settings."""
    name = trace.algorithm.lower()
    options: dict[str, Any] = {"name": name, "gamma": trace.gamma}
    options["target"] = {"name": "hard", "every": 1} if name == "dqn" else {"name": "soft", "tau": trace.tau}
    if name == "td3":
        options |= {"policy_delay": trace.policy_delay, "policy_noise": trace.target_noise}
        options |= {"noise_clip": trace.noise_clip}
    if name == "sac":
        options |= {} if trace.fixed_alpha is None else {"fixed_alpha": True, "alpha_init": trace.fixed_alpha}
    chosen = Slot("algorithm").read(options)
    sample = trace.updates[0].sample
    if name == "dqn":
        space: Any = gymnasium.spaces.Discrete(trace.initial["qvalue.2.weight"].shape[0])
    else:
        space = gymnasium.spaces.Box(-1.0, 1.0, (sample.actions.shape[-1],))
    kind = AlgorithmTraits.of(chosen).acts_in[type(space).__name__]
    distribution = Slot("distribution").read(kind)
    distribution = distribution.component.build(distribution, space)
    spaces = Spaces(gymnasium.spaces.Box(-1.0, 1.0, sample.observations.shape[-1:]), space)
    heads = AlgorithmTraits.of(chosen).heads(distribution, chosen, spaces)
    networks: dict[str, Any] = {}
    for slot, head in heads.items():
        features = sample.observations.shape[-1] + (sample.actions.shape[-1] if head.action else 0)
        network = make_mlp(MLPOptions(num_cells=[16, 16], activation="relu"), features, head.features)
        networks[slot] = Copies(network, head.copies) if head.copies else network
    return chosen.component.build(chosen, networks, distribution)


def nested(named: Mapping[str, torch.Tensor], order: tuple[str, ...]) -> dict[str, dict[str, torch.Tensor]]:
    slots: dict[str, dict[str, torch.Tensor]] = {slot: {} for slot in order}
    for name, tensor in named.items():
        slot, _, rest = name.partition(".")
        slots[slot][rest] = tensor
    return slots


def updater(trace: OffPolicyTrace, algorithm: Any) -> Objectives:
    """This package's update, starting from the trace's parameters."""
    slots = tuple(slot for objective in algorithm.objectives for slot in objective.slots) or ("qvalue",)
    parameters = Parameters(nested(trace.initial, slots), torch.float64)
    targets = Targets(parameters, algorithm.targets, algorithm.target, Clock(Duration(1)))
    targets.copies.load(trace.initial_targets)
    optimizer = make_adam(AdamOptions(lr=1.0, betas=list(trace.adam_betas), eps=trace.adam_eps))
    objectives, bound = algorithm.objectives, trace.clip_norm
    return Objectives(objectives, parameters, optimizer, targets=targets, clip_norm=bound, stop=algorithm.stop)


def batch_of(traced: OffPolicyUpdate) -> Batch:
    sample = traced.sample
    batch: Batch = {"observation": sample.observations, "action": sample.actions}
    batch["next", "observation"], batch["next", "reward"] = sample.next_observations, sample.rewards
    batch["next", "terminated"] = sample.terminated
    if "action" in traced.noise:
        batch["noise"], batch["next", "noise"] = traced.noise["action"], traced.noise["next_action"]
    elif "next_action" in traced.noise:
        batch["noise"] = traced.noise["next_action"]
    return batch


TRACES: Mapping[str, Callable[[], OffPolicyTrace]] = {
    "dqn": lambda: record_dqn(dtype=torch.float64),
    "ddpg": lambda: record_ddpg(dtype=torch.float64),
    "td3": lambda: record_td3(dtype=torch.float64),
    "td3-delay-3": lambda: record_td3(dtype=torch.float64, policy_delay=3),
    "sac": lambda: record_sac(dtype=torch.float64, tanh_epsilon=0.0),
    "sac-fixed-alpha": lambda: record_sac(dtype=torch.float64, tanh_epsilon=0.0, fixed_alpha=0.2),
}


@pytest.mark.parametrize(("name", "compiled"), [*((name, False) for name in TRACES), ("sac", True), ("td3", True)])
def test_a_hundred_updates_equal_those_of_stable_baselines3(name: str, compiled: bool, tmp_path: Path) -> None:
    trace = TRACES[name]()
    assert len(trace.updates) == 100
    algorithm = algorithm_of(trace)
    ours = updater(trace, algorithm)
    take: Taken = Native(tmp_path).compiled(ours, batch_of(trace.updates[0]), {}) if compiled else update
    assert isinstance(take, Whole) == (compiled and separable())
    assert ours.targets is not None
    for number, traced in enumerate(trace.updates):
        ours.scale_lr(traced.learning_rate)
        status, _ = take(ours.begin(), batch_of(traced), {})
        assert status == 0
        if name == "dqn" and traced.targets_moved:
            ours.targets.follow()
        found = {**ours.parameters.named(), **ours.targets.copies.named()}
        expected = {**traced.parameters, **traced.targets}
        assert found.keys() == expected.keys()
        worst = max(float((found[key] - expected[key]).abs().max()) for key in expected)
        assert worst <= 1e-9, f"update {number}: parameters differ by {worst}"


def test_actions_are_scaled_as_stable_baselines3_scales_them() -> None:
    from rlrecipe.distributions.tanh import Tanh

    low, high = np.array([-2.0, -1.0], np.float32), np.array([3.0, 0.5], np.float32)
    scaled = Tanh(gymnasium.spaces.Box(low, high)).to_env(np.array([[-1.0, 1.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(scaled, [[-2.0, 0.5], [0.5, -0.25]])
