"""Every ending of a run has its exit code, one line, a true status, and can be gone on from."""

import errno
import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import rlrecipe as package
from rlrecipe import Options, register
from rlrecipe.runs.session import failure
from tests import small
from tests.cli.command import Commands
from tests.cli.conftest import rlrecipe as rlrecipe

RECIPE = small.changed(small.CARTPOLE, ("hooks",), ["raising"])


class OwnError(BaseException):
    """What no ``except Exception`` catches."""


def recursion() -> None:
    recursion()


def raises(error: BaseException) -> Callable[[], None]:
    def end() -> None:
        raise error

    return end


#: What a component's code does, the exit code, the state, and how the last line begins.
ENDINGS: dict[str, tuple[Callable[[], None], int, str, str]] = {
    "an exception": (raises(ValueError("no such joint")), 1, "failed", "ValueError: no such joint (see "),
    "without a message": (raises(AssertionError()), 1, "failed", "AssertionError (see "),
    "memory": (raises(MemoryError()), 1, "failed", "MemoryError (see "),
    "recursion": (recursion, 1, "failed", "RecursionError: maximum recursion depth exceeded"),
    "full disk": (
        raises(OSError(errno.ENOSPC, "No space left on device")),
        1,
        "failed",
        "OSError: [Errno 28] No",
    ),
    "broken pipe": (raises(BrokenPipeError(errno.EPIPE, "Broken pipe")), 1, "failed", "BrokenPipeError: [Errno 32]"),
    "end of file": (raises(EOFError("the simulator hung up")), 1, "failed", "EOFError: the simulator hung up (see "),
    "exit 0": (raises(SystemExit(0)), 1, "failed", "a component's code asked the process to exit (SystemExit: 0)"),
    "exit with words": (raises(SystemExit("bye")), 1, "failed", "a component's code asked the process to exit"),
    "generator": (raises(GeneratorExit()), 1, "failed", "GeneratorExit (see "),
    "stop iteration": (raises(StopIteration()), 1, "failed", "StopIteration (see "),
    "no exception": (raises(OwnError("own")), 1, "failed", "OwnError: own (see "),
    "infinity": (raises(FloatingPointError("overflow")), 1, "failed", "FloatingPointError: overflow (see "),
    "Ctrl-C elsewhere": (raises(KeyboardInterrupt()), 130, "stopped", "stopped by Ctrl-C in the middle of a batch"),
}


@pytest.fixture
def raising(own_components: None) -> dict[str, Callable[[], None]]:
    """A hook ``raising``, and what it does at each of its moments."""
    does: dict[str, Callable[[], None]] = {}

    class RaisingOptions(Options):
        """Ends the run in some way."""

    class Raising:
        category = "operation"
        batches = 0

        def register(self, trainer: Any, name: str) -> None:
            trainer.register_op("post_steps", self)

        def __call__(self) -> None:
            self.batches += 1
            if self.batches == 3:
                does.get("step", lambda: None)()

    @register("hook", "raising")
    def make_raising(options: RaisingOptions) -> Raising:
        does.get("build", lambda: None)()
        return Raising()

    return does


def status(run_dir: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run_dir / "status.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ending_in_the_middle(ending: str, rlrecipe: Commands, raising: dict[str, Callable[[], None]]) -> None:
    raising["step"], code, state, words = ENDINGS[ending]
    answer = rlrecipe("run", rlrecipe.recipe(RECIPE), "--run-dir", "run")
    lines = answer.err.splitlines()
    assert answer.code == code
    assert any(line.startswith(words) for line in lines), answer.err
    assert "Traceback" not in answer.err
    assert (status(Path("run"))["state"], answer.out) == (state, "")
    del raising["step"]
    assert rlrecipe("run", rlrecipe.recipe(RECIPE), "--run-dir", "run", "--continue").code == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ending_before_there_is_a_run(
    ending: str, rlrecipe: Commands, raising: dict[str, Callable[[], None]]
) -> None:
    raising["build"], code, _, _ = ENDINGS[ending]
    recipe = rlrecipe.recipe(RECIPE)
    answer = rlrecipe("run", recipe, "--run-dir", "run")
    assert answer.code == code
    assert (answer.out, len(answer.err.splitlines())) == ("", 1)
    assert "Traceback" not in answer.err
    assert list(Path().iterdir()) == [recipe.relative_to(Path.cwd())]


def test_a_run_that_was_broken_off_goes_on_to_the_same_bytes(
    raising: dict[str, Callable[[], None]], tmp_path: Path
) -> None:
    raising["step"] = raises(SystemExit(0))
    assert small.train(RECIPE, tmp_path / "run").outcome.code == 1
    del raising["step"]
    small.go_on(tmp_path / "run")
    small.train(RECIPE, tmp_path / "whole")
    assert small.outcome_of(tmp_path / "run") == small.outcome_of(tmp_path / "whole")


def test_in_python_no_component_ends_the_program(raising: dict[str, Callable[[], None]], tmp_path: Path) -> None:
    raising["step"] = raises(SystemExit(0))
    with pytest.raises(RuntimeError, match="asked the process to exit"):
        package.train(RECIPE, tmp_path / "run")
    raising["step"] = raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        package.train(RECIPE, tmp_path / "other")
    assert status(tmp_path / "other")["state"] == "stopped"


def test_what_cannot_be_closed_keeps_nothing_open(tmp_path: Path) -> None:
    session = small.open_session(small.CARTPOLE, tmp_path / "run")
    # As an environment's may.
    session.trainer.collector.close = raises(SystemExit(3))  # type: ignore[method-assign]  # what third-party code may do
    assert session.train().code == 0
    assert session.recorder.metrics.rows()
    assert status(tmp_path / "run")["state"] == "finished"


def test_failure_is_one_phrase() -> None:
    assert failure(MemoryError()) == "MemoryError"
    assert failure(ValueError("x")) == "ValueError: x"


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_full_is_a_failure_that_the_status_knows(
    raising: dict[str, Callable[[], None]], small_disk: Path, tmp_path: Path
) -> None:
    def fill() -> None:
        with (small_disk / "other").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 64):
                pass

    recipe = {**RECIPE, "checkpoint": {"every": 128}}
    raising["step"] = fill
    outcome = small.train(recipe, small_disk / "run").outcome
    assert (outcome.code, outcome.state) == (1, "failed")
    assert status(small_disk / "run")["state"] == "failed"
    (small_disk / "other").unlink()
    del raising["step"]
    assert small.go_on(small_disk / "run").outcome.code == 0
    small.train(recipe, tmp_path / "whole")
    assert small.outcome_of(small_disk / "run") == small.outcome_of(tmp_path / "whole")
