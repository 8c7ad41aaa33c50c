"""REINFORCE and discrete SAC beside torchrl's losses, on random batches, with the same weights.

torchrl's options: ``ReinforceLoss(loss_critic_type="l2")`` with the advantage given;
``DiscreteSACLoss(loss_function="l2", alpha_init=1, target_entropy_weight=0.98)`` with TD(0) at gamma.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
from torch import nn

from rlrecipe.distributions.categorical import Categorical
from rlrecipe.interfaces import Batch
from rlrecipe.networks.copies import Copies
from rlrecipe.networks.mlp import MLPOptions, make_mlp
from rlrecipe.recipe.slots import Slot

B, FEATURES, ACTIONS, GAMMA = 32, 4, 3, 0.97


def module(params: Any) -> nn.Sequential:
    """The same network as an nn.Module."""
    weight, bias = params["0.weight"], params["0.bias"]
    first = nn.Linear(weight.shape[1], weight.shape[0])
    last = nn.Linear(params["1.weight"].shape[1], params["1.weight"].shape[0])
    with torch.no_grad():
        first.weight.copy_(weight)
        first.bias.copy_(bias)
        last.weight.copy_(params["1.weight"])
        last.bias.copy_(params["1.bias"])
    return nn.Sequential(first, nn.Tanh(), last)


def network(out: int) -> Any:
    return make_mlp(MLPOptions(num_cells=[16], activation="tanh", init="default"), FEATURES, out)


def actor_of(params: Any) -> Any:
    logits = TensorDictModule(module(params), in_keys=["observation"], out_keys=["logits"])
    draw = ProbabilisticTensorDictModule(
        in_keys=["logits"],
        out_keys=["action"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    return ProbabilisticTensorDictSequential(logits, draw)


def batch_of(seed: int) -> tuple[Batch, TensorDict]:
    generator = torch.Generator().manual_seed(seed)
    batch: Batch = {
        "observation": torch.randn(B, FEATURES, generator=generator),
        "action": torch.randint(0, ACTIONS, (B,), generator=generator),
        "advantage": torch.randn(B, generator=generator),
        "value_target": torch.randn(B, generator=generator),
    }
    batch["next", "observation"] = torch.randn(B, FEATURES, generator=generator)
    batch["next", "reward"] = torch.randn(B, generator=generator)
    batch["next", "terminated"] = torch.rand(B, generator=generator) < 0.3
    theirs = TensorDict({key: value for key, value in batch.items() if isinstance(key, str)}, [B])
    for key in ("advantage", "value_target"):
        theirs[key] = batch[key].unsqueeze(-1)
    theirs["next"] = TensorDict({"observation": batch["next", "observation"]}, [B])
    theirs["next", "reward"] = batch["next", "reward"].unsqueeze(-1)
    theirs["next", "terminated"] = batch["next", "terminated"].unsqueeze(-1)
    theirs["next", "done"] = batch["next", "terminated"].unsqueeze(-1)
    return batch, theirs


@pytest.mark.parametrize("seed", range(3))
def test_reinforce_is_torchrls(seed: int) -> None:
    from torchrl.modules import ValueOperator
    from torchrl.objectives import ReinforceLoss

    options = Slot("algorithm").read("reinforce")
    policy, value = network(ACTIONS), network(1)
    generator = torch.Generator().manual_seed(seed)
    params = {"policy": policy.init(generator), "value": value.init(generator)}
    ours: Any = options.component.build(options, {"policy": policy, "value": value}, Categorical(ACTIONS, 0))
    batch, theirs = batch_of(seed)
    total, metrics = ours.loss(params, batch, {"critic_coeff": torch.tensor(0.5)})
    critic = ValueOperator(module(params["value"]), in_keys=["observation"])
    expected = ReinforceLoss(actor_of(params["policy"]), critic, loss_critic_type="l2")(theirs)
    torch.testing.assert_close(metrics["policy"], expected["loss_actor"].detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(metrics["value"], expected["loss_value"].detach(), rtol=1e-5, atol=1e-6)
    whole = expected["loss_actor"] + 0.5 * expected["loss_value"]
    torch.testing.assert_close(total.detach(), whole.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:No target network updater:UserWarning")
@pytest.mark.parametrize("seed", range(3))
def test_discrete_sac_is_torchrls(seed: int) -> None:
    from torchrl.objectives import DiscreteSACLoss

    options = Slot("algorithm").read({"name": "discrete_sac", "gamma": GAMMA})
    policy, qvalue = network(ACTIONS), Copies(network(ACTIONS), 2)
    generator = torch.Generator().manual_seed(seed)
    params: dict[str, Any] = {"policy": policy.init(generator), "qvalue": qvalue.init(generator)}
    ours: Any = options.component.build(options, {"policy": policy, "qvalue": qvalue}, Categorical(ACTIONS, 0))
    params |= {"target_qvalue": params["qvalue"], **ours.init()}
    batch, theirs = batch_of(seed)
    critics = [
        TensorDictModule(
            module({name: tensor[i] for name, tensor in params["qvalue"].items()}),
            in_keys=["observation"],
            out_keys=["action_value"],
        )
        for i in range(2)
    ]
    loss = DiscreteSACLoss(
        actor_of(params["policy"]),
        critics,
        action_space="categorical",
        num_actions=ACTIONS,
        num_qvalue_nets=2,
        loss_function="l2",
        alpha_init=1.0,
        target_entropy_weight=0.98,
    )
    loss.make_value_estimator(loss.default_value_estimator, gamma=GAMMA)
    expected = loss(theirs)
    _, critic = ours.critic_loss(params, batch, {})
    total, actor = ours.actor_loss(params, batch, {})
    torch.testing.assert_close(critic["qvalue"], expected["loss_qvalue"].detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(actor["policy"], expected["loss_actor"].detach(), rtol=1e-5, atol=1e-6)
    temperature = total.detach() - actor["policy"]
    torch.testing.assert_close(temperature, expected["loss_alpha"].detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(actor["entropy"], expected["entropy"].detach(), rtol=1e-5, atol=1e-6)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in params["policy"].items()}
    again, _ = ours.actor_loss({**params, "policy": leaves}, batch, {})
    own = torch.autograd.grad(again, list(leaves.values()))
    theirs_too = loss.actor_network_params.values(True, True)
    for mine, other in zip(own, torch.autograd.grad(expected["loss_actor"], list(theirs_too)), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)
