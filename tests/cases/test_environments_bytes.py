"""Pictures of bytes beside numbers stay bytes where they are kept, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlrecipe.assembly.environments import Spaces
from rlrecipe.assembly.memory_needed import row_bytes
from rlrecipe.errors import Diverged
from rlrecipe.interfaces import Batch
from rlrecipe.stepping.observations import Rows
from tests import small
from tests.parts import Parts
from tests.replay.small import BOTH

CONV = {"name": "conv", "channels": [4], "kernels": [3], "strides": [3]}
PER_KEY = {"name": "per_key", "keys": {"image": CONV, "direction": "one_hot", "speed": "one_hot"}}
DQN: dict[str, Any] = {
    **small.DQN,
    "env": {"name": "parts", "num_envs": 2},
    "networks": {"qvalue": {"num_cells": [8]}, "encoder": PER_KEY},
    "runtime": {"compile": "off"},
    "trainer": {**small.DQN["trainer"], "total_frames": 256},
}
#: Bytes of the picture, numbers beside it.
PICTURE, NUMBERS = 12 * 12 * 3, 4 + 2


def as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything be kept as numbers, as it was once."""
    monkeypatch.setattr("rlrecipe.assembly.collecting.packings", lambda spaces: {})


def test_the_row_of_the_case_has_the_bytes_of_its_pictures() -> None:
    picture = spaces.Box(0, 255, (84, 84, 3), np.uint8)
    numbers = spaces.Box(-1.0, 1.0, (4,), np.float32)
    space = Rows(spaces.Dict({"numbers": numbers, "picture": picture}))
    both = Spaces(space, spaces.Discrete(2))
    assert row_bytes(both) == 2 * (84 * 84 * 3 + 4 * 4) + 8 + 4 + 3 == 42_383
    assert row_bytes(both, packed=False) == 169_391


def test_the_replay_buffer_keeps_them_as_bytes() -> None:
    buffer: Any = small.build(DQN).trainer.modules["replay_buffer"]
    array = buffer.ring.arrays["observation"]
    assert array.dtype == np.uint8
    assert array.shape == (100, 2, PICTURE + 4 * NUMBERS)


def trained(recipe: Any) -> bytes:
    """Parameters at the end of a training."""
    trainer = small.build(recipe).trainer
    trainer.train()
    flat: bytes = trainer.update.parameters.flat.numpy().tobytes()
    return flat


@pytest.mark.parametrize("name", BOTH)
def test_what_is_learned_is_the_same_to_the_bit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = {**DQN["env"], "transforms": ["observation_norm"] if name == "prioritized" else []}
    storage = {"name": "memmap", "max_size": 60, "scratch_dir": str(tmp_path)}
    buffer = {**DQN["replay_buffer"], "name": name, "storage": storage}
    recipe = {**DQN, "env": env, "replay_buffer": buffer, "algorithm": {**DQN["algorithm"], "n_steps": 2}}
    kept_as_bytes = trained(recipe)
    as_numbers(monkeypatch)
    assert trained(recipe) == kept_as_bytes


def test_a_run_that_kept_numbers_is_resumed_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = {**DQN, "evaluation": {"episodes": 0}}
    whole = small.train(recipe, tmp_path / "whole").run_dir
    with monkeypatch.context() as patch:
        as_numbers(patch)
        before = small.train(recipe, tmp_path / "before", "trainer.total_frames=128").run_dir
    assert small.go_on(before, "trainer.total_frames=256").outcome.code == 0
    assert small.policy_bytes(before) == small.policy_bytes(whole)


def test_rows_of_numbers_are_written_anew_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        as_numbers(patch)
        trainer = small.build(DQN).trainer
        trainer.train()
        state = trainer.modules["replay_buffer"].state_dict()
    buffer: Any = small.build(DQN).trainer.modules["replay_buffer"]
    buffer.load_state_dict(state)
    (piece,) = buffer.ring.pieces()
    assert piece.tensors()["observation"].dtype == torch.uint8
    (kept,) = state["chunks"]
    rows = np.arange(len(buffer))
    numbers = kept.tensors()["observation"].numpy()
    assert buffer.ring.take("observation", rows).tobytes() == numbers.tobytes()


class Scaled:
    """A hook that divides pictures by 255, and the numbers beside them."""

    reads_mapping = True

    def __call__(self, batch: Batch) -> Batch:
        return {**batch, "observation": batch["observation"] / 255}


def test_pictures_that_a_hook_has_scaled_are_told() -> None:
    trainer = small.build(DQN).trainer
    trainer.register_op("batch_process", Scaled())
    with pytest.raises(ValueError, match=r"keeps whole numbers from 0 to 255: no hook at batch_process may scale them"):
        trainer.train()


PPO: dict[str, Any] = {
    **small.CARTPOLE,
    "env": DQN["env"],
    "networks": {"policy": {"num_cells": [8]}, "value": {"num_cells": [8]}, "encoder": PER_KEY},
    "trainer": {"total_frames": 128, "log_interval": 100},
    "runtime": {"compile": "off"},
}
ON_POLICY: dict[str, Any] = {
    "per_key": PPO,
    "normalised": {**PPO, "env": {**PPO["env"], "transforms": ["observation_norm", "reward_norm"]}},
    "a memory": {**PPO, "networks": {**PPO["networks"], "memory": {"name": "gru", "hidden_size": 4}}},
    "inputs": {
        **PPO,
        "algorithm": "a2c",
        "networks": {
            "policy": {"num_cells": [8]},
            "value": {"num_cells": [8], "inputs": ["speed"]},
            "encoder": {**CONV, "inputs": ["image"]},
        },
    },
}


@pytest.mark.parametrize("name", ON_POLICY)
def test_batches_keep_them_as_bytes_and_what_is_learned_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    collected = small.build(ON_POLICY[name]).trainer.collector.collect()
    assert collected["observation"].dtype == collected["next", "observation"].dtype == torch.uint8
    more = 4 + 1 if name == "a memory" else 0
    assert collected["observation"].shape == (32, 2, PICTURE + 4 * (NUMBERS + more))
    kept_as_bytes = trained(ON_POLICY[name])
    monkeypatch.setattr("rlrecipe.assembly.assemble.batches_of_bytes", lambda recipe: False)
    assert small.build(ON_POLICY[name]).trainer.collector.collect()["observation"].dtype == torch.float32
    assert trained(ON_POLICY[name]) == kept_as_bytes


class Seen:
    """A hook that keeps what it is shown of observations."""

    reads_mapping = True

    def __init__(self) -> None:
        self.rows: list[torch.Tensor] = []

    def __call__(self, batch: Batch) -> None:
        self.rows.append(batch["observation"].clone())


def test_hooks_are_shown_numbers_and_change_nothing() -> None:
    seen, trainer = Seen(), small.build(PPO).trainer
    trainer.register_op("batch_process", seen)
    trainer.train()
    assert trainer.update.parameters.flat.numpy().tobytes() == trained(PPO)
    assert [rows.shape for rows in seen.rows] == [(32, 2, PICTURE + NUMBERS)] * 2
    assert {rows.dtype for rows in seen.rows} == {torch.float32}
    assert set(seen.rows[0][..., 4 : 4 + PICTURE].flatten().tolist()) == {0.0, 200.0}


def test_a_number_that_is_not_finite_is_found_beside_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    reset = Parts.reset

    def broken(env: Parts, **given: Any) -> Any:
        observation, info = reset(env, **given)
        return {**observation, "speed": np.array([0.0, np.nan], np.float32)}, info

    trainer = small.build(PPO).trainer
    monkeypatch.setattr(Parts, "reset", broken)
    with pytest.raises(Diverged, match="in the collected batch: observation"):
        trainer.train()


@pytest.mark.parametrize(
    ("hooks", "row"), [([], 2 * (PICTURE + 4 * NUMBERS)), (["nan_guard"], 8 * (PICTURE + NUMBERS))]
)
def test_a_batch_that_does_not_fit_is_counted_as_it_is_kept(
    hooks: list[str], row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlrecipe.assembly.memory_needed.free_memory", lambda: 1000)
    found = small.problems({**PPO, "hooks": hooks})
    (message,) = [text for code, path, text, _ in found if (code, path) == ("E303", "collector.frames_per_batch")]
    assert f"64 frames x {row + 8 + 4 + 3} bytes" in message


def test_a_run_whose_batches_are_bytes_is_resumed_exactly(tmp_path: Path) -> None:
    recipe = {**PPO, "evaluation": {"episodes": 0}}
    whole = small.train(recipe, tmp_path / "whole").run_dir
    resumed = small.train(recipe, tmp_path / "resumed", "trainer.total_frames=64").run_dir
    assert small.go_on(resumed, "trainer.total_frames=128").outcome.code == 0
    assert small.policy_bytes(resumed) == small.policy_bytes(whole)
    assert not (resumed / "checkpoints/damaged").exists()
