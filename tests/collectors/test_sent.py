import subprocess
import sys
from pathlib import Path

import pytest

from rlrecipe.collectors.sent import Sent
from rlrecipe.recipe.imports import Imported, ImportProblem, load_again, load_import

SCRIPT = """
import gymnasium, numpy as np
from rlrecipe import register
from rlrecipe.builders import make_loss, sync_sync_collector

class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full(2, 0.25, np.float32), {}
    def step(self, action):
        print("printed by an environment")
        return np.full(2, 0.5, np.float32), 1.0, False, False, {}

gymnasium.register("Mine-v0", Mine)
env = {"env_name": "Mine-v0", "num_envs": 2}
collector = sync_sync_collector(env, make_loss("ppo", env=env).policy, frames_per_batch=4, num_workers=2)
print(collector.collect()["observation"].tolist())
collector.close()
"""


def test_an_environment_of_a_script_without_a_guard_is_collected_in_processes(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "[[[0.25, 0.25], [0.25, 0.25]], [[0.5, 0.5], [0.5, 0.5]]]\n"
    # What an environment prints in a worker does not reach standard output.
    assert done.stderr.count("printed by an environment") == 4
    assert "Error" not in done.stderr


def test_only_what_is_named_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def double(x):\n    return 2 * x\n")
    one = load_import(str(file), tmp_path)
    double = sys.modules[one.module].double
    assert one not in Sent(None).imports
    assert one in Sent(double).imports
    assert Sent(double, imports=[]).imports == ()
    assert Sent(double).open()(4) == 8
    assert Sent([1, "text"], imports=[one]).open() == [1, "text"]


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("value = 1\n")
    one = load_import(str(file), tmp_path)
    file.write_text("value = 2\n")
    with pytest.raises(ImportProblem, match="has changed since the run loaded it"):
        load_again(one)
    load_again(Imported("json", None, "json"))


def test_what_cannot_be_sent_is_told() -> None:
    with pytest.raises(TypeError, match="a worker process cannot be sent what it needs"):
        Sent(iter(i for i in range(2)), imports=[])
