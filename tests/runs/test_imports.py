"""A run keeps its user's code, and goes on with nothing else."""

from pathlib import Path

import pytest

from rlrecipe.runs.changes import RefusedChange
from rlrecipe.runs.progress import Display
from rlrecipe.runs.start import run
from tests import small

HOOK = '''
from rlrecipe import Options, register


class {name}Options(Options):
    """Does nothing."""


class {name}:
    def register(self, trainer, name):
        trainer.register_op("post_steps", lambda: None)


@register("hook", "{lower}")
def make(options: {name}Options):
    return {name}()
'''


@pytest.fixture
def folder(own_components: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("One", "Two"):
        file = tmp_path / name.lower() / "hook.py"
        file.parent.mkdir()
        file.write_text(HOOK.format(name=name, lower=name.lower()))
    return tmp_path


RECIPE = {**small.CARTPOLE, "imports": ["./one/hook.py", "./two/hook.py"], "hooks": ["one", "two"]}


def test_two_files_of_one_name_are_both_kept(folder: Path) -> None:
    small.train(RECIPE, folder / "run", trust_imports=True)
    kept = sorted((folder / "run/imports").iterdir())
    assert [file.name for file in kept] == ["hook-1.py", "hook.py"]
    assert {file.read_text() for file in kept} == {(folder / n / "hook.py").read_text() for n in ("one", "two")}
    assert small.go_on(folder / "run", "trainer.total_frames=576", trust_imports=True).outcome.code == 0


def test_a_run_does_not_go_on_with_code_that_was_edited(folder: Path) -> None:
    small.train(RECIPE, folder / "run", "trainer.time_limit=100", trust_imports=True)
    (folder / "two/hook.py").write_text("raise RuntimeError('edited')")
    with pytest.raises(RefusedChange, match=r"two/hook\.py is not what"):
        run(RECIPE, run_dir=folder / "run", go_on=True, trust_imports=True, display=Display(quiet=True))


def test_a_run_goes_on_with_its_own_copies(folder: Path) -> None:
    small.train(RECIPE, folder / "run", "trainer.time_limit=100", trust_imports=True)
    result = run(RECIPE, run_dir=folder / "run", go_on=True, trust_imports=True, display=Display(quiet=True))
    assert result.outcome.code == 0
