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
