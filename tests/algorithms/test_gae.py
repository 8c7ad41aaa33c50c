from typing import Any

import hypothesis.extra.numpy as arrays_of
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchrl.objectives.value.functional import (
    generalized_advantage_estimate,
    vec_generalized_advantage_estimate,
)

from rlrecipe.algorithms.gae import gae

shapes = st.tuples(st.integers(1, 12), st.integers(1, 4))
numbers = st.floats(-10, 10, width=32)
unit = st.floats(0, 1, width=32)


@st.composite
def batches(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """A batch ``[T, N]``; final observations have values of their own."""
    shape = draw(shapes)
    floats = arrays_of.arrays(np.float32, shape, elements=numbers)
    flags = arrays_of.arrays(np.bool_, shape)
    terminated, truncated = draw(flags), draw(flags)
    names = ("reward", "value", "next_value")
    batch = {name: draw(floats) for name in names}
    return {**batch, "terminated": terminated, "done": terminated | truncated}


def assert_equal_to(reference: Any, batch: dict[str, np.ndarray], gamma: float, lmbda: float) -> None:
    def column(name: str) -> torch.Tensor:
        return torch.from_numpy(batch[name].T.copy()).unsqueeze(-1)  # torchrl's [N, T, 1]

    expected, target = reference(
        gamma, lmbda, column("value"), column("next_value"), column("reward"),
        done=column("done"), terminated=column("terminated"),
    )  # fmt: skip
    advantage = gae(**batch, gamma=gamma, lmbda=lmbda)
    scale = 1 + np.abs(advantage).max()
    np.testing.assert_allclose(advantage.T, expected.squeeze(-1).numpy(), atol=2e-5 * scale)
    np.testing.assert_allclose((advantage + batch["value"]).T, target.squeeze(-1).numpy(), atol=2e-5 * scale)


@settings(deadline=None, max_examples=100)
@given(batch=batches(), gamma=unit, lmbda=unit)
def test_gae_equals_torchrls(batch: dict[str, np.ndarray], gamma: float, lmbda: float) -> None:
    assert_equal_to(generalized_advantage_estimate, batch, gamma, lmbda)


@settings(deadline=None, max_examples=100)
@given(batch=batches(), gamma=st.floats(0.1, 1), lmbda=st.floats(0.1, 1))
def test_gae_equals_torchrls_vectorised_one(batch: dict[str, np.ndarray], gamma: float, lmbda: float) -> None:
    """Which cannot compute decays near zero (torchrl 0.14.1)."""
    assert_equal_to(vec_generalized_advantage_estimate, batch, gamma, lmbda)


def one_row(terminated: bool, truncated: bool) -> dict[str, np.ndarray]:
    """An episode ends at the second of three steps; a new one follows."""
    ends = np.array([[False], [terminated or truncated], [False]])
    return {
        "reward": np.array([[1.0], [2.0], [4.0]], np.float32),
        "value": np.array([[10.0], [20.0], [30.0]], np.float32),
        # What follows step 1 is the true last observation, not the first of the next episode.
        "next_value": np.array([[20.0], [50.0], [60.0]], np.float32),
        "terminated": ends & terminated,
        "done": ends,
    }


def test_a_terminated_step_has_no_future() -> None:
    advantage = gae(**one_row(True, False), gamma=0.5, lmbda=0.5)
    assert advantage[:, 0].tolist() == [1 + 10 - 10 + 0.25 * (2 - 20), 2 - 20, 4 + 30 - 30]


def test_a_truncated_step_bootstraps_from_its_last_observation_and_cuts_the_trace() -> None:
    advantage = gae(**one_row(False, True), gamma=0.5, lmbda=0.5)
    assert advantage[:, 0].tolist() == [1 + 10 - 10 + 0.25 * (2 + 25 - 20), 2 + 25 - 20, 4 + 30 - 30]


def test_precision_is_the_batchs() -> None:
    assert gae(**one_row(True, False), gamma=0.5, lmbda=0.5).dtype == np.float32
