"""The loop over the parts of a recipe."""

import pytest

from rlrecipe.clock import Clock
from tests import small


def test_the_factor_of_learning_rates_is_found_under_its_old_name() -> None:
    trainer = small.build(small.CARTPOLE).trainer
    start = trainer.update.parameters.flat.clone()

    def none(clock: Clock) -> float:
        return 0.0

    with pytest.warns(DeprecationWarning, match="lr is lr_factor now"):
        trainer.lr = none
    with pytest.warns(DeprecationWarning, match="lr is lr_factor now"):
        assert trainer.lr is none
    trainer.train()
    assert (trainer.update.parameters.flat == start).all()
