"""Hooks that change what is learned from."""

from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.trainers import BatchSubSampler, HookError, RewardNormalizer, SelectKeys, ValueEstimatorHook
from tests import small


def trajectories() -> TensorDict:
    """Two of ten steps, numbered through."""
    return TensorDict({"step": torch.arange(20).reshape(2, 10)}, batch_size=[2, 10])


def test_sub_trajectories_are_consecutive_steps_of_one_trajectory() -> None:
    drawn = BatchSubSampler(batch_size=400, sub_traj_len=4)(trajectories())
    assert drawn.batch_size == torch.Size([100, 4])
    first = drawn["step"][:, :1]
    assert torch.equal(drawn["step"], first + torch.arange(4))
    # Every start that leaves room for four steps, of both, and no other.
    assert set(first.flatten().tolist()) == {*range(7), *range(10, 17)}


def test_whole_trajectories_without_a_length() -> None:
    drawn = BatchSubSampler(40)(trajectories())
    assert drawn.batch_size == torch.Size([4, 10])
    assert set(drawn["step"][:, 0].tolist()) <= {0, 10}


def test_padding_is_never_drawn() -> None:
    data = trajectories()
    mask = torch.arange(10).expand(2, 10) < torch.tensor([[3], [10]])
    data["collector", "mask"] = mask
    assert set(BatchSubSampler(300)(data)["step"].flatten().tolist()) == {*range(3), *range(10, 20)}
    drawn = BatchSubSampler(600, min_sub_traj_len=6)(data)
    assert drawn.batch_size == torch.Size([100, 6])
    assert drawn["step"].min() >= 10


def test_rows_of_a_flat_batch_are_drawn_without_repetition() -> None:
    drawn = BatchSubSampler(8)(trajectories().reshape(-1))
    assert len(set(drawn["step"].tolist())) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 3, "sub_traj_len": 4}, "batch_size 3 is less than one stretch of 4 steps"),
        ({"batch_size": 40, "sub_traj_len": 11}, "sub_traj_len 11 is longer than a batch's 10 steps"),
        (
            {"batch_size": 40, "min_sub_traj_len": 11},
            "min_sub_traj_len 11 is longer than every trajectory of the batch",
        ),
    ],
)
def test_stretches_that_do_not_fit(options: dict[str, int], message: str) -> None:
    with pytest.raises(HookError, match=message):
        BatchSubSampler(**options)(trajectories())


@pytest.mark.parametrize(
    ("options", "path", "told"),
    [
        ({"batch_size": 4}, "hooks.0.batch_size", "4 rows are fewer than one stretch of 32 steps"),
        ({"batch_size": 8, "sub_traj_len": 9}, "hooks.0.batch_size", "8 rows are fewer than one stretch of 9 steps"),
        ({"batch_size": 64, "sub_traj_len": 33}, "hooks.0.sub_traj_len", "33 is longer than a batch's 32 steps"),
        (
            {"batch_size": 64, "min_sub_traj_len": 33},
            "hooks.0.min_sub_traj_len",
            "33 is longer than a batch's 32 steps",
        ),
    ],
)
def test_stretches_that_do_not_fit_a_recipe_are_told_when_it_is_read(
    options: dict[str, int], path: str, told: str
) -> None:
    (problem,) = small.problems({**small.CARTPOLE, "hooks": [{"name": "batch_sub_sampler", **options}]})
    assert problem[:2] == ("E302", path)
    assert told in problem[2]


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 32},
        {"batch_size": 32, "sub_traj_len": 32},
        {"batch_size": 5, "min_sub_traj_len": 5, "sub_traj_len": 2},
    ],
)
def test_the_least_that_fits_a_recipe_runs(options: dict[str, int]) -> None:
    recipe = {**small.CARTPOLE, "hooks": [{"name": "batch_sub_sampler", **options}]}
    assert small.problems(recipe) == []
    trainer = small.build(recipe, "trainer.total_frames=64").trainer
    trainer.train()
    assert trainer.clock.updates > 0


def test_a_memory_s_sequences_and_rows_of_its_own_exclude_each_other() -> None:
    recipe = small.changed(small.CARTPOLE, ("networks", "memory"), {"name": "lstm", "hidden_size": 4})
    (problem,) = small.problems({**recipe, "hooks": [{"name": "batch_sub_sampler", "batch_size": 64}]})
    assert problem[:2] == ("E302", "hooks.0")
    assert "leave out one of the two" in problem[3]


def test_a_run_learns_from_what_the_sub_sampler_draws() -> None:
    sizes: list[int] = []
    recipe = {**small.CARTPOLE, "hooks": [{"name": "batch_sub_sampler", "batch_size": 24, "sub_traj_len": 8}]}
    one, other = small.build(recipe), small.build(recipe)
    one.trainer.register_op("post_optim_log", lambda sub_batch: sizes.append(sub_batch.numel()))
    one.trainer.train()
    other.trainer.train()
    assert set(sizes) == {24}
    assert torch.equal(one.trainer.update.parameters.flat, other.trainer.update.parameters.flat)


@pytest.mark.parametrize("hook", [{"name": "batch_sub_sampler", "batch_size": 8}, {"name": "value_estimator_hook"}])
def test_what_needs_the_newest_batch_is_refused_with_a_replay_buffer(hook: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"E302 at hooks\.1: dqn learns from its replay buffer"):
        load({**small.DQN, "hooks": ["nan_guard", hook]})


def test_select_keys_drops_the_others() -> None:
    seen: list[set[Any]] = []
    trainer = small.build(small.CARTPOLE).trainer
    needed = ["observation", "action", *(("next", key) for key in ("observation", "reward", "terminated", "done"))]
    SelectKeys(needed).register(trainer)

    def note(batch: Any) -> None:
        seen.append(set(batch))

    note.reads_mapping = True  # type: ignore[attr-defined]
    trainer.register_op("pre_steps_log", note)
    trainer.train()
    assert all(("next", "truncated") not in keys and {*needed} <= keys for keys in seen)


def test_select_keys_that_drops_what_is_needed_says_what() -> None:
    trainer = small.build(small.CARTPOLE).trainer
    SelectKeys(["action", "observation"]).register(trainer)
    with pytest.raises(
        HookError, match=r"PPO needs the batch's entry \('next', .*\); no hook at batch_process may drop it"
    ):
        trainer.train()


def test_reward_normalizer_has_the_decaying_statistics() -> None:
    hook, rng = RewardNormalizer(decay=0.5, scale=2.0), np.random.default_rng(0)
    batches = [rng.normal(3.0, 2.0, 40) for _ in range(3)]
    for rewards in batches:
        hook.update_reward_stats({("next", "reward"): torch.from_numpy(rewards)})
    weights = np.repeat([0.25, 0.5, 1.0], 40)
    every = np.concatenate(batches)
    mean = np.average(every, weights=weights)
    variance = (np.sum(weights * every**2) - np.sum(weights * every) ** 2 / weights.sum()) / (weights.sum() - 1)
    assert (hook.mean, hook.std) == pytest.approx((mean, variance**0.5))
    given = {("next", "reward"): torch.tensor([1.0, 5.0]), "action": torch.zeros(2)}
    changed = hook.normalize_reward(given)
    torch.testing.assert_close(
        changed["next", "reward"], torch.tensor((np.array([1.0, 5.0]) - mean) / variance**0.5 * 2).float()
    )
    assert given["next", "reward"].tolist() == [1.0, 5.0]


@pytest.mark.parametrize("recipe", [small.PENDULUM, small.TD3], ids=["ppo", "td3"])
def test_what_a_run_learns_from_is_normalised_and_its_reports_are_raw(recipe: Any) -> None:
    seen: list[torch.Tensor] = []
    trainer = small.build({**recipe, "hooks": ["reward_normalizer"]}).trainer
    point = "pre_steps_log" if recipe is small.PENDULUM else "post_optim_log"
    trainer.register_op(point, lambda batch: seen.append(batch["next", "reward"].clone()))
    returns: list[float] = []
    trainer.boundaries.append(lambda: returns.extend(value for _, value, _ in trainer.episodes))
    trainer.train()
    last = torch.cat([each.flatten() for each in seen[len(seen) // 2 :]])
    assert abs(float(last.mean())) < 1.5
    assert max(returns) < -100


def test_one_reward_is_centred_only() -> None:
    hook = RewardNormalizer()
    batch = hook.update_reward_stats({("next", "reward"): torch.tensor([7.0])})
    assert float(hook.normalize_reward(batch)["next", "reward"]) == 0.0


def test_value_estimator_hook_is_the_algorithm_s_own_estimate_with_the_same_numbers() -> None:
    usual = small.build(small.CARTPOLE)
    again = small.build({**small.CARTPOLE, "hooks": [{"name": "value_estimator_hook", "lmbda": 0.95}]})
    other = small.build({**small.CARTPOLE, "hooks": [{"name": "value_estimator_hook", "lmbda": 0.0}]})
    for assembly in (usual, again, other):
        assembly.trainer.train()
    flat = [assembly.trainer.update.parameters.flat for assembly in (usual, again, other)]
    torch.testing.assert_close(flat[0], flat[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(flat[0], flat[2], rtol=1e-3, atol=1e-4)


def test_a_value_estimator_of_torchrl_writes_the_advantages() -> None:
    from torchrl.modules import ValueOperator
    from torchrl.objectives.value import GAE

    network = ValueOperator(torch.nn.Linear(4, 1), in_keys=["observation"])
    trainer, seen = small.build(small.CARTPOLE).trainer, []
    ValueEstimatorHook(GAE(gamma=0.5, lmbda=0.5, value_network=network)).register(trainer)
    trainer.register_op(
        "post_steps_log", lambda batch: seen.append(batch["state_value"] - network.module(batch["observation"]))
    )
    trainer.train()
    assert all(float(each.detach().abs().max()) < 1e-5 for each in seen)


def test_average_gae_has_mean_0_and_deviation_1() -> None:
    trainer, seen = small.build(small.CARTPOLE).trainer, []
    ValueEstimatorHook(average_gae=True).register(trainer)
    trainer.register_op("post_steps_log", lambda batch: seen.append(batch["advantage"].clone()))
    trainer.train()
    for advantage in seen:
        assert (float(advantage.mean()), float(advantage.std())) == pytest.approx((0.0, 1.0), abs=1e-4)


def test_the_name_of_nested_entries_selects_all_of_them() -> None:
    batch = {key: torch.zeros(2, 1) for key in ("observation", "action", ("next", "reward"), ("next", "done"))}
    kept = SelectKeys(["action", "next"])(batch)
    assert list(kept) == ["action", ("next", "reward"), ("next", "done")]
