"""Checkpoints of a run: written so that each is there whole or not at all, read only when undamaged.

A checkpoint is a folder ``<frames>-<updates>`` with ``policy.safetensors`` (networks and statistics),
``state.safetensors`` and ``state.json`` (everything else), ``policy.json`` (what acting needs besides)
and ``manifest.json`` with the digest of each. Nothing in it is ever unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from rlrecipe.checkpoint.files import canonical, digest, replace, sync_folder, write_durably
from rlrecipe.errors import Refusal
from rlrecipe.interfaces import State
from rlrecipe.state import Arrays, join, split

FORMAT = 1
#: Where parameters stand in a trainer's state; ``policy.safetensors`` names them without it.
PARAMETERS = "update.parameters."
STATISTICS = ".statistics."


class DamagedCheckpoint(Refusal):
    """A checkpoint is not what its manifest says."""

    exit_code = 5


class NoCheckpoint(Refusal):
    """No usable checkpoint is left (exit 5)."""

    exit_code = 5


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint."""

    folder: Path
    manifest: Mapping[str, Any]
    policy: Mapping[str, Any]
    arrays: Arrays

    @property
    def parameters(self) -> Arrays:
        """Network parameters by dotted name."""
        return {
            path.removeprefix(PARAMETERS): tensor for path, tensor in self.arrays.items() if path.startswith(PARAMETERS)
        }

    def statistics(self, transform: str) -> State:
        """The statistics of one transform, by name."""
        prefix = transform + STATISTICS
        return {
            path.removeprefix(prefix): tensor.numpy().copy()
            for path, tensor in self.arrays.items()
            if path.startswith(prefix)
        }

    def state(self) -> State:
        """The whole state that was saved."""
        tree = json.loads((self.folder / "state.json").read_bytes())
        state: State = join(tree, self.arrays)
        return state


def name_of(frames: int, updates: int) -> str:
    """A checkpoint's folder: names sort as the run went."""
    return f"{frames:012d}-{updates:010d}"


class CheckpointStore:
    """The checkpoints in one folder.

    Args:
        folder: ``checkpoints`` of a run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Names of the committed checkpoints, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path.parent.name for path in self.folder.glob("[0-9]*-[0-9]*/manifest.json"))

    def pointer(self, which: str) -> str | None:
        """The name in ``latest`` or ``best``, if its checkpoint is there."""
        path = self.folder / which
        name = path.read_text().strip() if path.is_file() else ""
        return name if name in self.names() else None

    # -- writing

    def save(self, state: State, policy: Mapping[str, Any], facts: Mapping[str, Any], keep_last: int) -> str:
        """Commit a checkpoint and prune older ones.

        Args:
            state: of everything, by module.
            policy: what acting needs besides tensors.
            facts: the manifest's own fields; ``frames`` and ``updates`` name the folder.
            keep_last: how many of the newest stay, besides the best.

        Returns:
            The checkpoint's name.
        """
        name = name_of(facts["frames"], facts["updates"])
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        files = self._files(state, policy)
        manifest: dict[str, Any] = {
            "format": FORMAT,
            **facts,
            "files": {file: {"sha256": digest(data), "bytes": len(data)} for file, data in files.items()},
            "previous": self._before(name),
        }
        manifest["digest"] = digest(canonical(manifest))
        staging = self.folder / f".staging-{name}-{os.getpid()}"
        staging.mkdir()
        for file, data in {**files, "manifest.json": canonical(manifest)}.items():
            write_durably(staging / file, data)
        sync_folder(staging)
        if (self.folder / name).exists():
            # The same frame saved again, by a resumed run: the same state, or a newer session's.
            shutil.rmtree(self.folder / name)
        staging.rename(self.folder / name)
        sync_folder(self.folder)
        replace(self.folder / "latest", name.encode() + b"\n")
        self._prune(keep_last)
        return name

    def mark_best(self, name: str) -> None:
        """Point ``best`` at a checkpoint."""
        replace(self.folder / "best", name.encode() + b"\n")

    def _files(self, state: State, policy: Mapping[str, Any]) -> dict[str, bytes]:
        arrays: Arrays = {}
        tree = split(state, "", arrays)
        own = {path: tensor for path, tensor in arrays.items() if _with_policy(path)}
        rest = {path: tensor for path, tensor in arrays.items() if path not in own}
        return {
            "policy.safetensors": save_tensors({_short(path): tensor for path, tensor in own.items()}),
            "policy.json": canonical({**policy, "tensors": {_short(path): path for path in own}}),
            "state.safetensors": save_tensors(rest),
            "state.json": canonical(tree),
        }

    def _sweep(self) -> None:
        for stale in self.folder.glob(".staging-*"):
            shutil.rmtree(stale, ignore_errors=True)

    def _prune(self, keep_last: int) -> None:
        kept = {*self.names()[-keep_last:], self.pointer("best"), self.pointer("latest")}
        for name in self.names():
            if name not in kept:
                # Renamed first: a half-deleted folder must not look like a checkpoint.
                doomed = self.folder / f".staging-pruned-{name}"
                (self.folder / name).rename(doomed)
                shutil.rmtree(doomed)

    # -- reading

    def load(self, name: str) -> Checkpoint:
        """A checkpoint whose every byte is as written.

        Raises:
            DamagedCheckpoint: it is not; the message names the file.
        """
        folder = self.folder / name
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
            claimed = manifest.pop("digest")
            if digest(canonical(manifest)) != claimed:
                raise DamagedCheckpoint(f"{folder / 'manifest.json'} does not match its own digest")
            contents = {file: self._verified(folder, file, facts) for file, facts in manifest["files"].items()}
            policy = json.loads(contents["policy.json"])
            arrays = dict(load_tensors(contents["state.safetensors"]))
            for short, tensor in load_tensors(contents["policy.safetensors"]).items():
                arrays[policy["tensors"][short]] = tensor
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedCheckpoint(f"{folder} cannot be read: {type(error).__name__}: {error}") from error
        return Checkpoint(folder, {**manifest, "digest": claimed}, policy, arrays)

    def newest(self, warn: Any = None) -> Checkpoint | None:
        """The newest undamaged checkpoint; damaged ones are moved aside and named to ``warn``.

        Raises:
            NoCheckpoint: there were checkpoints, and every one is damaged.
        """
        names = self.names()
        for name in reversed(names):
            try:
                return self.load(name)
            except DamagedCheckpoint as error:
                aside = self.folder / "damaged"
                aside.mkdir(exist_ok=True)
                shutil.rmtree(aside / name, ignore_errors=True)
                (self.folder / name).rename(aside / name)
                if warn is not None:
                    warn(f"{error}; moved to {aside / name}, using the checkpoint before it")
        if names:
            raise NoCheckpoint(f"every checkpoint in {self.folder} is damaged; they are in {self.folder / 'damaged'}")
        return None

    def set_aside_after(self, name: str) -> None:
        """Move checkpoints that are newer than ``name`` to ``superseded``: the run goes on from ``name``."""
        for newer in [other for other in self.names() if other > name]:
            aside = self.folder / "superseded"
            aside.mkdir(exist_ok=True)
            shutil.rmtree(aside / newer, ignore_errors=True)
            (self.folder / newer).rename(aside / newer)

    def _verified(self, folder: Path, file: str, facts: Mapping[str, Any]) -> bytes:
        if Path(file).name != file:
            raise DamagedCheckpoint(f"{folder / 'manifest.json'} names a file outside its folder: {file!r}")
        content = (folder / file).read_bytes()
        if len(content) != facts["bytes"] or digest(content) != facts["sha256"]:
            raise DamagedCheckpoint(f"{folder / file} does not match its digest")
        return content

    def _before(self, name: str) -> str | None:
        """Digest of the checkpoint before ``name``; saved again at the same frame, it keeps its own."""
        newest = max((other for other in self.names() if other <= name), default=None)
        if newest is None:
            return None
        try:
            manifest = json.loads((self.folder / newest / "manifest.json").read_bytes())
            found: str | None = manifest["previous" if newest == name else "digest"]
        except (OSError, ValueError, KeyError):
            return None
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


def _with_policy(path: str) -> bool:
    return path.startswith(PARAMETERS) or STATISTICS in path


def _short(path: str) -> str:
    return path.removeprefix(PARAMETERS).replace(STATISTICS, ".")
