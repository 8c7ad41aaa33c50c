from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlrecipe.interfaces import Batch
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register
from rlrecipe.streams import Stream, Streams
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from tests import small


def test_ten_seeds_of_eight_environments_share_none() -> None:
    seeds = {Streams(seed).integer(Stream.ENVIRONMENT, i) for seed in range(10) for i in range(8)}
    assert len(seeds) == 80
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_every_purpose_and_index_draws_its_own_numbers() -> None:
    streams = Streams(0)
    drawn = {(s, i): tuple(streams.generator(s, i).integers(0, 2**31, 4)) for s in Stream for i in range(3)}
    assert len(set(drawn.values())) == len(Stream) * 3


def test_the_numbers_of_the_streams_never_change() -> None:
    """They are part of a run's identity: another number here makes every old checkpoint another run."""
    assert {stream.name: int(stream) for stream in Stream} == {
        "ENVIRONMENT": 1, "ACTION": 2, "SAMPLER": 3, "PERMUTATION": 4, "INITIALISATION": 5, "EVALUATION": 6, "HOOK": 7,
        "NOISE": 8, "ROLLOUT": 9,
    }  # fmt: skip
    assert Streams(0).integer(Stream.ENVIRONMENT) == np.random.SeedSequence([0, 1, 0]).generate_state(1)[0] >> 1


def test_one_stream_does_not_move_another() -> None:
    alone, together = Streams(0), Streams(0)
    together.generator(Stream.HOOK).random(100)
    together.fresh(Stream.ACTION).random(100)
    torch.rand(3, generator=together.torch(Stream.ACTION))
    assert np.array_equal(alone.generator(Stream.ACTION).random(5), together.generator(Stream.ACTION).random(5))


def test_a_saved_position_goes_on() -> None:
    one, other = Streams(0), Streams(0)
    one.generator(Stream.ACTION).standard_normal(7, dtype=np.float32)
    one.generator(Stream.ENVIRONMENT, 3).random()
    other.load_state_dict(one.state_dict())
    for stream, index in ((Stream.ACTION, 0), (Stream.ENVIRONMENT, 3)):
        expected, actual = one.generator(stream, index), other.generator(stream, index)
        assert np.array_equal(expected.random(5), actual.random(5))


def test_a_generator_handed_out_before_loading_moves_with_it() -> None:
    one, other = Streams(0), Streams(0)
    held = other.generator(Stream.ACTION)
    one.generator(Stream.ACTION).random(9)
    other.load_state_dict(one.state_dict())
    assert held.random() == one.generator(Stream.ACTION).random()


def test_torchs_generator_starts_at_the_same_place() -> None:
    first, second = (torch.rand(3, generator=Streams(5).torch(Stream.INITIALISATION)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "recipe",
    [
        small.CARTPOLE,
        {**small.CARTPOLE, "env": {**small.CARTPOLE["env"], "transforms": ["observation_norm"]}},
    ],
    ids=["plain", "normalised"],
)
def test_evaluations_do_not_move_training(recipe: dict[str, Any], tmp_path: Path) -> None:
    policies = []
    for number, evaluation in enumerate(({"every": 64, "episodes": 3}, {"every": 64, "deterministic": False}, {})):
        small.train({**recipe, "evaluation": evaluation}, tmp_path / str(number))
        policies.append(small.policy_bytes(tmp_path / str(number)))
    assert len(set(policies)) == 1


def test_a_hook_that_draws_does_not_move_training(own_components: None, tmp_path: Path) -> None:
    class DrawingOptions(Options):
        """Draws, from the hooks' own stream and from the global ones."""

    class Drawing:
        category = "logging"

        def register(self, trainer: RecipeTrainer, name: str) -> None:
            self.streams = trainer.streams
            trainer.register_op("pre_steps_log", self)

        def __call__(self, batch: Batch) -> None:
            self.streams.generator(Stream.HOOK).random(10)
            np.random.random(10)
            torch.rand(10)

    @register("hook", "drawing")
    def make(options: DrawingOptions) -> Drawing:
        return Drawing()

    small.train(small.CARTPOLE, tmp_path / "without")
    small.train({**small.CARTPOLE, "hooks": ["drawing"]}, tmp_path / "with")
    assert small.policy_bytes(tmp_path / "with") == small.policy_bytes(tmp_path / "without")
    assert small.rows(tmp_path / "with") == small.rows(tmp_path / "without")


def test_a_hook_has_streams_of_its_own() -> None:
    one = Streams(3)
    assert one.of("a").integer(Stream.EVALUATION) == Streams(3).of("a").integer(Stream.EVALUATION)
    seeds = [streams.integer(Stream.EVALUATION) for streams in (one, one.of("a"), one.of("b"), Streams(4).of("a"))]
    assert len(set(seeds)) == 4
    assert one.state_dict() == {}
