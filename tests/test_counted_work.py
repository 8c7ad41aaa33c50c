"""Work that is counted, not timed: what a change makes slower shows here, on any machine.

Each bound is what was counted when it was set, and a tenth more. Who makes it less lowers the bound; who has reason to
make it more says so in the commit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from tests import small

ON = "runtime.compile=on"
#: Modules that cost much to import, and that a run of the bundled kind does without.
HEAVY = ("torch._dynamo", "torch._inductor", "torchrl", "tensordict", "pandas", "matplotlib", "tensorboard", "moviepy")


def calls(function: Callable[[], Any]) -> int:
    """Calls of Python and C functions that ``function`` makes."""
    counted = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted


def ready(recipe: Any, *overrides: str) -> tuple[RecipeTrainer, Callable[[], Any]]:
    """A trainer after some batches, and a function that takes one more update."""
    trainer = small.build(recipe, *overrides).trainer
    for batch in trainer._batches():
        trainer.sampler.extend(trainer.update.params, batch)
        if trainer.sampler.begin(batch):
            break

    def update() -> None:
        assert trainer.updates.take(trainer.sampler.take(), 0)

    update()
    update()
    return trainer, update


@pytest.mark.parametrize(
    ("recipe", "overrides", "bound"),
    [
        (small.CARTPOLE, (), 262),
        (small.CARTPOLE, (ON,), 62),
        ({**small.TD3, "algorithm": "sac"}, (), 440),
        ({**small.TD3, "algorithm": "sac"}, (ON,), 70),
    ],
    ids=["ppo", "ppo, compiled", "sac", "sac, compiled"],
)
def test_calls_of_an_update(recipe: Any, overrides: tuple[str, ...], bound: int) -> None:
    _, update = ready(recipe, *overrides)
    assert calls(update) <= bound


@pytest.mark.parametrize(("recipe", "bound"), [(small.CARTPOLE, 67), (small.PENDULUM, 80), (small.DQN, 72)])
def test_calls_of_a_step_of_two_environments(recipe: Any, bound: int) -> None:
    trainer = small.build(recipe).trainer
    trainer.collector.collect()
    assert calls(trainer.collector.collect) / 32 <= bound


def test_calls_of_an_evaluations_step(tmp_path: Path) -> None:
    session = small.open_session(small.CARTPOLE, tmp_path / "run")
    evaluation: Any = None

    def evaluate() -> None:
        nonlocal evaluation
        evaluation = session.evaluation.evaluator.run(2)

    evaluate()
    counted = calls(evaluate)
    session.close()
    assert counted / max(evaluation.lengths) <= 80


def test_a_run_imports_only_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(small.dump_of(small.CARTPOLE))
    program = (
        "import sys, json; from rlrecipe.cli import main;"
        "code = main(['run', 'recipe.yaml', '--run-dir', 'run', '-q']);"
        "print(json.dumps([code, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert [name for name in HEAVY if name in modules] == []
    own = [name for name in modules if name.startswith("rlrecipe")]
    assert len(own) < 170
    # Without torch's own, which differ from one version to the next.
    assert len([name for name in modules if not name.startswith("torch")]) < 1700
