"""Compiled updates: real packages, made once for all tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlrecipe.errors import Diverged, StoppedError
from rlrecipe.interfaces import Batch, Key
from rlrecipe.learning.compiled import package
from rlrecipe.learning.compiled.cache import Cache, folder
from rlrecipe.learning.compiled.native import Native, NativeSteps, UnavailableError, Whole
from rlrecipe.learning.compiled.trace import separable
from rlrecipe.learning.update import update
from rlrecipe.recipe.slots import Slot
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from tests import small
from tests.processes import program

ON = "runtime.compile=on"
#: With an end to a batch's updates; with two losses and soft targets; with two kinds of updates.
RECIPES: dict[str, Any] = {
    "ppo": {
        **small.changed(small.CARTPOLE, ("algorithm", "target_kl"), 1e-4),
        "optimizer": {"name": "adam", "lr": 3e-3},
    },
    "sac": {**small.TD3, "algorithm": "sac"},
    "td3": small.TD3,
    "dqn": small.changed(small.DQN, ("optimizer", "groups"), {"qvalue": {"lr": 1e-3}}),
    # Another optimizer, rates that change, sub-batches of a whole batch.
    "a2c": {
        **small.CARTPOLE,
        "algorithm": "a2c",
        "optimizer": {"name": "rmsprop", "lr": 1e-3, "schedule": "linear"},
        "trainer": {**small.CARTPOLE["trainer"], "clip_norm": 0.5},
    },
    # Errors of rows come back as priorities; returns of several steps; a norm in the network.
    "discrete_sac": {
        **small.OFF_POLICY,
        "algorithm": {"name": "discrete_sac", "n_steps": 2},
        "networks": {slot: {**small.QVALUE, "layer_norm": True} for slot in ("policy", "qvalue")},
        "optimizer": {"name": "adamw", "weight_decay": 0.01},
        "replay_buffer": {**small.OFF_POLICY["replay_buffer"], "name": "prioritized"},
    },
}

#: Those that are compiled part by part as well.
SPLIT = ("ppo", "sac")


@pytest.fixture(autouse=True)
def cache() -> Cache:
    if package.compiler() is None:
        pytest.fail("these tests need a C++ compiler: install g++")
    return Cache(folder())


def native_of(trainer: RecipeTrainer) -> Native:
    """What makes a trainer's updates native."""
    assert isinstance(trainer.updates.native, Native)
    return trainer.updates.native


def between(trainer: RecipeTrainer) -> None:
    """A hook between gradients and steps."""
    trainer.register_op("post_loss", lambda batch: None)


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    """The packages of all recipes, made together: a compiling process takes longer to start than to make one."""
    found: list[Any] = []

    def collect(jobs: list[Any]) -> None:
        found.extend(jobs)
        raise UnavailableError("made later")

    for name, change in [*((name, None) for name in RECIPES), *((name, between) for name in SPLIT)]:
        trainer = small.build(RECIPES[name], ON).trainer
        native: Any = trainer.updates.native
        make, native.packages = native.packages, collect
        if change is not None:
            change(trainer)
        trainer.train()
    make(found)


def left(cache: Path) -> list[Path]:
    """What stands in a cache besides the locks of those that wait for each other, which are empty."""
    return [file for file in cache.iterdir() if file.suffix != ".lock" or file.stat().st_size]


def trained(
    *overrides: str, recipe: Any = small.CARTPOLE, change: Callable[[RecipeTrainer], None] = lambda trainer: None
) -> tuple[RecipeTrainer, list[str]]:
    """The trainer at the end, and what was said on the way."""
    trainer = small.build(recipe, *overrides).trainer
    said: list[str] = []
    native = trainer.updates.native
    if isinstance(native, Native):
        native.say = said.append
    change(trainer)
    trainer.train()
    return trainer, said


def vectors(trainer: RecipeTrainer) -> list[torch.Tensor]:
    """All that updates move."""
    update = trainer.update
    states = [tensor for part in update.parts for tensor in part.state.values()]
    return [update.parameters.flat, *states, *([update.targets.copies.flat] if update.targets else [])]


@pytest.mark.parametrize("name", RECIPES)
def test_a_compiled_update_is_the_eager_one(name: str) -> None:
    recipe = RECIPES[name]
    eager, _ = trained(recipe=recipe)
    compiled, said = trained(ON, recipe=recipe)
    assert isinstance(compiled.updates.update, Whole) or (len(compiled.update.parts) > 1 and not separable()), said
    # Nothing where other tests have made the package already.
    assert [line.split()[0] for line in said] in ([], ["compiling", "compiled"])
    # The steps after each other make a difference of rounding a larger one.
    for mine, its in zip(vectors(compiled), vectors(eager), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)
    assert not torch.equal(vectors(compiled)[0], vectors(eager)[0]), "nothing was compiled"
    assert compiled.clock.updates == eager.clock.updates
    means, wanted = compiled.losses.take(), eager.losses.take()
    assert means == pytest.approx(wanted, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", SPLIT)
def test_a_hook_between_gradient_and_step_changes_no_bit(name: str) -> None:
    joined, _ = trained(ON, recipe=RECIPES[name])
    split, _ = trained(ON, recipe=RECIPES[name], change=between)
    assert isinstance(joined.updates.update, Whole)
    bound: Any = split.updates.steps.gradient
    parted: NativeSteps = bound.__self__
    gradients_and_steps = {(part.name, what) for part in split.update.parts for what in ("gradient", "step")}
    assert set(parted.programs) == gradients_and_steps | ({("follow",)} if split.update.targets else set())
    assert all(torch.equal(one, other) for one, other in zip(vectors(joined), vectors(split), strict=True))
    assert joined.losses.take() == split.losses.take()


def test_an_optimizer_that_comes_later_takes_the_place_of_what_was_compiled() -> None:
    options = Slot("optimizer").read({"name": "sgd", "lr": 0.1})

    def later(trainer: RecipeTrainer) -> None:
        def change() -> None:
            if trainer.clock.updates and trainer.update.parts is first:
                trainer.update.optimize_with(first, options.component.build(options), {})

        first = trainer.update.parts
        trainer.register_op("pre_optim_steps", change)

    compiled, _ = trained(ON, recipe=RECIPES["ppo"], change=later)
    eager, _ = trained(recipe=RECIPES["ppo"], change=later)
    assert type(compiled.update.parts[0].optimizer) is type(options.component.build(options))
    assert compiled.updates.update is not update
    for mine, its in zip(vectors(compiled), vectors(eager), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)


def test_an_algorithm_ends_the_updates_of_a_batch_in_one_call_too() -> None:
    compiled, _ = trained(ON, recipe=RECIPES["ppo"])
    through, _ = trained()
    assert 0 < compiled.clock.updates < through.clock.updates


@pytest.mark.parametrize("name", RECIPES)
def test_a_compiled_run_is_resumed_exactly(name: str, tmp_path: Path) -> None:
    whole, killed = small.snapshots(RECIPES[name], tmp_path, ON)
    for run_dir in killed[::5]:
        assert small.go_on(run_dir).outcome.code == 0
        assert small.outcome_of(run_dir) == small.outcome_of(whole), run_dir.name


@pytest.mark.parametrize("there", [None, dict], ids=["none", "one that asks for something else"])
def test_without_the_private_loader_the_public_one_gives_the_same_bits(
    there: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = trained(ON, recipe=RECIPES["ppo"])
    monkeypatch.setattr(package, "private_loader", lambda: there)
    again, said = trained(ON, recipe=RECIPES["ppo"])
    assert said == []
    assert torch.equal(vectors(again)[0], vectors(first)[0])


def test_a_later_run_loads_neither_compiler_nor_tracer() -> None:
    trained(ON, recipe=RECIPES["ppo"])
    program = (
        "import sys; from tests.learning.compiled.test_native import *; from rlrecipe.learning.compiled import package;"
        "print(trained(ON, recipe=RECIPES['ppo'])[1]);"
        "print([name for name in ('torch._dynamo', 'torch._inductor') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


class Spoil:
    """Makes one number of one update's sub-batch a NaN; what updates move is kept as it was before."""

    reads_mapping = True

    def __init__(self, trainer: RecipeTrainer, key: Key, at: int) -> None:
        self.trainer, self.key, self.at = trainer, key, at
        self.before: list[torch.Tensor] = []
        trainer.register_op("process_optim_batch", self)

    def __call__(self, batch: Batch) -> Batch:
        if self.trainer.clock.updates == self.at:
            batch[self.key][3] = float("nan")
            self.before = [tensor.clone() for tensor in vectors(self.trainer)]
        return batch


@pytest.mark.parametrize("compiled", ["on", "off"])
def test_what_is_not_finite_moves_nothing_and_is_named(compiled: str) -> None:
    hooks: list[Spoil] = []
    with pytest.raises(Diverged, match=r"not finite: loss/policy, .*gradient of policy\.0\.weight"):
        trained(
            f"runtime.compile={compiled}",
            recipe=RECIPES["ppo"],
            change=lambda trainer: hooks.append(Spoil(trainer, "advantage", 5)),
        )
    (hook,) = hooks
    assert hook.before
    assert all(torch.equal(one, other) for one, other in zip(vectors(hook.trainer), hook.before, strict=True))


def test_the_second_loss_is_named_when_it_is_not_finite() -> None:
    def change(trainer: RecipeTrainer) -> None:
        Spoil(trainer, "noise", 5)

    with pytest.raises(Diverged, match=r"gradient of policy\.0\.weight"):
        trained(ON, recipe=RECIPES["sac"], change=change)


def test_an_overflow_that_only_the_package_has_ends_the_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = small.build(small.CARTPOLE).trainer
    monkeypatch.setattr(trainer.updates, "update", lambda *given: (torch.tensor(1.0), []))
    with pytest.raises(Diverged, match="not finite: the gradient of loss; lower"):
        trainer.train()


def first_sub_batch(trainer: RecipeTrainer) -> Batch:
    """What the first update of a run is made with."""
    batch = trainer.collector.collect()
    trainer.sampler.extend(trainer.update.params, batch)
    trainer.sampler.begin(batch)
    return trainer.sampler.take()


def take(trainer: RecipeTrainer, sub_batch: Batch) -> None:
    """An update, which is made and not ended before its step."""
    before = trainer.update.parameters.flat.clone()
    assert trainer.updates.take(dict(sub_batch), 0)
    assert not torch.equal(trainer.update.parameters.flat, before)


# A2C: no algorithm's stop stands in the way of a second update.
def test_other_sub_batches_stay_eager() -> None:
    trainer, plain = (small.build(RECIPES["a2c"], *overrides).trainer for overrides in ((ON,), ()))
    said: list[str] = []
    native_of(trainer).say = said.append
    usual = first_sub_batch(trainer)
    take(trainer, usual)
    made = list(said)
    for mine, its in zip(vectors(trainer), vectors(plain), strict=True):
        its.copy_(mine)
    others: list[Batch] = [
        {key: tensor[:7] for key, tensor in usual.items()},
        {**usual, "advantage": usual["advantage"].to(torch.float64)},
    ]
    for other in others:
        for each in (trainer, plain):
            take(each, other)
        assert torch.equal(trainer.update.parameters.flat, plain.update.parameters.flat)
    assert said == made


@pytest.mark.parametrize("first", [True, False])
def test_how_a_sub_batch_lies_in_memory_does_not_matter(first: bool) -> None:
    """A hook or a transform may give parts of wider arrays, also before anything is compiled."""
    one, other = (small.build(RECIPES["a2c"], ON).trainer for _ in range(2))
    usual = first_sub_batch(one)
    # Every second number of memory, with others between them.
    parted = {key: torch.stack([tensor, torch.ones_like(tensor)], -1)[..., 0] for key, tensor in usual.items()}
    assert not any(tensor.is_contiguous() for tensor in parted.values())
    for given in (usual, parted) if first else (parted, usual):
        take(one, usual)
        take(other, given)
    assert torch.equal(one.update.parameters.flat, other.update.parameters.flat)


def test_neither_the_order_of_keys_nor_further_ones_matter() -> None:
    one, other = (small.build(RECIPES["a2c"], ON).trainer for _ in range(2))
    usual = first_sub_batch(one)
    for given in (usual, {"note": torch.ones(3), **dict(reversed(usual.items()))}):
        take(one, usual)
        take(other, given)
    assert torch.equal(one.update.parameters.flat, other.update.parameters.flat)


def test_what_cannot_be_traced_or_compiled_stays_eager_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "compiler", lambda: None)
    recipe = {
        **small.OFF_POLICY,
        "env": {"env_name": "Pendulum-v1", "num_envs": 2},
        "algorithm": {"name": "torchrl_loss", "loss": "SACLoss"},
        "networks": dict.fromkeys(("policy", "qvalue"), small.QVALUE),
    }
    eager, _ = trained(recipe=recipe)
    compiled, said = trained(ON, recipe=recipe)
    assert torch.equal(vectors(compiled)[0], vectors(eager)[0])
    gradient, steps = said
    assert gradient.startswith("the gradient of loss is not compiled: ")
    reason = "is not compiled: there is no C++ compiler on this machine"
    assert steps == f"the step of loss and the step of the target networks {reason}"


def test_without_a_compiler_all_is_eager_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "compiler", lambda: None)
    monkeypatch.setenv("RLRECIPE_CACHE", os.environ["RLRECIPE_CACHE"] + "/empty")
    eager, _ = trained()
    compiled, said = trained(ON)
    assert said == ["the update of loss is not compiled: there is no C++ compiler on this machine"]
    assert torch.equal(vectors(compiled)[0], vectors(eager)[0])


def test_what_the_compiler_said_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho no such header >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("RLRECIPE_CACHE", str(tmp_path / "cache"))
    _, said = trained(ON)
    assert said[0].startswith("compiling the update of loss")
    assert said[1].startswith("the update of loss is not compiled: the compiler failed: ")
    assert left(tmp_path / "cache/compiled") == [], "nothing is left behind"


def test_a_run_that_shall_stop_does_not_wait_for_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLRECIPE_CACHE", str(tmp_path))

    def stop(trainer: RecipeTrainer) -> None:
        native_of(trainer).interrupted = lambda: True

    with pytest.raises(StoppedError):
        trained(ON, change=stop)
    assert left(tmp_path / "compiled") == []


def test_ctrl_c_while_compiling_leaves_a_run_that_is_resumed_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run_dir = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(small.dump_of(RECIPES["ppo"]))
    command = [str(program()), "run", str(recipe), "--run-dir", str(run_dir), "-s", ON]
    empty = {**os.environ, "RLRECIPE_CACHE": str(tmp_path / "cache")}
    started = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=empty)
    assert started.stderr is not None
    while not started.stderr.readline().startswith("compiling"):
        assert started.poll() is None
    time.sleep(0.5)
    started.send_signal(signal.SIGINT)
    assert started.wait(60) == 130
    assert "Traceback" not in started.stderr.read()
    started.stderr.close()
    assert small.go_on(run_dir).outcome.code == 0
    small.train(RECIPES["ppo"], tmp_path / "whole", ON)
    assert small.outcome_of(run_dir) == small.outcome_of(tmp_path / "whole")
