"""Pieces of a state as files: encoded one at a time, and linked where an earlier checkpoint has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from safetensors import SafetensorError
from safetensors.torch import load, save

from rlrecipe.checkpoint.verified import DamagedPiece, read_manifest, read_verified
from rlrecipe.errors import Refusal
from rlrecipe.state import Arrays, Piece


def file_of(name: str) -> str:
    """A piece's file, whatever the backend: no key of a state can lead out of the folder."""
    return f"{quote(name, safe='#')}.safetensors"


def encode(piece: Piece) -> bytes:
    """The content of a piece's file. No metadata: several keys of it are written in random order."""
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in piece.tensors().items()})


def stored(folder: Path, file: str, fact: Mapping[str, Any]) -> Piece:
    """The piece in a checkpoint's file, which is read and verified when its tensors are asked for."""
    return Piece(partial(_decode, folder, file, fact), fact)


def _decode(folder: Path, file: str, fact: Mapping[str, Any]) -> Arrays:
    try:
        tensors: Arrays = load(read_verified(folder, file, fact))
    except SafetensorError as error:
        raise DamagedPiece(f"{folder / file} cannot be read: {error}") from None
    return tensors


class Links:
    """Finds the files of earlier checkpoints by their digest.

    Args:
        folders: of those checkpoints, the newest first; a manifest is read once, and only if it has to be.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._unread = iter(folders)
        self._paths: dict[str, Path] = {}

    def link(self, fact: Mapping[str, Any], target: Path) -> bool:
        """Make ``target`` another name of the file that ``fact`` describes; False if there is none."""
        source = self._find(fact["sha256"])
        if source is None:
            return False
        try:
            # One that was cut or replaced since is written anew, as is any where links are not possible.
            if source.lstat().st_size != fact["bytes"]:
                return False
            target.hardlink_to(source)
        except OSError:
            return False
        return True

    def _find(self, sha256: str) -> Path | None:
        while sha256 not in self._paths:
            folder = next(self._unread, None)
            if folder is None:
                return None
            try:
                files = read_manifest(folder)["files"]
            except Refusal:
                continue
            for file, fact in files.items():
                self._paths.setdefault(fact["sha256"], folder / Path(file).name)
        return self._paths[sha256]
