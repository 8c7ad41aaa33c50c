"""The page on the seed's names: all of them are there, where it says, with the tests that it says."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from tests.processes import rlrecipe

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "seed-parity.md").read_text(encoding="utf-8")
#: What the page of torchrl names, by where it is public here.
NAMES = {
    "rlrecipe.trainers": (
        "BatchSubSampler ClearCudaCache CountFramesLog LogScalar OptimizerHook LogValidationReward ReplayBufferTrainer "
        "RewardNormalizer SelectKeys Trainer TrainerHookBase UpdateWeights TargetNetUpdaterHook UTDRHook PPOTrainer "
        "SACTrainer DQNTrainer TD3Trainer DDPGTrainer A2CTrainer ReinforceTrainer"
    ),
    "rlrecipe.builders": (
        "make_collector_offpolicy make_collector_onpolicy make_dqn_loss make_replay_buffer make_target_updater "
        "make_trainer parallel_env_constructor sync_async_collector sync_sync_collector transformed_env_constructor "
        "correct_for_frame_skip get_stats_random_rollout"
    ),
    "rlrecipe.loggers": ("Logger CSVLogger MLFlowLogger TensorboardLogger WandbLogger get_logger generate_exp_name"),
    "rlrecipe.recorders": "VideoRecorder TensorDictRecorder PixelRenderTransform",
}
PAIRS = [(module, name) for module, names in NAMES.items() for name in names.split()]
#: Batches short enough for a test.
SHORT = {
    "ppo": ("trainer.total_frames=512", "collector.frames_per_batch=256", "evaluation.episodes=1"),
    "sac": ("trainer.total_frames=128", "collector.init_random_frames=64", "evaluation.episodes=1"),
}


@pytest.mark.parametrize(("module", "name"), PAIRS)
def test_every_name_is_public_and_on_the_page(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is not None
    assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE)


def test_files_and_tests_that_the_page_names_are_there() -> None:
    files = re.findall(r"`((?:rlrecipe|tests)/[\w/]+(?:\.py)?)`", PAGE)
    assert len(files) > 60
    assert [file for file in files if not (ROOT / file).exists()] == []


def commands() -> list[str]:
    block = re.search(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    return [line.removeprefix("$ ") for line in block[1].splitlines()]


@pytest.mark.parametrize("command", commands())
def test_the_seeds_overrides_translated(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)[1:]
    if words[0] == "run":
        shorter = SHORT[words[1].split("/")[0]]
        words += ["--run-dir", str(tmp_path / "run"), "-q", *(word for each in shorter for word in ("-s", each))]
    done = rlrecipe(*words, cwd=tmp_path)
    assert done.code == 0, done.err


GROUPS = re.findall(r"`-s ('[^']*'|[^` ]+)`", PAGE)


@pytest.mark.parametrize("setting", GROUPS)
def test_every_group_is_reached(setting: str) -> None:
    from rlrecipe.recipe.load import load

    recipe = "sac/pendulum" if "replay_buffer" in setting or "collector.frames" in setting else "ppo/pendulum"
    key, _, value = shlex.split(setting)[0].partition("=")
    assert load(recipe, [f"{key}={value}"]).recipe
