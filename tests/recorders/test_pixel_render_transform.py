"""Pictures among the observations of torchrl's environments."""

import gymnasium
import pytest
import torch
from torchrl.envs import GymEnv, GymWrapper, TransformedEnv, check_env_specs

from rlrecipe.recorders import PixelRenderTransform


def broken() -> GymWrapper:
    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")

    def render() -> None:
        raise RuntimeError("no GL context")

    env.unwrapped.render = render  # type: ignore[method-assign] # a broken renderer
    return GymWrapper(env)


def test_pictures_of_each_step() -> None:
    env = TransformedEnv(GymEnv("CartPole-v1", render_mode="rgb_array"), PixelRenderTransform())
    check_env_specs(env)
    seen = env.rollout(3)["pixels"]
    assert seen.shape == (3, 400, 600, 3)
    assert seen.dtype == torch.uint8
    assert float(seen.float().std()) > 1


def test_a_failing_renderer_is_said_once_and_training_goes_on() -> None:
    env = TransformedEnv(broken(), PixelRenderTransform())
    with pytest.warns(UserWarning, match="RuntimeError: no GL context; .*black from now on"):
        env.reset()
    # Warnings are errors here: the other steps say nothing.
    seen = env.rollout(3)["next", "pixels"]
    assert seen.shape == (3, 64, 64, 3)
    assert int(seen.sum()) == 0


def test_a_policy_that_sees_pictures_has_to_have_them() -> None:
    with pytest.raises(RuntimeError, match="no GL context"):
        TransformedEnv(broken(), PixelRenderTransform(required=True)).rollout(3)
