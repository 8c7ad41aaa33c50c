"""Compiled updates: real packages, made once for this file."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rlrecipe.compiled import package
from rlrecipe.compiled.cache import Cache
from tests import small

ON = "runtime.compile=on"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    if package.compiler() is None:
        pytest.fail("these tests need a C++ compiler: install g++")
    monkeypatch.setenv("RLRECIPE_CACHE", str(kept))
    return Cache(kept / "compiled")


def trained(*overrides: str, recipe: Any = small.CARTPOLE) -> tuple[torch.Tensor, list[str]]:
    """The parameters at the end, and what was said on the way."""
    trainer = small.build(recipe, *overrides).trainer
    said: list[str] = []
    trainer.update.engine.say = said.append
    trainer.train()
    return trainer.update.parameters.flat, said


def test_a_compiled_update_is_the_eager_one() -> None:
    eager, _ = trained()
    compiled, said = trained(ON)
    assert [line.split()[0] for line in said] == ["compiling", "compiled"] * 2
    torch.testing.assert_close(compiled, eager, rtol=1e-5, atol=1e-5)
    assert not torch.equal(compiled, eager), "nothing was compiled"


def test_a_later_run_finds_what_was_compiled_and_has_the_same_bits() -> None:
    first, _ = trained(ON)
    again, said = trained(ON)
    assert said == []
    assert torch.equal(again, first)


def test_a_compiled_run_is_resumed_exactly(tmp_path: Path) -> None:
    whole, killed = small.snapshots(small.CARTPOLE, tmp_path, ON)
    for run_dir in killed[::5]:
        assert small.go_on(run_dir).outcome.code == 0
        assert small.outcome_of(run_dir) == small.outcome_of(whole), run_dir.name


def test_without_the_private_loader_the_public_one_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = trained(ON)
    monkeypatch.setattr(package, "private_loader", lambda: None)
    again, said = trained(ON)
    assert said == []
    assert torch.equal(again, first)


def test_other_sub_batches_stay_eager() -> None:
    trainer, plain = small.build(small.CARTPOLE, ON).trainer, small.build(small.CARTPOLE).trainer
    said: list[str] = []
    batch = trainer.collector.collect()
    trainer.sampler.extend(trainer.update.params, batch)
    trainer.sampler.begin(batch)
    usual = trainer.sampler.take()
    inputs = {name: torch.tensor(0.1) for name in trainer.inputs}
    part, eager = trainer.update.parts[0], plain.update.parts[0]
    part.gradient(usual, inputs)
    trainer.update.engine.say = said.append
    wide = torch.cat([usual["observation"]] * 2, -1)[:, :4]
    others = (
        {key: tensor[:7] for key, tensor in usual.items()},
        {**usual, "observation": wide},
        dict(reversed(usual.items())),
    )
    for other in others:
        assert torch.equal(part.gradient(other, inputs)[0], eager.gradient(other, inputs)[0])
    assert said == []
    torch.testing.assert_close(part.gradient(usual, inputs)[0], eager.gradient(usual, inputs)[0])


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
    assert torch.equal(compiled, eager)
    gradient, step = said
    assert gradient.startswith("the gradient of loss is not compiled: ")
    assert step == "the step of loss is not compiled: there is no C++ compiler on this machine"
