"""What the on-policy algorithms make of a batch, each with numbers of its own."""

from typing import Any

import numpy as np
import pytest
import torch

from rlrecipe.algorithms.gae import gae
from tests import small


@pytest.mark.parametrize(("name", "own", "lmbda"), [("a2c", {"lmbda": 0.5}, 0.5), ("reinforce", {}, 1.0)])
def test_advantages_have_the_algorithms_own_numbers(name: str, own: dict[str, float], lmbda: float) -> None:
    trainer = small.build({**small.CARTPOLE, "algorithm": {"name": name, "gamma": 0.9, **own}}).trainer
    algorithm: Any = trainer.algorithm
    batch = trainer.collector.collect()
    trainer.sampler.extend(trainer.update.params, batch)

    def values(key: Any) -> np.ndarray:
        given: torch.Tensor = algorithm.value(trainer.update.params["value"], batch[key].reshape(64, -1))
        return given.detach().reshape(32, 2).numpy()

    flags = (batch["next", flag].numpy() for flag in ("terminated", "done"))
    expected = gae(
        batch["next", "reward"].numpy(),
        values("observation"),
        values(("next", "observation")),
        *flags,
        gamma=0.9,
        lmbda=lmbda,
    )
    np.testing.assert_allclose(batch["advantage"], expected, rtol=1e-5, atol=1e-5)


def test_reinforce_adds_its_baselines_error() -> None:
    trainer = small.build({**small.CARTPOLE, "algorithm": "reinforce"}).trainer
    algorithm: Any = trainer.algorithm
    batch = trainer.collector.collect()
    trainer.sampler.extend(trainer.update.params, batch)
    trainer.sampler.begin(batch)
    inputs = {"critic_coeff": torch.tensor(0.3)}
    total, metrics = algorithm.loss(trainer.update.params, trainer.sampler.take(), inputs)
    torch.testing.assert_close(total.detach(), metrics["policy"] + 0.3 * metrics["value"])
