"""Videos of evaluations: what is in them, and what happens where there can be none."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.acting.evaluation import Evaluator
from rlrecipe.recorders.mp4 import Filming, Video, VideoUnavailable, cure_of
from rlrecipe.runs.evaluate import filmed
from rlrecipe.stepping.headless import GRAPHICS
from rlrecipe.streams import Streams
from tests import small
from tests.films import frames_of


def evaluator(filming: Filming, recipe: Any = small.CARTPOLE, **options: Any) -> Evaluator:
    stage = small.build(recipe).trainer.stage
    assert stage is not None
    return Evaluator(stage, Streams(0), camera=filming, **options)


def refuse(line: str) -> None:
    raise AssertionError(line)


def test_the_first_episode_has_a_picture_of_each_frame(tmp_path: Path) -> None:
    filming = Filming(refuse, size=(60, 40))
    one = evaluator(filming)
    filming.start(tmp_path / "film.mp4")
    evaluation = one.run(3)
    assert filming.finish() == tmp_path / "film.mp4"
    film = frames_of(tmp_path / "film.mp4")
    assert evaluation is not None
    assert film.shape == (evaluation.lengths[0] + 1, 40, 60, 3)
    # The cart moves on white ground.
    assert film[0].mean() > 200
    assert np.abs(film[0].astype(int) - film[-1]).max() > 50


def test_episodes_one_after_the_other(tmp_path: Path) -> None:
    filming = Filming(refuse, size=(60, 40))
    one = evaluator(filming, width=1)
    filming.start(tmp_path / "film.mp4", episodes=2)
    evaluation = one.run(3, frames=7)
    filming.finish()
    assert evaluation is not None
    assert evaluation.lengths == [7, 7, 7]
    assert len(frames_of(tmp_path / "film.mp4")) == 2 * 8


def test_without_a_path_nothing_is_filmed(tmp_path: Path) -> None:
    filming = Filming(refuse)
    evaluator(filming).run(1)
    assert filming.finish() is None


def test_pictures_of_an_odd_size(tmp_path: Path) -> None:
    video = Video(tmp_path / "film.mp4", 10)
    video.add(np.full((31, 45, 3), 90, np.uint8))
    assert not (tmp_path / "film.mp4").exists(), "half a film has no name yet"
    video.close()
    assert [each.name for each in tmp_path.iterdir()] == ["film.mp4"]
    assert frames_of(tmp_path / "film.mp4").shape == (1, 32, 46, 3)


def test_a_film_that_cannot_have_its_name_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").mkdir()
    video = Video(tmp_path / "film.mp4", 10)
    video.add(np.full((32, 32, 3), 90, np.uint8))
    with pytest.raises(IsADirectoryError):
        video.close()
    assert [each.name for each in tmp_path.iterdir()] == ["film.mp4"]


def test_an_evaluation_that_breaks_off_leaves_no_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Filming.take

    def breaking(self: Filming, episode: int, env: Any) -> None:
        take(self, episode, env)
        raise KeyboardInterrupt

    monkeypatch.setattr(Filming, "take", breaking)
    with pytest.raises(KeyboardInterrupt):
        filmed(evaluator(Filming(refuse)), 1, True, tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_without_imageio_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(VideoUnavailable, match=r"videos need imageio_ffmpeg: pip install 'rlrecipe\[video\]'"):
        Video(tmp_path / "film.mp4", 10)


@pytest.mark.parametrize("env_name", ["CartPole-v1", "HalfCheetah-v5"])
def test_what_fails_is_said_once_and_the_evaluation_is_the_same(env_name: str, tmp_path: Path) -> None:
    said: list[str] = []
    recipe = {**small.PENDULUM, "env": {"env_name": env_name}}
    plain = evaluator(Filming(refuse), recipe).run(2, frames=5)
    (tmp_path / "taken").write_text("no folder")
    filming = Filming(said.append)
    one = evaluator(filming, recipe)
    for _ in range(2):
        filming.start(tmp_path / "taken/film.mp4")
        assert one.run(2, frames=5) == plain
        assert filming.finish() is None
    (line,) = said
    assert line.startswith("no video: ")
    assert "make room where it goes" in line


def test_an_environment_that_cannot_draw_is_named(tmp_path: Path) -> None:
    class Blind(gymnasium.Env[Any, Any]):
        pass

    said: list[str] = []
    filming = Filming(said.append)
    filming.start(tmp_path / "film.mp4")
    filming.take(0, Blind())
    (line,) = said
    assert line.startswith("no video: <")
    assert line.endswith("renders no pictures: it needs render_mode 'rgb_array'")


def test_an_environment_that_takes_no_render_mode_is_made_without() -> None:
    said: list[str] = []
    filming = Filming(said.append)

    def make(**arguments: Any) -> str:
        if arguments:
            raise TypeError("unexpected keyword argument 'render_mode'")
        return "made"

    assert [filming.make(make), filming.make(make)] == ["made", "made"]
    assert len(said) == 1
    assert "render() works with render_mode='rgb_array'" in said[0]


def test_graphics_that_are_missing_have_a_cure() -> None:
    assert cure_of(RuntimeError("Cannot initialize a EGL device display")) == GRAPHICS


#: Renders HalfCheetah once, through the recipe's own environment.
HALFCHEETAH = """
import os
from rlrecipe.assembly.environments import make_env
from rlrecipe.recipe.load import load
env = load({"env": "HalfCheetah-v5", "algorithm": "ppo", "trainer": {"total_frames": 2048}}).recipe.env
made = make_env(env, "eval", render_mode="rgb_array")
made.reset(seed=0)
print(made.render().std() > 1, os.environ["MUJOCO_GL"])
"""


def test_mujoco_draws_without_a_display_and_without_settings() -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "PYOPENGL_PLATFORM")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run([sys.executable, "-c", HALFCHEETAH], env=environment, capture_output=True, text=True)
    if "an OpenGL platform library has not been loaded" in done.stderr or "KeyError: 'MUJOCO_GL'" in done.stderr:
        pytest.skip("this machine has neither EGL nor OSMesa")
    assert done.stdout.split()[0] == "True", done.stderr
    assert done.stdout.split()[1] in ("egl", "osmesa")


def test_what_the_user_says_of_mujoco_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlrecipe.stepping.headless import choose_renderer

    monkeypatch.setenv("MUJOCO_GL", "glfw")
    choose_renderer()
    assert os.environ["MUJOCO_GL"] == "glfw"


@pytest.mark.parametrize("env", ['"CartPole-v1"', '{"name": "torchrl", "env": "GymEnv", "env_name": "CartPole-v1"}'])
def test_pygame_does_not_look_for_a_display(env: str) -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "XDG_RUNTIME_DIR")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    code = HALFCHEETAH.replace('"HalfCheetah-v5"', env).replace("MUJOCO_GL", "SDL_VIDEODRIVER")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True dummy\n", "")


#: An evaluation that is filmed where nothing was found to draw with.
BLIND = """
from pathlib import Path
import rlrecipe.stepping.headless
from rlrecipe.acting.evaluation import Evaluator
from rlrecipe.streams import Streams
from rlrecipe.recorders.mp4 import Filming
from tests import small
rlrecipe.stepping.headless._working = lambda: None
filming = Filming(print)
stage = small.build({**small.PENDULUM, "env": {"env_name": "HalfCheetah-v5"}}).trainer.stage
filming.start(Path("film.mp4"))
print(Evaluator(stage, Streams(0), camera=filming).run(1, frames=3).lengths, filming.finish())
"""


def test_without_anything_to_draw_with_the_message_says_what_to_install(tmp_path: Path) -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "PYOPENGL_PLATFORM")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", BLIND], env=environment, capture_output=True, text=True, cwd=tmp_path)
    said, result = done.stdout.splitlines()
    assert said.startswith("no video: ")
    assert said.endswith(GRAPHICS)
    assert result == "[3] None"
