"""A trainer's state as one file (``.pt`` or ``.safetensors``) or, by torch.distributed.checkpoint, one folder.

Nothing is unpickled, and what was changed on the way is found: a digest over every value is checked when it is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as safetensors_bytes

from rlrecipe.checkpoint.backends import backend
from rlrecipe.checkpoint.backends.bounded import parse, tensors_of, unpack_torch
from rlrecipe.checkpoint.fit import taking_up
from rlrecipe.errors import Refusal
from rlrecipe.interfaces import State
from rlrecipe.state import Arrays, Piece, join, split
from rlrecipe.system import files

#: Key of a safetensors file's only metadata.
KEY = "rlrecipe"
#: A folder's file for what is no tensor, and the one that names the newest version.
REST, LATEST = "state.json", "latest"


class DamagedFile(Refusal):
    """A file that was not written by ``write``, or not as it is now."""

    exit_code = 5


def write(path: Path, state: State, kind: str) -> None:
    """Put a new version of ``path`` in place of the old one, whole or not at all.

    Args:
        path: a file; a folder for ``dcp``.
        state: of a trainer.
        kind: "torch", "safetensors" or "dcp".

    Raises:
        TypeError: a value is of no kind that can be saved; the message holds its path.
    """
    arrays, pieces = Arrays(), dict[str, Piece]()
    tree = json.dumps({"state": split(state, "", arrays, pieces), "pieces": list(pieces)})
    for number, piece in enumerate(pieces.values()):
        arrays |= {f"{_piece(number)}{name}": tensor for name, tensor in piece.tensors().items()}
    rest = json.dumps({"tree": tree, "digest": _digest(tree, arrays)})
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "dcp":
        _write_folder(path, rest, arrays)
    elif kind == "safetensors":
        files.replace(path, safetensors_bytes(arrays, {KEY: rest}))
    else:
        file = io.BytesIO()
        torch.save({KEY: rest, "tensors": arrays}, file)
        files.replace(path, file.getvalue())


def read(path: Path) -> State:
    """What ``write`` was given, whatever kind it wrote.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: it was changed since, cut short, or written by something else.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    # Whoever names a file may name a link to it; in a folder of versions there are none.
    path = path.resolve()
    try:
        rest, arrays = _reader(path)(path)
        facts = parse(rest.encode())
        whole = facts["digest"] == _digest(facts["tree"], arrays)
    except Exception as error:
        raise DamagedFile(f"{path} is damaged, or no trainer's checkpoint: {type(error).__name__}: {error}") from error
    if not whole:
        raise DamagedFile(f"{path} is damaged: its digest is not that of its content; take another copy of it")
    with taking_up(path):
        tree = parse(facts["tree"].encode())
        pieces = {name: _own(arrays, _piece(number)) for number, name in enumerate(tree["pieces"])}
        state: State = join(tree["state"], arrays, pieces)
    return state


def _piece(number: int) -> str:
    """In front of the names of a piece's tensors; a state's names hold no blanks in front."""
    return f" {number} "


def _own(arrays: Arrays, prefix: str) -> Piece:
    tensors = {name.removeprefix(prefix): tensor for name, tensor in arrays.items() if name.startswith(prefix)}
    return Piece(lambda: tensors)


def _digest(tree: str, arrays: Mapping[str, torch.Tensor]) -> str:
    content = hashlib.sha256(tree.encode())
    for name, tensor in sorted(arrays.items()):
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()


def _reader(path: Path) -> Callable[[Path], tuple[str, Arrays]]:
    if path.is_dir():
        return _read_folder
    with files.open_binary(path, "r") as file:
        return _read_torch if file.read(2) == b"PK" else _read_safetensors


def _read_torch(path: Path) -> tuple[str, Arrays]:
    content = unpack_torch(files.read(path))
    (tensors,) = tensors_of(content, "tensors")
    return content[KEY], dict(tensors)


def _read_safetensors(path: Path) -> tuple[str, Arrays]:
    with safe_open(path, "pt") as file:
        return file.metadata()[KEY], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping


def _write_folder(path: Path, rest: str, arrays: Arrays) -> None:
    """A version of its own, made current by one rename of the file that names it."""
    path.mkdir(exist_ok=True)
    names = [int(each.name) for each in path.iterdir() if each.name.isdigit()]
    version = path / str(max(names, default=0) + 1)
    version.mkdir()
    for name, content in {REST: rest.encode(), **backend("dcp").encode({}, arrays)}.items():
        files.write_durably(version / name, content)
    files.sync_folder(version)
    files.replace(path / LATEST, version.name.encode())
    for name in map(str, names):
        shutil.rmtree(path / name)


def _read_folder(path: Path) -> tuple[str, Arrays]:
    name = files.text_of(path / LATEST)
    if not name.isdigit():
        raise ValueError(f"{path / LATEST} names no version")
    version = path / name
    contents = {file.name: files.read(file) for file in version.iterdir()}
    rest = contents.pop(REST).decode()
    return rest, backend("dcp").decode(contents)[1]
