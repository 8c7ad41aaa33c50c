import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch.distributions import (
    AffineTransform,
    Categorical,
    Independent,
    Normal,
    TanhTransform,
    TransformedDistribution,
)

from rlrecipe.interfaces import Distribution
from rlrecipe.recipe.registry import search
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import DistributionTraits

BOX = gymnasium.spaces.Box(np.array([-2.0, 0.0, -1.0], np.float32), np.array([2.0, 1.0, 5.0], np.float32))
SPACES: dict[str, Any] = {
    "categorical": gymnasium.spaces.Discrete(3, start=2),
    "normal": BOX,
    "tanh_normal": BOX,
}
ROWS = 64


def make(name: str, **options: Any) -> Distribution:
    chosen = Slot("distribution").read({"name": name, **options})
    made: Distribution = chosen.component.build(chosen, SPACES[name])
    return made


def own_parameters(distribution: Distribution) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(value.shape, generator=generator) for name, value in distribution.init().items()}


def outputs(distribution: Distribution) -> torch.Tensor:
    return torch.randn(ROWS, distribution.features, generator=torch.Generator().manual_seed(0))


def reference(name: str, mean: torch.Tensor, params: dict[str, torch.Tensor]) -> Any:
    if name == "categorical":
        return Categorical(logits=mean)
    return Independent(Normal(mean, params["log_std"].exp()), 1)


def test_every_distribution_is_compared() -> None:
    assert {component.name for component in search("distribution")} == set(SPACES) | {"greedy", "tanh"}


@pytest.mark.parametrize("name", ["categorical", "normal"])
def test_log_probabilities_and_entropies_are_torchs(name: str) -> None:
    distribution = make(name)
    params, mean = own_parameters(distribution), outputs(distribution)
    expected = reference(name, mean, params)
    noise = torch.from_numpy(distribution.noise(np.random.default_rng(0), ROWS)).float()
    action = distribution.sample(params, mean, noise)
    torch.testing.assert_close(distribution.log_prob(params, mean, action), expected.log_prob(action))
    torch.testing.assert_close(distribution.entropy(params, mean), expected.entropy())


def test_log_probabilities_of_tanh_normal_are_torchs() -> None:
    """Of tanh(u), given u; float64, where torch's inverse of tanh keeps enough digits."""
    distribution = make("tanh_normal")
    params = {key: value.double() for key, value in own_parameters(distribution).items()}
    mean = outputs(distribution).double()
    u = distribution.sample(params, mean, torch.randn(mean.shape, dtype=torch.float64)).clamp(-5, 5)
    expected: Any = TransformedDistribution(Normal(mean, params["log_std"].exp()), [TanhTransform()])
    torch.testing.assert_close(
        distribution.log_prob(params, mean, u), expected.log_prob(torch.tanh(u)).sum(-1), rtol=1e-6, atol=1e-6
    )


def test_log_probabilities_of_tanh_normal_are_finite_at_the_bounds() -> None:
    distribution = make("tanh_normal")
    mean = torch.zeros(1, 3, requires_grad=True)
    log_prob = distribution.log_prob({"log_std": torch.zeros(3)}, mean, torch.tensor([[30.0, -30.0, 0.0]]))
    assert torch.isfinite(log_prob).all()
    (gradient,) = torch.autograd.grad(log_prob.sum(), mean)
    assert gradient.tolist() == [[30.0, -30.0, 0.0]]


def test_the_entropy_of_tanh_normal_is_the_normals() -> None:
    distribution = make("tanh_normal")
    params, mean = own_parameters(distribution), outputs(distribution)
    expected = reference("normal", mean, params)
    torch.testing.assert_close(distribution.entropy(params, mean), expected.entropy())


def test_tanh_normal_scales_to_the_bounds() -> None:
    distribution = make("tanh_normal")
    u = np.random.default_rng(0).standard_normal((ROWS, 3)).astype(np.float32)
    middle, half = torch.from_numpy(BOX.high + BOX.low) / 2, torch.from_numpy(BOX.high - BOX.low) / 2
    expected = AffineTransform(middle, half)(torch.tanh(torch.from_numpy(u)))
    torch.testing.assert_close(torch.from_numpy(distribution.to_env(u)), expected)
    extreme = distribution.to_env(np.array([[50.0] * 3, [-50.0] * 3], np.float32))
    assert np.array_equal(extreme, [BOX.high, BOX.low])
    assert extreme.dtype == BOX.dtype


def test_normal_is_clipped_for_the_environment_only() -> None:
    distribution = make("normal")
    action = np.array([[9.0, -9.0, 0.5]], np.float32)
    assert distribution.to_env(action).tolist() == [[2.0, 0.0, 0.5]]
    assert action.tolist() == [[9.0, -9.0, 0.5]]


def test_categorical_is_shifted_to_where_the_space_starts() -> None:
    assert make("categorical").to_env(np.array([0, 2])).tolist() == [2, 4]


@pytest.mark.parametrize("name", SPACES)
def test_numpy_and_torch_act_alike(name: str) -> None:
    distribution = make(name)
    params, mean = own_parameters(distribution), outputs(distribution)
    noise = distribution.noise(np.random.default_rng(0), ROWS)
    arrays = {key: value.numpy() for key, value in params.items()}
    in_numpy = distribution.sample(arrays, mean.numpy(), noise)
    in_torch = distribution.sample(params, mean, torch.from_numpy(noise)).numpy()
    np.testing.assert_allclose(in_numpy, in_torch, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(distribution.mode(mean.numpy()), distribution.mode(mean).numpy())


@pytest.mark.parametrize("name", SPACES)
def test_the_mode_is_at_least_as_probable_as_any_sample(name: str) -> None:
    distribution = make(name)
    params, mean = own_parameters(distribution), outputs(distribution)
    # tanh stretches space, and so moves the mode of its density: what is compared is the normal before it.
    score = make("normal").log_prob if name == "tanh_normal" else distribution.log_prob
    noise = torch.from_numpy(distribution.noise(np.random.default_rng(0), ROWS)).float()
    sampled = score(params, mean, distribution.sample(params, mean, noise))
    assert (score(params, mean, distribution.mode(mean)) >= sampled).all()


def test_categorical_draws_with_its_probabilities() -> None:
    """Gumbel-max against the softmax: four standard errors at 40 000 draws."""
    distribution, logits = make("categorical"), np.log([0.5, 0.3, 0.2])
    draws = 40_000
    noise = distribution.noise(np.random.default_rng(0), draws)
    actions = distribution.sample({}, np.tile(logits, (draws, 1)), noise)
    found = np.bincount(actions, minlength=3) / draws
    for share, p in zip(found, (0.5, 0.3, 0.2), strict=True):
        assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / draws)


def test_normal_draws_with_its_deviation() -> None:
    distribution = make("normal", log_std_init=-1.0)
    assert distribution.init()["log_std"].tolist() == [-1.0] * 3
    params = {"log_std": distribution.init()["log_std"].numpy()}
    noise = distribution.noise(np.random.default_rng(0), 40_000)
    draws = distribution.sample(params, np.ones((40_000, 3), np.float32), noise)
    assert draws.dtype == np.float32
    np.testing.assert_allclose(draws.mean(0), 1.0, atol=4 * math.exp(-1) / 200)
    np.testing.assert_allclose(draws.std(0), math.exp(-1), rtol=0.02)


@pytest.mark.parametrize(
    ("name", "space", "reason"),
    [
        ("categorical", BOX, "needs a Discrete"),
        ("normal", gymnasium.spaces.Discrete(2), "needs a Box"),
        ("tanh_normal", gymnasium.spaces.Discrete(2), "needs a Box"),
        ("tanh_normal", gymnasium.spaces.Box(-np.inf, np.inf, (1,)), "needs bounds"),
        ("normal", gymnasium.spaces.Box(-np.inf, np.inf, (1,)), None),
        ("tanh_normal", BOX, None),
        ("categorical", gymnasium.spaces.Discrete(2), None),
    ],
)
def test_spaces_that_fit(name: str, space: Any, reason: str | None) -> None:
    (component,) = [component for component in search("distribution") if component.name == name]
    answer = DistributionTraits.of(component).fits(space)
    assert answer is None if reason is None else reason in str(answer)


def test_greedy_takes_the_best_action_and_leaves_a_states_value_aside() -> None:
    greedy = Slot("distribution").read("greedy")
    made: Distribution = greedy.component.build(greedy, SPACES["categorical"])
    outputs = np.array([[0.0, 2.0, 1.0, 9.0], [3.0, 2.0, 1.0, -9.0]])
    assert made.mode(outputs).tolist() == [1, 0]
    assert made.mode(torch.from_numpy(outputs)).tolist() == [1, 0]
    assert made.to_env(np.array([1, 0])).tolist() == [3, 2]


def test_deterministic_actions_are_scaled_from_minus_one_to_one() -> None:
    tanh = Slot("distribution").read("tanh")
    box = gymnasium.spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([4.0, 1.0], np.float32))
    made: Distribution = tanh.component.build(tanh, box)
    outputs = np.array([[0.0, 50.0]], np.float32)
    assert made.mode(outputs).tolist() == [[0.0, 1.0]]
    assert made.to_env(made.mode(outputs)).tolist() == [[1.0, 1.0]]
    drawn = made.random(np.random.default_rng(0), 1000)
    assert -1 <= drawn.min() < -0.99 < 0.99 < drawn.max() <= 1


def test_a_squashed_normal_of_the_network_is_torchs() -> None:
    options = Slot("distribution").read({"name": "tanh_normal", "state_dependent": True})
    made: Any = options.component.build(options, BOX)
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(ROWS, made.features, generator=generator, dtype=torch.float64)
    noise = torch.randn(ROWS, made.n, generator=generator, dtype=torch.float64)
    action, log_prob = made.draw(outputs, noise)
    mean, log_std = outputs[:, : made.n], outputs[:, made.n :].clamp(-20.0, 2.0)
    u = mean + log_std.exp() * noise
    slope: Any = torch.distributions.TanhTransform()
    normal: Any = torch.distributions.Normal(mean, log_std.exp())
    expected = (normal.log_prob(u) - slope.log_abs_det_jacobian(u, torch.tanh(u))).sum(-1)
    torch.testing.assert_close(log_prob, expected)
    inside = (u.abs() < 5).all(-1)
    torch.testing.assert_close(made.log_prob({}, outputs, action)[inside], expected[inside], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(made.sample({}, outputs, noise), action)
    np.testing.assert_allclose(made.sample({}, outputs.numpy(), noise.numpy()), action.numpy())
