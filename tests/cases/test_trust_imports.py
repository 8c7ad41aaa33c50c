"""The code that a run declares: what was hashed is what runs, and consent is to that."""

import hashlib
import importlib.util
import json
import py_compile
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.imports import load_import
from rlrecipe.recipe.load import load
from rlrecipe.runs.load_policy import load_policy
from rlrecipe.runs.verify import verify
from tests import small

HOOK = '''
from pathlib import Path

from rlrecipe import Options, register


class MarkOptions(Options):
    """Does nothing."""


class Mark:
    def register(self, trainer, name):
        trainer.register_op("post_steps", lambda: None)


@register("hook", "mark")
def make(options: MarkOptions):
    return Mark()
'''
RECIPE = {**small.CARTPOLE, "imports": ["./maze.py"], "hooks": ["mark"]}


@pytest.fixture
def folder(own_components: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maze.py").write_text(HOOK)
    return tmp_path


@pytest.fixture
def changed(folder: Path) -> Path:
    """A run whose copy of its user's file was changed."""
    with small.own_components():
        small.train(RECIPE, folder / "run", "trainer.time_limit=100", trust_imports=True)
    (folder / "run/imports/maze.py").write_text(HOOK + "\nPath('ran').touch()\n")
    return folder / "run"


def test_compiled_code_beside_a_file_is_not_what_runs(folder: Path) -> None:
    evil = folder / "evil.py"
    evil.write_text("from pathlib import Path\nPath('ran').touch()\n")
    compiled = Path(importlib.util.cache_from_source(str(folder / "maze.py")))
    compiled.parent.mkdir()
    # Python takes it without a look at the source.
    py_compile.compile(str(evil), str(compiled), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    load(RECIPE, trust_imports=True)
    assert not (folder / "ran").exists()


def test_a_file_that_replaces_itself_runs_as_it_was_hashed(folder: Path) -> None:
    file = folder / "twice.py"
    file.write_text("from pathlib import Path\nPath(__file__).write_text('x = 2')\nx = 1\n")
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    one = load_import("./twice.py", folder)
    assert (file.read_text(), sys.modules[one.module].x, one.sha256) == ("x = 2", 1, before)


def asked(error: RecipeError) -> str:
    (problem,) = error.problems
    assert (problem.code, error.exit_code) == ("E403", 4)
    return f"{problem.problem.message}; {problem.problem.suggestion}"


def test_a_changed_copy_needs_consent_of_its_own(changed: Path) -> None:
    flows: dict[str, Callable[[], object]] = {
        "resume": lambda: small.go_on(changed, trust_imports=True),
        "--continue": lambda: small.train(RECIPE, changed, go_on=True, trust_imports=True),
        "load_policy": lambda: load_policy(changed, trust_imports=True),
        "verify": lambda: verify(changed, trust_imports=True),
    }
    for flow in flows.values():
        with pytest.raises(RecipeError) as caught:
            flow()
        assert "is not what the run was started with" in asked(caught.value)
        assert "--import run/imports/maze.py" in asked(caught.value)
    assert not Path("ran").exists()


def test_a_run_that_goes_on_with_other_code_is_not_exact(changed: Path) -> None:
    result = small.go_on(changed, "trainer.time_limit=null", imports=["run/imports/maze.py"])
    assert result.outcome.code == 0
    assert Path("ran").exists()
    status = json.loads((changed / "status.json").read_text())
    assert (status["exact"], "not a file that the run was started with" in status["exact_reason"]) == ("continue", True)


def test_code_outside_the_run_is_not_meant_by_consent_to_it(folder: Path) -> None:
    small.train(RECIPE, folder / "run", trust_imports=True)
    resolved = folder / "run/resolved.yaml"
    resolved.write_text(resolved.read_text().replace("./imports/maze.py", "../maze.py"))
    with pytest.raises(RecipeError) as caught:
        small.go_on(folder / "run", trust_imports=True)
    assert "where a run keeps its code" in asked(caught.value)


def test_a_copy_without_a_record_needs_consent(folder: Path) -> None:
    small.train(RECIPE, folder / "run", trust_imports=True)
    (folder / "run/provenance.json").unlink()
    with pytest.raises(RecipeError) as caught:
        load_policy(folder / "run", trust_imports=True)
    asked(caught.value)


def test_a_run_with_its_own_code_stays_exact(folder: Path) -> None:
    small.train(RECIPE, folder / "run", "trainer.time_limit=100", trust_imports=True)
    assert small.go_on(folder / "run", "trainer.time_limit=null", trust_imports=True).outcome.code == 0
    assert json.loads((folder / "run/status.json").read_text())["exact"] == "exact"
    assert {one.difference for one in verify(folder / "run", trust_imports=True).stretches} == {None}
