from typing import Any

import numpy as np
import pytest
import torch

from rlrecipe.acting.policy import Policy
from rlrecipe.assembly.assemble import Assembly
from rlrecipe.streams import Stream
from tests import small


def in_torch(built: Assembly) -> Policy:
    """The same policy, acting in torch."""
    policy = Policy(built.policy.network, built.policy.distribution, built.policy.parameters)
    policy._forward = None
    return policy


@pytest.mark.parametrize("distribution", ["categorical", "normal", "tanh_normal"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_numpy_and_torch_act_alike(distribution: str, activation: str) -> None:
    base = small.CARTPOLE if distribution == "categorical" else small.PENDULUM
    network = {"name": "mlp", "num_cells": [16, 16], "activation": activation, "distribution": distribution}
    built = small.build({**base, "networks": {"policy": network, "value": "mlp"}})
    assert built.policy._forward is not None
    observation = np.random.default_rng(0).standard_normal((100, *built.spaces.observation.shape))
    observation = observation.astype(np.float32)
    noise = built.policy.noise(np.random.default_rng(1), 100)
    for given in (noise, None):
        one, other = built.policy.act(observation, given), in_torch(built).act(observation, given)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("network", [{"layer_norm": True}, {"activation": "gelu"}], ids=str)
def test_networks_that_numpy_cannot_compute_act_in_torch(network: dict[str, Any]) -> None:
    options = {"name": "mlp", "num_cells": [8], **network}
    built = small.build({**small.CARTPOLE, "networks": {"policy": options, "value": options}})
    assert built.policy._forward is None
    built.trainer.train()
    assert built.trainer.clock.frames == 512


def test_the_next_action_follows_an_update() -> None:
    built = small.build(small.PENDULUM)
    observation = np.ones((1, 3), np.float32)
    before = built.policy.act(observation, None).copy()
    built.trainer.update.parameters.named()["policy.1.bias"].add_(5.0)
    np.testing.assert_allclose(built.policy.act(observation, None), before + 5.0, rtol=1e-6)


def test_the_same_noise_gives_the_same_action() -> None:
    built = small.build(small.PENDULUM)
    observation = np.ones((2, 3), np.float32)
    noise = built.policy.noise(built.trainer.streams.fresh(Stream.ACTION), 2)
    first, second = built.policy.act(observation, noise), built.policy.act(observation, noise)
    assert np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_observations_of_any_shape_are_flattened() -> None:
    built = small.build(small.CARTPOLE)
    observation = np.random.default_rng(0).standard_normal((3, 2, 2)).astype(np.float32)
    for policy in (built.policy, in_torch(built)):
        flat = policy.act(observation.reshape(3, 4), None)
        assert np.array_equal(policy.act(observation, None), flat)
    assert not any(tensor.requires_grad for tensor in built.policy.parameters.named().values())
    assert torch.is_grad_enabled()
