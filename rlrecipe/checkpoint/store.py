"""The checkpoints of a run: each is there whole or not at all, and read only when undamaged."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlrecipe.checkpoint.content import SESSION, Checkpoint, Contents, unpack
from rlrecipe.checkpoint.kept import Kept
from rlrecipe.checkpoint.pieces import Links, encode
from rlrecipe.checkpoint.verified import (
    MANIFEST,
    DamagedCheckpoint,
    DamagedPiece,
    canonical,
    copy_verified,
    digest,
    read_manifest,
)
from rlrecipe.errors import Refusal
from rlrecipe.recipe.shown import command, place
from rlrecipe.system.files import make_folder, replace, sync_folder, text_of, write_durably

_NAME = re.compile(r"\d{12,}-\d{10,}")
STAGING, REPLACED = ".staging-", ".replaced-"
#: Files that name a checkpoint, and the bytes that one may have.
POINTERS = ("latest", "best")
MOST_NAME = 1 << 10


class NoCheckpoint(Refusal):
    """No usable checkpoint is left (exit 5)."""

    exit_code = 5


def pointed(path: Path) -> Path:
    """The checkpoint that a path means: where it is ``latest`` or ``best``, the one that this file names."""
    path = path.absolute()
    if path.name not in POINTERS or not path.is_file():
        return path
    name = CheckpointStore(path.parent).pointer(path.name)
    return path if name is None else path.with_name(name)


def name_of(frames: int, updates: int) -> str:
    """A checkpoint's folder: names sort as the run went."""
    return f"{frames:012d}-{updates:010d}"


def moment_of(name: str) -> int:
    """Where a checkpoint stands by its name: at its frames, or at the updates of a run that counts none."""
    frames, updates = map(int, name.split("-"))
    return frames or updates


def cure_without_buffer(path: Path) -> str:
    """How to go on with a run or checkpoint of which only pieces are damaged."""
    return (
        "all but the replay buffer can be used; to go on without its content, at the level continue:\n"
        f"  {command('resume', place(path), '--without-buffer')}"
    )


class CheckpointStore:
    """The checkpoints in one folder.

    Args:
        folder: ``checkpoints`` of a run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: Kept | None = None

    @property
    def _kept(self) -> Kept:
        """What is there, for whoever writes: others do not change it meanwhile."""
        if self._known is None:
            self._known = Kept(self.names())
        return self._known

    def holds(self, name: str) -> bool:
        """Whether there is a checkpoint of this name."""
        return _NAME.fullmatch(name) is not None and (self.folder / name).is_dir()

    def names(self) -> list[str]:
        """Names of the checkpoints, oldest first, damaged ones among them."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())

    def pointer(self, which: str) -> str | None:
        """The name in ``latest`` or ``best``, if its checkpoint is there."""
        try:
            name = text_of(self.folder / which, MOST_NAME).strip()
        except (OSError, ValueError):
            return None
        return name if self.holds(name) else None

    # -- writing

    def save(self, name: str, contents: Contents) -> None:
        """Commit a checkpoint: every file on disk, then one rename.

        A piece that another checkpoint here holds is linked; a new one is encoded when it is its turn.

        Raises:
            OSError: it could not be written; what was there before is untouched.
        """
        make_folder(self.folder)
        staging = self.folder / f"{STAGING}{name}-{os.getpid()}"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            staging.mkdir()
            self._write(staging, contents)
            sync_folder(staging)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        if (self.folder / name).exists():
            # A rename cannot replace a folder that is not empty; ``sweep`` puts the old one back if
            # the process ends between these two.
            (self.folder / name).rename(self.folder / f"{REPLACED}{name}")
        staging.rename(self.folder / name)
        sync_folder(self.folder)
        shutil.rmtree(self.folder / f"{REPLACED}{name}", ignore_errors=True)
        self._kept.add(name)
        self.point("latest", name)

    def _write(self, staging: Path, contents: Contents) -> None:
        facts: dict[str, Mapping[str, Any]] = {}
        for file, content in contents.files.items():
            facts[file] = _written(staging / file, content)
        links = Links(self.folder / name for name in self._kept.newest_first())
        for file, piece in contents.pieces.items():
            if piece.fact is None or not links.link(piece.fact, staging / file):
                piece.fact = _written(staging / file, encode(piece))
            facts[file] = piece.fact
        write_durably(staging / MANIFEST, contents.manifest(facts))

    def adopt(self, source: Checkpoint, facts: Mapping[str, Any], session: Mapping[str, Any]) -> None:
        """Begin with a copy of another run's checkpoint: nothing of it is shared.

        Args:
            source: the other one.
            facts: of the manifest, where they differ.
            session: in place of the other's.

        Raises:
            OSError: it could not be written.
            DamagedCheckpoint: a file was changed since it was verified.
        """
        name, files = source.folder.name, dict(source.manifest["files"])
        folder = self.folder / name
        folder.mkdir(parents=True)
        for file, fact in files.items():
            if file != SESSION:
                copy_verified(source.folder, file, fact, folder / file)
        files[SESSION] = _written(folder / SESSION, canonical(session))
        kept = {key: value for key, value in source.manifest.items() if key not in ("files", "digest")}
        write_durably(folder / MANIFEST, Contents({}, {}, {**kept, **facts}).manifest(files))
        sync_folder(folder)
        self._kept.add(name)
        self.point("latest", name)

    def point(self, which: str, name: str) -> None:
        """Let ``latest`` or ``best`` name a checkpoint."""
        replace(self.folder / which, name.encode() + b"\n")

    def before(self, name: str) -> str | None:
        """The name of the newest checkpoint before ``name``, if there is one."""
        before = self._kept.before(name)
        while before is not None and not self.holds(before):
            # Somebody took it away.
            self._kept.remove(before)
            before = self._kept.before(name)
        return before

    def previous(self, name: str) -> str | None:
        """The digest of the newest checkpoint before ``name``, if it is there and readable.

        One that is written again and has none before it keeps what it named: a fork's first one, its parent's.
        """
        before = self.before(name)
        try:
            if before is None and self.holds(name):
                own: str | None = read_manifest(self.folder / name)["previous"]
                return own
            return str(read_manifest(self.folder / before)["digest"]) if before is not None else None
        except (Refusal, KeyError):
            return None

    def prune(self, keep_last: int, anchors: Callable[[str], bool] = lambda _: False) -> None:
        """Remove all but the newest ``keep_last``, the best, and the anchors."""
        kept = (self.pointer("best"), self.pointer("latest"))
        for name in self._kept.passing(keep_last, anchors):
            if name not in kept:
                # Renamed first: a half-deleted folder must not look like a checkpoint.
                doomed = self.folder / f"{STAGING}pruned-{name}"
                with suppress(FileNotFoundError):
                    (self.folder / name).rename(doomed)
                self._kept.remove(name)
                shutil.rmtree(doomed, ignore_errors=True)

    def sweep(self) -> None:
        """Clear up what an earlier process left half done."""
        if not self.folder.is_dir():
            return
        for old in self.folder.glob(f"{REPLACED}*"):
            name = old.name.removeprefix(REPLACED)
            if (self.folder / name).exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(self.folder / name)
        for stale in (*self.folder.glob(f"{STAGING}*"), *self.folder.glob(".latest.*"), *self.folder.glob(".best.*")):
            shutil.rmtree(stale, ignore_errors=True) if stale.is_dir() else stale.unlink(missing_ok=True)

    # -- reading

    def load(self, name: str, *, pieces: bool = True) -> Checkpoint:
        """A checkpoint whose every byte is as written; its pieces may be left out.

        Raises:
            DamagedCheckpoint: it is not; the message names the file.
            DamagedPiece: it is not, but would be without its pieces.
        """
        return unpack(self.folder / name, pieces=pieces)

    def newest(
        self,
        warn: Callable[[str], None] = lambda _: None,
        *,
        move: bool = True,
        pieces: bool = True,
        before: str | None = None,
    ) -> Checkpoint | None:
        """The newest undamaged checkpoint; damaged ones that are newer are named to ``warn``.

        Args:
            warn: takes a line for each damaged one.
            move: move them aside, and correct ``latest``; only for whoever holds the run's lock.
            pieces: False leaves the pieces out, damaged or not.
            before: only those that are older than the one of this name.

        Raises:
            NoCheckpoint: there were checkpoints, and every one is damaged; none was moved.
        """
        damaged: dict[str, DamagedCheckpoint] = {}
        for name in reversed([name for name in self.names() if before is None or name < before]):
            try:
                checkpoint = self.load(name, pieces=pieces)
            except DamagedCheckpoint as error:
                damaged[name] = error
                continue
            if move:
                self.go_back_to(name, damaged, warn)
            for damage in () if move else damaged.values():
                warn(f"warning: {damage}; going back to the checkpoint before it")
            return checkpoint
        if damaged:
            raise NoCheckpoint(self._nothing_usable(damaged))
        return None

    def go_back_to(
        self, name: str, damaged: Mapping[str, DamagedCheckpoint], warn: Callable[[str], None] = lambda _: None
    ) -> None:
        """Move damaged checkpoints aside, naming each to ``warn``, and let ``latest`` name an older one."""
        for newer, damage in damaged.items():
            warn(f"warning: {damage}; moved to {self._move(newer, 'damaged')}, going back to the checkpoint before it")
        if self.pointer("latest") != name:
            self.point("latest", name)

    def _nothing_usable(self, damaged: Mapping[str, DamagedCheckpoint]) -> str:
        if any(isinstance(error, DamagedPiece) for error in damaged.values()):
            cure = cure_without_buffer(self.folder.parent)
        else:
            cure = "put one back from a copy, or start a new run"
        lines = "\n  ".join(str(error) for error in reversed(list(damaged.values())))
        return f"every checkpoint in {self.folder} is damaged:\n  {lines}\n{cure}"

    def set_aside_after(self, name: str) -> None:
        """Move checkpoints that are newer than ``name`` to ``superseded``: the run goes on from ``name``."""
        for newer in [other for other in self.names() if other > name]:
            self._move(newer, "superseded")

    def _move(self, name: str, folder: str) -> Path:
        aside = self.folder / folder / name
        make_folder(aside.parent)
        shutil.rmtree(aside, ignore_errors=True)
        (self.folder / name).rename(aside)
        self._known = None
        return aside


def _written(path: Path, content: bytes) -> dict[str, Any]:
    write_durably(path, content)
    return {"sha256": digest(content), "bytes": len(content)}
