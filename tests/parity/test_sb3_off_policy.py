"""What an off-policy trace holds is enough to repeat it, and sharp enough to tell a wrong update from a right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.parity import sb3_off_policy
from tests.parity.box_env import BoxEnv, make_box_env
from tests.parity.sb3_off_policy import record_ddpg, record_dqn, record_sac, record_td3
from tests.parity.sb3_recorder import OffPolicyTrace
from tests.parity.sb3_replay import Replay
from tests.parity.sb3_slots import networks_of, targets_of

RECORDERS: dict[str, Callable[..., Any]] = {
    "dqn": record_dqn,
    "ddpg": record_ddpg,
    "td3": record_td3,
    "sac": record_sac,
    "sac_fixed": lambda **options: record_sac(fixed_alpha=0.25, **options),
    "sac_exact": lambda **options: record_sac(tanh_epsilon=0.0, **options),
}
every_recorder = pytest.mark.parametrize("name", RECORDERS)
MISTAKES = [
    ("dqn", "unclipped"),
    ("dqn", "squared loss"),
    ("dqn", "cut at truncation"),
    ("ddpg", "unclipped noise"),
    ("ddpg", "cut at truncation"),
    ("td3", "unclipped noise"),
    ("td3", "unclipped action"),
    ("td3", "counted from zero"),
    ("td3", "both critics"),
    ("td3", "cut at truncation"),
    ("sac", "new alpha"),
    ("sac", "same noise"),
    ("sac", "policy first"),
    ("sac", "cut at truncation"),
    ("sac_fixed", "policy first"),
]


@cache
def trace_of(name: str, dtype: torch.dtype = torch.float64) -> OffPolicyTrace:
    trace: OffPolicyTrace = RECORDERS[name](dtype=dtype)
    return trace


def tensors_of(trace: OffPolicyTrace) -> Iterator[Tensor]:
    """Every tensor with real numbers."""
    yield from (trace.initial | trace.initial_targets).values()
    for update in trace.updates:
        yield from (*update.parameters.values(), *update.targets.values(), *update.noise.values())
        yield from (update.sample.observations, update.sample.next_observations, update.sample.rewards)


def changes(trace: OffPolicyTrace, slot: str) -> list[bool]:
    """Whether each update changed the slot's parameters."""
    states = [trace.initial, *(update.parameters for update in trace.updates)]
    names = [name for name in trace.initial if name.startswith(f"{slot}.")]
    return [any(not torch.equal(before[name], after[name]) for name in names) for before, after in pairwise(states)]


@every_recorder
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_holds_a_hundred_updates_of_one_precision(name: str, dtype: torch.dtype) -> None:
    trace = trace_of(name, dtype)
    assert {tensor.dtype for tensor in tensors_of(trace)} == {dtype}
    assert len(trace.updates) == 100
    assert len({update.learning_rate for update in trace.updates}) == 20
    assert {target.removeprefix("target_") for target in trace.initial_targets} <= set(trace.initial)
    for update in trace.updates:
        assert set(update.parameters) == set(trace.initial)
        assert set(update.targets) == set(trace.initial_targets)
        assert all(len(tensor) == 32 for tensor in update.sample)


@every_recorder
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-4)], ids=["float64", "float32"]
)
def test_an_independent_update_arrives_at_the_same(name: str, dtype: torch.dtype, limit: float) -> None:
    assert Replay(trace_of(name, dtype)).deviation() < limit


@pytest.mark.parametrize(("name", "wrong"), MISTAKES)
def test_a_wrong_update_is_seen(name: str, wrong: str) -> None:
    assert Replay(trace_of(name), wrong).deviation(enough=5e-4) > 5e-4


def test_the_epsilon_in_the_correction_of_sac_is_more_than_rounding() -> None:
    assert Replay(trace_of("sac"), "stable correction").deviation() > 1e-6


@every_recorder
def test_observing_changes_no_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unobserved(model: Any, dtype: Any, copy_every: Any = None, **_: Any) -> dict[str, Tensor]:
        sb3_off_policy.collect(model)
        sb3_off_policy.widen(model)
        sb3_off_policy.train(model, copy_every)
        return networks_of(model) | targets_of(model)

    recorded = trace_of(name).updates[-1]
    monkeypatch.setattr(sb3_off_policy, "record", unobserved)
    plain = RECORDERS[name]()
    for name_, tensor in (recorded.parameters | recorded.targets).items():
        assert torch.equal(plain[name_], tensor), name_


def test_targets_of_dqn_are_copies_after_every_fifth_update_only() -> None:
    trace = trace_of("dqn")
    assert [number for number, update in enumerate(trace.updates) if update.targets_moved] == list(range(4, 100, 5))
    for update in trace.updates:
        equal = all(torch.equal(update.targets[f"target_{name}"], own) for name, own in update.parameters.items())
        assert equal == update.targets_moved


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_gradients_of_dqn_lie_on_both_sides_of_the_limit(dtype: torch.dtype) -> None:
    norms = [update.grad_norms["qvalue"] for update in trace_of("dqn", dtype).updates]
    assert 10 <= sum(norm > 10.0 for norm in norms) <= 90


def test_actions_of_dqn_are_integers() -> None:
    actions = torch.stack([update.sample.actions for update in trace_of("dqn").updates])
    assert actions.dtype == torch.int64
    assert set(actions.flatten().tolist()) == {0, 1}


def test_td3_moves_policy_and_targets_on_every_second_update() -> None:
    trace = trace_of("td3")
    delayed = [number % 2 == 1 for number in range(100)]
    assert changes(trace, "policy") == delayed
    assert [update.targets_moved for update in trace.updates] == delayed
    assert ["policy" in update.grad_norms for update in trace.updates] == delayed
    assert all(changes(trace, "qvalue"))


def test_noise_of_td3_is_standard_and_sometimes_clipped() -> None:
    trace = trace_of("td3")
    noise = torch.stack([update.noise["next_action"] for update in trace.updates])
    assert trace.target_noise is not None
    assert trace.noise_clip is not None
    assert abs(float(noise.std()) - 1.0) < 0.05
    assert 20 <= int(((noise * trace.target_noise).abs() > trace.noise_clip).sum()) < 1000


@pytest.mark.parametrize("name", ["ddpg", "sac", "sac_fixed"])
def test_ddpg_and_sac_move_everything_on_every_update(name: str) -> None:
    trace = trace_of(name)
    assert all(update.targets_moved for update in trace.updates)
    for slot in {name.partition(".")[0] for name in trace.initial}:
        assert all(changes(trace, slot)), slot


def test_ddpg_has_one_critic_without_a_leading_dimension_and_no_noise() -> None:
    trace = trace_of("ddpg")
    assert trace.initial["qvalue.0.weight"].shape == (16, 5)
    assert (trace.policy_delay, trace.noise_clip) == (1, 0.0)


@pytest.mark.parametrize("name", ["td3", "sac"])
def test_two_critics_are_stacked_and_differ(name: str) -> None:
    trace = trace_of(name)
    assert trace.initial["qvalue.0.weight"].shape == (2, 16, 5)
    assert trace.initial["qvalue.2.bias"].shape == (2, 1)
    assert not torch.equal(*trace.initial["qvalue.0.weight"])


def test_policy_of_sac_has_one_last_layer_and_its_temperature_moves() -> None:
    trace = trace_of("sac")
    assert trace.initial["policy.2.weight"].shape == (4, 16)
    values = [float(update.parameters["alpha.log_alpha"]) for update in trace.updates]
    assert trace.initial["alpha.log_alpha"].shape == ()
    assert float(trace.initial["alpha.log_alpha"]) == 0.0
    assert abs(values[-1]) > 0.1
    assert trace.target_entropy == -2.0


def test_a_fixed_temperature_of_sac_is_no_parameter() -> None:
    trace = trace_of("sac_fixed")
    assert "alpha.log_alpha" not in trace.initial
    assert (trace.fixed_alpha, trace.target_entropy) == (0.25, None)


@pytest.mark.parametrize("name", ["sac", "td3"])
def test_stored_actions_are_scaled_to_one(name: str) -> None:
    actions = torch.cat([update.sample.actions for update in trace_of(name).updates])
    assert float(actions.abs().max()) <= 1.0
    assert (actions.amin(0) < -0.9).all()
    assert (actions.amax(0) > 0.9).all()


def test_the_environment_ends_in_both_ways_and_has_asymmetric_bounds() -> None:
    env = make_box_env()
    env.reset(seed=0)
    env.action_space.seed(0)
    ends = []
    for _ in range(400):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            ends.append((terminated, truncated))
            env.reset()
    assert {(True, False), (False, True)} <= set(ends)
    assert not np.any(BoxEnv.low + BoxEnv.high == 0)
