"""Whether what is kept of a run agrees with its checkpoints: rows, summary, status, recipe, chain of manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore, moment_of, name_of
from rlrecipe.checkpoint.verified import DamagedCheckpoint
from rlrecipe.loggers.base import step_of
from rlrecipe.recipe.dump import data
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.schema import Recipe
from rlrecipe.runs.changes import changeable, differing
from rlrecipe.runs.comparing import row_of
from rlrecipe.runs.directory import RunDirectory, RunDirectoryError
from rlrecipe.runs.recorder import LOGS
from rlrecipe.runs.reexecute import standing_at
from rlrecipe.system.files import MOST_TEXT, open_binary, read

#: What is compared, here or by doing stretches again.
COVERED = ("checkpoints", "resolved.yaml", "status.json", "summary.json", "imports", *LOGS)
#: What depends on the clock.
TIMES = ("wall_seconds", "frames_per_second")
ENDED = ("finished", "stopped")


class Audit:
    """Compares a run's files with its checkpoints, without training.

    Args:
        run_dir: the run.
        store: its checkpoints.
        recipe_at: the recipe that a checkpoint was written with.
        own: the recipe in ``resolved.yaml``.

    Attributes:
        differences: what does not agree.
        notes: what cannot be told.
        uncovered: names in the folder that nothing is compared with.
        last_frame: of the rows.
    """

    def __init__(
        self,
        run_dir: Path,
        store: CheckpointStore,
        recipe_at: Callable[[Checkpoint], Recipe],
        own: Callable[[], Recipe],
    ) -> None:
        self.run_dir, self.store, self.own = run_dir, store, own
        self.differences: list[str] = []
        self.notes: list[str] = []
        self.last_frame = 0
        self.uncovered = sorted(
            path.name for path in run_dir.iterdir() if path.name not in COVERED and not path.name.startswith(".")
        )
        self.checkpoints: dict[str, Checkpoint] = {}
        for name in store.names():
            try:
                self.checkpoints[name] = store.load(name, pieces=False)
            except DamagedCheckpoint as error:
                self.differences.append(str(error))
        try:
            self.state = RunDirectory(run_dir).status()["state"]
        except RunDirectoryError as error:
            self.state = None
            self.differences.append(str(error))
        self._chain()
        for log in LOGS:
            self._log(log)
        if self.checkpoints and max(self.checkpoints) == store.names()[-1]:
            last = self.checkpoints[store.names()[-1]]
            recipe = recipe_at(last)
            self._pointers(last)
            self._status(last)
            self._recipe(last, recipe)
            self._summary(last, recipe)

    @property
    def ended(self) -> bool:
        """Whether the run says that it wrote a last checkpoint."""
        return self.state in ENDED

    def _json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(read(self.run_dir / name, MOST_TEXT))
        except (OSError, ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            self.differences.append(f"{name} cannot be read as a JSON mapping")
            return {}
        return content

    # -- checkpoints among each other

    def _chain(self) -> None:
        """Each manifest names the digest of the checkpoint before it."""
        names = self.store.names()
        fork = RunDirectory(self.run_dir).origin().get("fork")
        fork = fork if isinstance(fork, dict) else None
        for index, name in enumerate(names):
            if name not in self.checkpoints:
                continue
            one = self.checkpoints[name]
            clock = one.tree["clock"]
            facts = one.manifest["frames"], one.manifest["updates"]
            if facts != (clock["frames"], clock["updates"]) or name != name_of(*facts):
                self.differences.append(f"{name}/manifest.json: frames and updates are not those of its state")
            digests = {other: each.manifest["digest"] for other, each in self.checkpoints.items() if other < name}
            self._previous(name, one, digests, names[:index], fork)

    def _previous(
        self, name: str, one: Checkpoint, digests: dict[str, str], before: list[str], fork: dict[str, Any] | None
    ) -> None:
        previous, told = one.manifest.get("previous"), one.session.get("previous", "")
        if fork is not None and moment_of(name) == fork.get("frame"):
            if previous != fork.get("digest"):
                self.differences.append(f"{name}/manifest.json: previous is not the digest of the parent's checkpoint")
        elif before and digests.get(before[-1]) == previous:
            return
        elif told in digests or previous in digests.values() or (told is None and previous is not None):
            follows = told if told in digests else before[-1] if before else "nothing"
            self.differences.append(
                f"{name}/manifest.json: previous is not the digest of the checkpoint before, {follows}"
            )
        elif told is None and before:
            self.differences.append(f"{name}/session.json names no checkpoint before it, but {before[-1]} is there")
        elif previous is not None:
            which = f"{told}, which" if told else "a checkpoint that"
            self.notes.append(f"{name} follows {which} is not here (pruned, or removed): nothing checks its `previous`")

    def _pointers(self, last: Checkpoint) -> None:
        best = last.tree["evaluation"]["best"]
        best = best["$tuple"][1] if isinstance(best, dict) else best[1] if best else None
        expected: dict[str, str | None] = {"latest": last.folder.name}
        if last.manifest["recipe"]["checkpoint"].get("keep_best", True):
            expected["best"] = best if best in self.store.names() else None
        for which, name in expected.items():
            there = self.store.pointer(which)
            if there != name:
                self.differences.append(f"checkpoints/{which} names {there}; it is {name}")

    # -- rows

    def _log(self, log: str) -> None:
        try:
            with open_binary(self.run_dir / log, "r") as file:
                self._rows(log, file.read())
        except OSError as error:
            self.differences.append(f"{log} cannot be read: {error.strerror}")

    def _rows(self, log: str, content: bytes) -> None:
        """Every row up to a checkpoint is as it was when that was written."""
        lines = content.splitlines(keepends=True)
        wrong = next((i for i, line in enumerate(lines) if row_of(line) is None), None)
        if wrong is not None and (wrong < len(lines) - 1 or self.ended):
            self.differences.append(f"{log}: line {wrong + 1} is no row")
        kept = [row for line in lines if (row := row_of(line)) is not None]
        self.last_frame = max([self.last_frame, *map(step_of, kept)])
        whole = self._prefixes(log, content)
        if self.ended and self.checkpoints:
            name = max(self.checkpoints)
            frames, position = moment_of(name), int(self.checkpoints[name].session["files"][log])
            beyond = sum(step_of(row) > frames for row in kept)
            more = max(beyond, len(content[position:].splitlines())) if whole else beyond
            if more:
                self.differences.append(f"{log} has {more} rows after the end of the run at frame {frames}")

    def _prefixes(self, log: str, content: bytes) -> bool:
        """Whether the rows up to each checkpoint are those that were there when it was written."""
        since = 0
        without = [name for name, one in self.checkpoints.items() if log not in one.session.get("digests", {})]
        if without:
            self.notes.append(f"{len(without)} checkpoints are of a version that kept no digest of {log}")
        for name, one in self.checkpoints.items():
            position, frames = int(one.session["files"][log]), moment_of(name)
            digest = one.session.get("digests", {}).get(log)
            if len(content) < position:
                self.differences.append(f"{log} is shorter than it was at the checkpoint {name}")
                return False
            if digest is not None and hashlib.sha256(content[:position]).hexdigest() != digest:
                self.differences.append(
                    f"{log}: rows between frames {since} and {frames} are not as they were when the checkpoint "
                    f"{name} was written"
                )
                return False
            since = frames
        return True

    # -- the run's own files

    def _status(self, last: Checkpoint) -> None:
        if not self.ended:
            return
        status = self._json("status.json")
        for key in ("frames", "updates", "exact", "exact_reason"):
            if status.get(key) != last.manifest[key]:
                self.differences.append(
                    f"status.json: {key} is {status.get(key)}, and {last.manifest[key]} in the last checkpoint"
                )
        if status.get("checkpoint") != last.folder.name:
            self.differences.append(f"status.json: checkpoint is {status.get('checkpoint')}, not {last.folder.name}")
        if status.get("fork") != RunDirectory(self.run_dir).origin().get("fork"):
            self.differences.append("status.json: fork is not what provenance.json says")

    def _recipe(self, last: Checkpoint, recipe: Recipe) -> None:
        """``resolved.yaml`` is what the newest checkpoint was written with."""
        try:
            own = self.own()
        except (RecipeError, OSError) as error:
            self.differences.append(f"resolved.yaml cannot be read: {error}")
            return
        imports = last.manifest["recipe"].get("imports", [])
        for key, line in differing({**data(recipe), "imports": imports}, data(own)):
            if changeable(key) and not self.ended:
                self.notes.append(f"resolved.yaml: {line} after the newest checkpoint")
            else:
                self.differences.append(f"resolved.yaml: {line}")

    def _summary(self, last: Checkpoint, recipe: Recipe) -> None:
        """``summary.json`` is what the last checkpoint leads to."""
        if self.state != "finished":
            return
        summary = self._json("summary.json")
        if not summary:
            return
        with standing_at(self.run_dir, last, recipe) as session:
            if not session.trainer.complete:
                self.differences.append("status.json says that the run is finished, and its newest checkpoint does not")
                return
            expected = {**session.finish().summary, "exact": last.manifest["exact"]}
        for key in sorted(expected.keys() | summary.keys()):
            if key not in TIMES and summary.get(key) != expected.get(key):
                self.differences.append(f"summary.json: {key} is {summary.get(key)}, and becomes {expected.get(key)}")
