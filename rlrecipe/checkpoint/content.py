"""What a checkpoint holds, as the contents of its files, and back.

- the tensors in the files of a backend (``policy.safetensors`` holds networks and statistics);
- ``state.json``, the rest of the state; ``policy.json``, what acting needs besides tensors;
- ``session.json``, what differs between two sessions that compute the same: seconds, lengths of logs;
- ``<name>.safetensors`` for each piece of the state, shared by all checkpoints in which it is the same;
- ``manifest.json`` with the digest of each, its own, and that of the checkpoint before.

Nothing in it is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlrecipe.checkpoint.backends import backend
from rlrecipe.checkpoint.backends.bounded import parse
from rlrecipe.checkpoint.fit import taking_up
from rlrecipe.checkpoint.pieces import file_of, stored
from rlrecipe.checkpoint.verified import (
    FORMAT,
    DamagedCheckpoint,
    canonical,
    digest,
    fact_of,
    read_manifest,
    read_verified,
    verify_file,
)
from rlrecipe.interfaces import State
from rlrecipe.state import Arrays, Piece, join, pieces_in, split

#: Where parameters stand in a trainer's state; the policy's file names them without it.
PARAMETERS = "update.parameters."
STATISTICS = ".statistics."
#: Files that every backend's are joined by.
STATE, POLICY, SESSION = "state.json", "policy.json", "session.json"


@dataclass(frozen=True)
class Contents:
    """What a checkpoint is to hold.

    Attributes:
        files: contents by file name, without the manifest.
        pieces: by file name, each to be encoded when it is its turn.
        facts: the manifest's own fields.
    """

    files: Mapping[str, bytes]
    pieces: Mapping[str, Piece]
    facts: Mapping[str, Any]

    def manifest(self, files: Mapping[str, Mapping[str, Any]]) -> bytes:
        """The manifest over ``sha256`` and ``bytes`` of every file, by name."""
        manifest = {**self.facts, "files": files}
        return canonical({**manifest, "digest": digest(canonical(manifest))})


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint.

    Attributes:
        folder: where it is.
        manifest: its facts.
        policy: what acting needs besides tensors.
        session: what belongs to the session that wrote it.
        tree: the JSON side of the state.
        arrays: every tensor by its path in the state.
        pieces: by their path in the state; None for each if it was read without them.
    """

    folder: Path
    manifest: Mapping[str, Any]
    policy: Mapping[str, Any]
    session: Mapping[str, Any]
    tree: Any
    arrays: Arrays
    pieces: Mapping[str, Piece | None]

    @property
    def parameters(self) -> Arrays:
        """Network parameters by dotted name."""
        return {
            path.removeprefix(PARAMETERS): tensor for path, tensor in self.arrays.items() if path.startswith(PARAMETERS)
        }

    def statistics(self, transform: str) -> State:
        """The statistics of one transform, by name; empty where it has none, or there is none of that name."""
        own = self.tree.get(transform, {})
        statistics: State = join(own.get("statistics", {}), self.arrays)
        return statistics

    def state(self) -> State:
        """The whole state that was saved.

        Raises:
            UnfitState: its names and tags do not describe one.
        """
        with taking_up(self.folder):
            state: State = join(self.tree, self.arrays, self.pieces)
        return state

    def fact(self, name: str) -> Any:
        """A fact of the manifest.

        Raises:
            DamagedCheckpoint: it has none of the name.
        """
        return fact_of(self.folder, self.manifest, name)


def pack(
    state: State, policy: Mapping[str, Any], session: Mapping[str, Any], facts: Mapping[str, Any], backend_name: str
) -> Contents:
    """What a checkpoint of ``state`` is to hold.

    Args:
        state: of everything, by module.
        policy: what acting needs besides tensors.
        session: what belongs to this session only.
        facts: the manifest's own fields.
        backend_name: the format of the tensors.

    Raises:
        TypeError: a value cannot be saved; the message holds its path in the state.
    """
    arrays: Arrays = {}
    pieces: dict[str, Piece] = {}
    tree = split(state, "", arrays, pieces)
    travelling = (PARAMETERS, *(name + STATISTICS for name in policy.get("statistics", ())))
    own = {path: tensor for path, tensor in arrays.items() if path.startswith(travelling)}
    rest = {path: tensor for path, tensor in arrays.items() if path not in own}
    names = {path: path.removeprefix(PARAMETERS).replace(STATISTICS, ".") for path in own}
    files = backend(backend_name).encode({names[path]: tensor for path, tensor in own.items()}, rest)
    files[STATE] = canonical(tree)
    files[POLICY] = canonical({**policy, "tensors": {name: path for path, name in names.items()}})
    files[SESSION] = canonical(session)
    for path in pieces:
        if file_of(path) in files:
            raise TypeError(f"state at {path} is a piece, but {file_of(path)} is another file; put it into a mapping")
    named = {file_of(path): piece for path, piece in pieces.items()}
    return Contents(files, named, {"format": FORMAT, "backend": backend_name, **facts})


def unpack(folder: Path, *, pieces: bool = True) -> Checkpoint:
    """A checkpoint whose every byte is as written.

    Args:
        folder: of the checkpoint.
        pieces: verify the pieces and offer them; False leaves them out, whatever state they are in.

    Raises:
        DamagedCheckpoint: it is not; the message names the file.
        DamagedPiece: it is not, but would be without its pieces.
    """
    try:
        manifest = read_manifest(folder)
        facts = manifest["files"]
        tree = parse(read_verified(folder, STATE, facts[STATE]))
        files = {path: file_of(path) for path in pieces_in(tree)}
        found = {path: stored(folder, file, facts[file]) if pieces else None for path, file in files.items()}
        others = facts.keys() - files.values() - {STATE}
        contents = {file: read_verified(folder, file, facts[file]) for file in sorted(others)}
        policy, session = parse(contents.pop(POLICY)), parse(contents.pop(SESSION))
        if not isinstance(policy, dict) or not isinstance(session, dict):
            raise TypeError(f"{POLICY} and {SESSION} hold mappings")
        own, arrays = backend(manifest["backend"]).decode(contents)
        for name, tensor in own.items():
            path = policy["tensors"][name]
            if not isinstance(path, str):
                raise TypeError(f"{POLICY} says {path!r} as the place of {name}")
            arrays[path] = tensor
    except DamagedCheckpoint:
        raise
    except Exception as error:
        # Verified bytes that do not parse: whatever a format raises means the same to whoever resumes.
        raise DamagedCheckpoint(f"{folder} cannot be read: {type(error).__name__}: {error}") from error
    # Last: damage in a piece is told as such only where all else is sound.
    for file in files.values() if pieces else ():
        verify_file(folder, file, facts[file])
    return Checkpoint(folder, manifest, policy, session, tree, arrays, found)
