"""Evaluations along the way: their numbers, their environments, and that training does not notice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict.nn import TensorDictModule
from torchrl.envs import ExplorationType, GymEnv, ObservationNorm, StepCounter, TransformedEnv
from torchrl.modules import MLP, ProbabilisticActor, TanhNormal
from torchrl.modules.distributions import NormalParamExtractor

from rlrecipe.acting.evaluation import Evaluator
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from rlrecipe.trainers import HookError, LogValidationReward
from tests import small
from tests.films import frames_of

SHORT = {**small.PENDULUM, "trainer": {"total_frames": 256}, "evaluation": {}}


def logged(*hooks: LogValidationReward, recipe: Any = SHORT) -> tuple[RecipeTrainer, list[dict[str, Any] | None]]:
    """A trained trainer, and what the first hook returned after each batch."""
    trainer, rows = small.build(recipe).trainer, list[dict[str, Any] | None]()
    for i, hook in enumerate(hooks):
        hook.register(trainer, f"hook{i}")
    called = hooks[0].__call__

    def note(batch: Any) -> Any:
        rows.append(called(batch))
        return rows[-1]

    first = trainer.points.ops["post_steps_log"][0]
    trainer.points.ops["post_steps_log"][0] = replace(first, op=note)
    trainer.train()
    return trainer, rows


def test_the_numbers_are_those_of_an_evaluation_with_seeds_of_its_own() -> None:
    hook = LogValidationReward(record_interval=3, episodes=2, record_frames=30, frame_skip=2, log_pbar=True)
    trainer, rows = logged(hook)
    assert [row is not None for row in rows] == [True, False, False, True]
    assert trainer.stage is not None
    expected = Evaluator(trainer.stage, trainer.streams.of("hook0")).run(2, frames=30)
    assert expected is not None
    assert rows[3] == {
        "r_evaluation": pytest.approx(sum(expected.returns) / 60 / 2),
        "total_r_evaluation": pytest.approx(expected.mean),
        "log_pbar": True,
    }
    assert rows[0] != rows[3]
    assert trainer.progress["total_r_evaluation"] == pytest.approx(expected.mean)


def test_other_entries_and_other_names() -> None:
    hook = LogValidationReward(
        episodes=2,
        record_frames=5,
        log_keys=["observation", ("next", "reward"), ("next", "terminated")],
        out_keys={("next", "reward"): "score", "observation": "seen"},
    )
    _, rows = logged(hook)
    assert rows[0] is not None
    assert rows[0].keys() == {"seen", "score", "total_score", "next.terminated", "log_pbar"}
    assert rows[0]["next.terminated"] == 0.0
    assert rows[0]["total_score"] == pytest.approx(5 * rows[0]["score"])


def test_exploration_is_what_was_asked_for() -> None:
    kinds = [ExplorationType.DETERMINISTIC, ExplorationType.RANDOM, "random", None]
    values = []
    for kind in kinds:
        _, rows = logged(LogValidationReward(episodes=2, record_frames=5, exploration_type=kind))
        assert rows[0] is not None
        values.append(rows[0]["total_r_evaluation"])
    assert values[0] == values[3] != values[1] == values[2]


def test_by_frames_instead_of_batches() -> None:
    recipe = {**SHORT, "hooks": [{"name": "log_validation_reward", "every": 100, "episodes": 1, "record_frames": 3}]}
    trainer, rows = small.build(recipe).trainer, []
    trainer.register_op("post_steps_log", lambda batch: rows.append(len(trainer.logged.state_dict()["sums"])))
    trainer.train()
    assert trainer.modules["log_validation_reward"].state_dict()["evaluations"] == 2


def test_environments_stay_open_until_training_ends() -> None:
    trainer = small.build(SHORT).trainer
    hook = LogValidationReward(record_interval=1, episodes=2, record_frames=3)
    hook.register(trainer)
    seen: list[list[Any]] = []
    trainer.register_op("post_steps_log", lambda batch: seen.append(list(hook.evaluator.envs)))
    trainer.train()
    assert len(seen) == 4
    assert all(envs == seen[0] for envs in seen)
    assert len(seen[0]) == 2
    assert hook.evaluator.envs == []


def test_every_second_evaluation_is_filmed(tmp_path: Path) -> None:
    hook = {"name": "log_validation_reward", "record_interval": 1, "episodes": 2, "record_frames": 3, "video": 2,
            "suffix": "x"}  # fmt: skip
    small.train({**SHORT, "hooks": [hook]}, tmp_path / "run")
    videos = sorted((tmp_path / "run/videos").iterdir())
    names = ["log_validation_reward-000000000064-x.mp4", "log_validation_reward-000000000192-x.mp4"]
    assert [each.name for each in videos] == names
    assert len(frames_of(videos[0])) == 4
    with pytest.raises(HookError, match="no run directory to write videos to"):
        logged(LogValidationReward(video=True))


def test_what_cannot_be_evaluated() -> None:
    trainer = small.build(SHORT).trainer
    with pytest.raises(HookError, match=r"log_keys: no entry 'reward'; there are observation, action, \('next'"):
        LogValidationReward(log_keys=["reward"]).register(trainer)
    trainer.stage = None
    with pytest.raises(HookError, match="no environment to evaluate in; give policy_exploration and environment"):
        LogValidationReward().register(trainer)
    with pytest.raises(HookError, match="give both policy_exploration and environment, or neither"):
        LogValidationReward(environment=GymEnv("Pendulum-v1"))


# -- with an environment and a policy of torchrl's


def actor() -> ProbabilisticActor:
    torch.manual_seed(0)
    network = torch.nn.Sequential(MLP(3, 2, num_cells=[8]), NormalParamExtractor())
    module = TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"])
    return ProbabilisticActor(module, in_keys=["loc", "scale"], distribution_class=TanhNormal)


def theirs(environment: Any, kind: Any = ExplorationType.DETERMINISTIC, **more: Any) -> LogValidationReward:
    return LogValidationReward(
        record_interval=2,
        record_frames=250,
        frame_skip=1,
        policy_exploration=actor(),
        environment=environment,
        exploration_type=kind,
        **more,
    )


@pytest.mark.parametrize("kind", [ExplorationType.DETERMINISTIC, ExplorationType.RANDOM])
def test_the_documented_call_on_a_plain_environment(kind: ExplorationType) -> None:
    """torchrl's own crashes here, and closes the environment."""
    environment, plain = GymEnv("Pendulum-v1"), small.build(SHORT).trainer
    plain.train()
    trainer, rows = logged(theirs(environment, kind))
    assert not environment.is_closed
    # The policy is not trained and the seed is the same: so is the stretch of 250 frames, an episode and a quarter.
    assert rows[1] is None
    assert rows[0] == rows[2]
    assert rows[0] is not None
    assert rows[0].keys() == {"r_evaluation", "total_r_evaluation", "log_pbar"}
    assert rows[0]["total_r_evaluation"] == pytest.approx(rows[0]["r_evaluation"] * 250 / 2, rel=1e-4)
    assert torch.equal(trainer.update.parameters.flat, plain.update.parameters.flat)


def test_torchs_random_numbers_and_modes_stay_as_they_were() -> None:
    hook = theirs(GymEnv("Pendulum-v1"), ExplorationType.RANDOM)
    trainer = small.build(SHORT).trainer
    hook.register(trainer)
    hook.policy.train()
    before = torch.get_rng_state()
    hook(None)
    assert torch.equal(torch.get_rng_state(), before)
    assert hook.policy.training


def test_statistics_of_an_environment_are_state() -> None:
    def hook(loc: float) -> LogValidationReward:
        norm = ObservationNorm(loc, 0.5, in_keys=["observation"])
        made = theirs(TransformedEnv(GymEnv("Pendulum-v1"), norm))
        made.register(small.build(SHORT).trainer)
        return made

    one, other = hook(0.0), hook(2.0)
    expected = one(None)
    assert other(None) != expected
    state = one.state_dict()
    other.load_state_dict(state)
    assert other.counter == 1
    assert (other(None), one(None)) == (None, None)
    assert other(None) == one(None) == expected


def test_entries_that_there_are_not_are_told_when_a_recipe_is_read() -> None:
    hooks = [{"name": "log_validation_reward", "log_keys": ["observation", "reward"]}]
    (problem,) = small.problems({**SHORT, "hooks": hooks})
    assert problem[:2] == ("E302", "hooks.0.log_keys")
    assert problem[2].startswith("no entry 'reward'; there are observation, action")


def test_further_entries_and_a_recorder_that_fails() -> None:
    environment = TransformedEnv(GymEnv("Pendulum-v1"), StepCounter())

    def fail(**_: Any) -> None:
        raise OSError("no space")

    environment.transform.dump = fail
    hook = theirs(environment, log_keys=[("next", "reward"), "step_count"])
    trainer, said = small.build(SHORT).trainer, list[str]()
    trainer.say = said.append
    hook.register(trainer)
    numbers = hook(None)
    assert numbers is not None
    # Steps 0 to 199, then 0 to 49.
    assert numbers["step_count"] == pytest.approx((sum(range(200)) + sum(range(50))) / 250)
    assert said == ["log_validation_reward: a recorder failed: OSError: no space; training goes on"]
