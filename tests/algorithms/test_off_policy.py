"""Numbers of the off-policy losses that traces of another library leave out: weights, errors, first values."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from rlrecipe.algorithms.dqn import DQN
from rlrecipe.algorithms.off_policy import squared_error
from rlrecipe.interfaces import Batch
from rlrecipe.learning.update import gradient
from rlrecipe.recipe.slots import Slot
from tests import small


@pytest.mark.parametrize("algorithm", ["td3", "sac", "ddpg"])
def test_weights_of_rows_scale_their_errors(algorithm: str) -> None:
    trainer = small.build({**small.TD3, "algorithm": algorithm}).trainer
    trainer.train()
    trainer.sampler.begin({"action": torch.zeros(100, 2, 1)})
    batch, critic = trainer.sampler.take(), trainer.update.parts[0]
    weight = torch.rand(len(batch["action"]), generator=torch.Generator().manual_seed(0))
    whole, _ = gradient(critic, {**batch, "priority_weight": weight}, {})
    rows = [{key: tensor[i : i + 1] for key, tensor in batch.items()} for i in range(len(weight))]
    each = torch.stack([gradient(critic, row, {})[0] for row in rows])
    torch.testing.assert_close(whole, (each * weight[:, None]).mean(0), rtol=1e-4, atol=1e-5)


def test_the_td_error_of_twins_is_the_larger_one() -> None:
    taken, target = torch.tensor([[1.0, 2.0], [4.0, 1.0]]), torch.tensor([2.0, 3.0])
    loss, metrics = squared_error(taken, target, {"priority_weight": torch.tensor([1.0, 0.5])})
    assert metrics["td_error"].tolist() == [2.0, 2.0]
    assert float(loss) == (1 * 1 + 0.5 * 1) / 2 + (1 * 4 + 0.5 * 4) / 2


class Table:
    """A network that is a table of outputs by state."""

    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return params["table"][x[:, 0].long()]


def test_dqns_dueling_values_and_td_error() -> None:
    options: Any = Slot("algorithm").read({"name": "dqn", "dueling": True, "gamma": 0.5})
    network: Any = Table()
    dqn, table = DQN(options, network), {"table": torch.tensor([[1.0, 3.0, 10.0], [0.0, 4.0, 20.0]])}
    assert dqn.values(table, torch.tensor([[0.0], [1.0]])).tolist() == [[9, 11], [18, 22]]
    batch: Batch = {
        "observation": torch.tensor([[0.0]]),
        "action": torch.tensor([1]),
        ("next", "observation"): torch.tensor([[1.0]]),
        ("next", "reward"): torch.tensor([2.0]),
        ("next", "terminated"): torch.tensor([False]),
    }
    _, metrics = dqn.loss({"qvalue": table, "target_qvalue": table}, batch, {})
    assert metrics["td_error"].tolist() == [11 - (2 + 0.5 * 22)]


def test_the_temperature_starts_at_alpha_init_and_aims_at_the_usual_entropy() -> None:
    built = small.build({**small.TD3, "algorithm": {"name": "sac", "alpha_init": 0.2}})
    algorithm: Any = built.trainer.algorithm
    assert float(algorithm.init()["alpha"]["log_alpha"].exp()) == pytest.approx(0.2)
    assert algorithm.target_entropy == -1.0
