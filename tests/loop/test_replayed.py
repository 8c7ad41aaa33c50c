"""From a replay buffer to sub-batches: how many, of what, seen how."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlrecipe.interfaces import Batch
from rlrecipe.loop.replayed import Ratio
from rlrecipe.runs.load_policy import find_checkpoint
from tests import small
from tests.replay.small import needs_trees

SAC = {**small.TD3, "algorithm": "sac"}
#: As many frames as bring more than one update.
COLLECTED: Batch = {"action": torch.zeros(100, 2)}


def test_updates_for_each_frame_carry_their_fractions_over() -> None:
    ratio = Ratio(10, 0.1, None)
    assert [ratio.due(n, 1) for n in range(1, 41)] == [0] * 10 + [0, 0, 0, 0, 0, 0, 0, 0, 0, 1] * 3
    # In floating point 0.29 * 100 is 28.999999999999996.
    assert Ratio(0, 0.29, None).due(100, 100) == 29


def test_updates_for_each_batch_start_after_the_random_frames() -> None:
    ratio = Ratio(10, None, 3)
    assert [ratio.due(n, 5) for n in (5, 10, 15, 20)] == [0, 0, 3, 3]


def test_rows_are_raw_and_sub_batches_are_normalised() -> None:
    env = {"env_name": "CartPole-v1", "num_envs": 2, "transforms": ["observation_norm", "reward_norm"]}
    trainer = small.build({**small.DQN, "env": env}).trainer
    trainer.train()
    sampler: Any = trainer.sampler
    observations, rewards = sampler.transforms
    rows = sampler.buffer.ring.rows
    assert (rows["next", "reward"][: len(sampler.buffer)] == 1).all()
    sampler.begin(COLLECTED)
    sub_batch = sampler.take()
    drawn = sub_batch["index"].numpy()
    for key in ("observation", ("next", "observation")):
        raw = rows[key][drawn]
        np.testing.assert_array_equal(sub_batch[key], observations.apply(raw))
        assert (sub_batch[key].numpy() != raw).any()
    seen = rewards.apply_reward(rows["next", "reward"][drawn])
    np.testing.assert_allclose(sub_batch["next", "reward"], seen, rtol=1e-6)
    assert (sub_batch["next", "reward"] != 1).all()


@pytest.mark.parametrize(("recipe", "keys"), [(small.TD3, 1), (SAC, 2)], ids=["td3", "sac"])
def test_each_sub_batch_has_noise_of_its_own(recipe: dict[str, Any], keys: int) -> None:
    trainer = small.build(recipe).trainer
    algorithm: Any = trainer.algorithm
    trainer.train()
    assert trainer.sampler.begin(COLLECTED) > 1
    taken = [trainer.sampler.take() for _ in range(2)]
    drawn = [sub_batch[key] for sub_batch in taken for key in ("noise", ("next", "noise")) if key in sub_batch]
    assert len(drawn) == 2 * keys
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    for numbers in algorithm.noise(np.random.default_rng(0), 5000).values():
        assert numbers.std() == pytest.approx(1, abs=0.05)
        assert numbers.mean() == pytest.approx(0, abs=0.05)


@needs_trees
def test_n_steps_and_priorities_reach_the_updates() -> None:
    algorithm = {"name": "dqn", "n_steps": 3, "gamma": 0.9}
    buffer = {**small.DQN["replay_buffer"], "name": "prioritized"}
    trainer = small.build({**small.DQN, "algorithm": algorithm, "replay_buffer": buffer}).trainer
    powers: set[float] = set()
    trainer.register_op("post_loss", lambda batch: powers.update(round(x, 4) for x in batch["gamma"].tolist()))
    trainer.train()
    assert powers == {0.9, 0.81, 0.729}
    sampler: Any = trainer.sampler
    assert len(set(sampler.buffer.tree[np.arange(len(sampler.buffer))].tolist())) > 20


def test_no_update_before_a_buffer_without_its_rows_is_full_again(tmp_path: Path) -> None:
    recipe = small.changed(small.DQN, ("replay_buffer", "batch_size"), 150)
    recipe = {**recipe, "checkpoint": {"every": 64, "include_buffer": False}}
    assert small.train(recipe, tmp_path / "run", "trainer.time_limit=256").outcome.code == 75
    manifest = find_checkpoint(tmp_path / "run").manifest
    assert manifest["exact"] == "continue"
    assert "include_buffer" in manifest["exact_reason"]
    assert not list((tmp_path / "run/checkpoints").glob("*/replay_buffer.chunks*"))
    result = small.go_on(tmp_path / "run", "trainer.time_limit=null")
    # 28 by frame 256; of the 39 that follow 20 are due in the two batches before 150 rows are there again.
    assert result.summary["updates"] == 47
