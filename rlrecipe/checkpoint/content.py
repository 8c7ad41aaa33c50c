"""What a checkpoint holds, as the contents of its files, and back.

- the tensors in the files of a backend (``policy.safetensors`` holds networks and statistics);
- ``state.json``, the rest of the state; ``policy.json``, what acting needs besides tensors;
- ``session.json``, what differs between two sessions that compute the same: seconds, lengths of logs;
- ``manifest.json`` with the digest of each, its own, and that of the checkpoint before.

Nothing in it is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlrecipe.checkpoint.backends import backend
from rlrecipe.checkpoint.files import canonical, digest
from rlrecipe.errors import Refusal
from rlrecipe.interfaces import State
from rlrecipe.state import Arrays, join, split

FORMAT = 1
#: Where parameters stand in a trainer's state; the policy's file names them without it.
PARAMETERS = "update.parameters."
STATISTICS = ".statistics."
MANIFEST = "manifest.json"
#: Files that every backend's are joined by.
STATE, POLICY, SESSION = "state.json", "policy.json", "session.json"


class DamagedCheckpoint(Refusal):
    """A checkpoint is not what its manifest says."""

    exit_code = 5


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
    """

    folder: Path
    manifest: Mapping[str, Any]
    policy: Mapping[str, Any]
    session: Mapping[str, Any]
    tree: Any
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
        state: State = join(self.tree, self.arrays)
        return state


def pack(
    state: State, policy: Mapping[str, Any], session: Mapping[str, Any], facts: Mapping[str, Any], backend_name: str
) -> dict[str, bytes]:
    """Contents of a checkpoint's files, the manifest last.

    Args:
        state: of everything, by module.
        policy: what acting needs besides tensors.
        session: what belongs to this session only.
        facts: the manifest's own fields.
        backend_name: the format of the tensors.
    """
    arrays: Arrays = {}
    tree = split(state, "", arrays)
    travelling = (PARAMETERS, *(name + STATISTICS for name in policy.get("statistics", ())))
    own = {path: tensor for path, tensor in arrays.items() if path.startswith(travelling)}
    rest = {path: tensor for path, tensor in arrays.items() if path not in own}
    names = {path: path.removeprefix(PARAMETERS).replace(STATISTICS, ".") for path in own}
    files = backend(backend_name).encode({names[path]: tensor for path, tensor in own.items()}, rest)
    files[STATE] = canonical(tree)
    files[POLICY] = canonical({**policy, "tensors": {name: path for path, name in names.items()}})
    files[SESSION] = canonical(session)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "backend": backend_name,
        **facts,
        "files": {file: {"sha256": digest(data), "bytes": len(data)} for file, data in files.items()},
    }
    manifest["digest"] = digest(canonical(manifest))
    return {**files, MANIFEST: canonical(manifest)}


def unpack(folder: Path) -> Checkpoint:
    """A checkpoint whose every byte is as written.

    Raises:
        DamagedCheckpoint: it is not; the message names the file.
    """
    try:
        manifest = read_manifest(folder)
        contents = {file: _verified(folder, file, facts) for file, facts in manifest["files"].items()}
        policy, session = json.loads(contents[POLICY]), json.loads(contents[SESSION])
        own, arrays = backend(manifest["backend"]).decode(
            {name: content for name, content in contents.items() if name not in (STATE, POLICY, SESSION)}
        )
        for name, tensor in own.items():
            arrays[policy["tensors"][name]] = tensor
        tree = json.loads(contents[STATE])
    except DamagedCheckpoint:
        raise
    except Exception as error:
        # Verified bytes that do not parse: whatever a format raises means the same to whoever resumes.
        raise DamagedCheckpoint(f"{folder} cannot be read: {type(error).__name__}: {error}") from error
    return Checkpoint(folder, manifest, policy, session, tree, arrays)


def read_manifest(folder: Path) -> dict[str, Any]:
    """A checkpoint's manifest, checked against its own digest and the format's version.

    Raises:
        DamagedCheckpoint: it is missing or changed.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        claimed = manifest.pop("digest")
        true = digest(canonical(manifest))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {type(error).__name__}: {error}") from None
    if true != claimed:
        raise DamagedCheckpoint(f"{path} does not match its own digest")
    if manifest.get("format") != FORMAT:
        raise Refusal(f"{folder} has the format {manifest.get('format')}; this version reads {FORMAT}: update rlrecipe")
    return {**manifest, "digest": claimed}


def _verified(folder: Path, file: str, facts: Mapping[str, Any]) -> bytes:
    path = folder / file
    if Path(file).name != file or path.is_symlink():
        raise DamagedCheckpoint(f"{folder / MANIFEST} names a file outside its folder: {file!r}")
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size == facts["bytes"] else b""
    except OSError as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error.strerror}") from None
    if len(content) != facts["bytes"] or digest(content) != facts["sha256"]:
        raise DamagedCheckpoint(f"{path} does not match its digest")
    return content
