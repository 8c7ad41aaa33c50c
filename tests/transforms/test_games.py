"""What Atari games need, on a game of lives whose every step is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlrecipe.errors import UnbuildableError
from tests.envs.pictures import GAME
from tests.transforms.made import made


def test_a_lost_life_ends_the_episode_and_not_the_game() -> None:
    env = made(GAME, "life_loss")
    assert env.reset(seed=0)[0].tolist() == [1, 0, 3]
    ends = [env.step(2)[2] for _ in range(4)]
    assert ends == [False, False, False, True]
    # The reset takes one step that does nothing, in the same game.
    assert env.reset()[0].tolist() == [1, 5, 2]


def test_a_new_game_begins_where_the_last_is_over_or_a_seed_asks_for_it() -> None:
    env = made(GAME, "life_loss")
    env.reset(seed=0)
    for _ in range(2):
        for _ in range(4):
            env.step(2)
        env.reset()
    assert [env.step(2)[2] for _ in range(4)][-1]
    assert env.reset()[0].tolist() == [2, 0, 3]
    env.step(2)
    assert env.reset(seed=1)[0].tolist() == [3, 0, 3]


def test_evaluation_plays_whole_games() -> None:
    env = made(GAME, "life_loss", phase="eval")
    env.reset(seed=0)
    assert [env.step(2)[2] for _ in range(12)] == [False] * 11 + [True]


def test_lives_are_asked_of_games_only() -> None:
    with pytest.raises(UnbuildableError, match="lives are counted in Atari games"):
        made("CartPole-v1", "life_loss")


def test_a_game_begins_with_a_random_number_of_nothing() -> None:
    env: Any = made(GAME, {"name": "noop_reset", "noops": 5})
    counts = []
    for seed in range(40):
        env.reset(seed=seed)
        assert set(env.unwrapped.taken) == {0}
        counts.append(len(env.unwrapped.taken))
    assert set(counts) == {1, 2, 3, 4, 5}
    env.reset(seed=7)
    assert len(env.unwrapped.taken) == counts[7]


@pytest.mark.parametrize(("fires", "taken"), [(True, [1]), (False, [])])
def test_fire_is_pressed_where_the_game_has_it(fires: bool, taken: list[int]) -> None:
    env: Any = made(GAME, "fire_reset", kwargs={"fires": fires})
    env.reset(seed=0)
    assert env.unwrapped.taken == taken


@pytest.mark.parametrize("name", ["noop_reset", "fire_reset"])
def test_what_actions_mean_is_asked_of_games_only(name: str) -> None:
    with pytest.raises(UnbuildableError, match="say what their actions mean"):
        made("CartPole-v1", name)


def test_steps_are_counted_shown_and_limited() -> None:
    env = made("CartPole-v1", {"name": "step_counter", "max_steps": 3, "step_count_key": "step_count"})
    first, _ = env.reset(seed=0)
    assert first.keys() == {"observation", "step_count"}
    seen = [env.step(i % 2) for i in range(3)]
    assert [one[0]["step_count"].tolist() for one in (*[(first,)], *seen)] == [[0], [1], [2], [3]]
    assert [one[3] for one in seen] == [False, False, True]
    env.reset()
    assert not env.step(0)[3]


def test_steps_are_not_shown_unasked() -> None:
    env = made("CartPole-v1", {"name": "step_counter", "max_steps": 3})
    assert env.observation_space.shape == (4,)


def test_rewards_are_added_up_and_shown() -> None:
    env = made("Pendulum-v1", {"name": "reward_sum", "out_key": "paid"}, "flatten_observation")
    assert env.reset(seed=0)[0][3] == 0
    rewards = [env.step(np.zeros(1, np.float32)) for _ in range(3)]
    total = sum(float(one[1]) for one in rewards)
    assert rewards[-1][0][3] == pytest.approx(total)
    assert env.reset()[0][3] == 0


def test_two_counts_under_one_key_are_refused() -> None:
    counter = {"name": "step_counter", "step_count_key": "n"}
    with pytest.raises(UnbuildableError, match="observes a 'n' already"):
        made("CartPole-v1", counter, counter)


LIMITS = [{"name": "step_counter", "max_steps": 6},
          {"name": "gymnasium_wrapper", "wrapper": "TimeLimit", "kwargs": {"max_episode_steps": 6}}]  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: str(limit["name"]))
@pytest.mark.parametrize("first", [True, False])
def test_a_limit_of_steps_ends_the_game_on_either_side_of_life_loss(first: bool, limit: Any) -> None:
    """A life is lost every four steps; counted over lives, as a limit of each would be, a game has twelve."""
    env = made(GAME, *([limit, "life_loss"] if first else ["life_loss", limit]))
    assert env.reset(seed=0)[0][0] == 1
    steps, ends = 0, list[tuple[bool, bool]]()
    while not ends or not ends[-1][1]:
        _, _, terminated, truncated, _ = env.step(2)
        steps += 1
        if terminated or truncated:
            ends.append((terminated, truncated))
            game = env.reset()[0][0]
    assert ends == [(True, False), (False, True)]
    # The step that does nothing, at the reset after a life, is one of the environment's, and none of an agent's.
    assert steps == (5 if first else 6)
    assert game == 2, "what follows is a new game"


def test_a_life_that_is_lost_at_the_last_step_ends_the_game_with_it() -> None:
    env = made(GAME, "life_loss", {"name": "step_counter", "max_steps": 4})
    env.reset(seed=0)
    assert [env.step(2)[2:4] for _ in range(4)][-1] == (True, True)
    assert env.reset()[0][0] == 2
