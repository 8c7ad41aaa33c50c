"""A hook that keeps every frame in chunks, as a replay buffer does, each chunk a piece of its state."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rlrecipe import Options, register
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.state import Piece
from tests import small

#: Two batches of 64 frames fill a chunk: each second checkpoint has one chunk more than the one before it.
ROWS = 128
RECIPE = {**small.CARTPOLE, "hooks": ["shelf"]}


class ShelfOptions(Options):
    """Keeps every frame."""

    silent: bool = False
    secret: bool = False


class Shelf:
    category = "data"
    reads_mapping = True

    def __init__(self, options: ShelfOptions) -> None:
        self.options = options
        self.chunks: list[torch.Tensor] = []
        self.pieces: list[Piece] = []

    def register(self, trainer: Any, name: str) -> None:
        trainer.register_module("shelf", self)
        trainer.register_op("batch_process", self)

    def __call__(self, batch: Any) -> Any:
        rows = batch["observation"].reshape(64, -1).clone()
        if self.options.secret:
            rows += torch.rand(())
        if not self.chunks or len(self.chunks[-1]) == ROWS:
            self.chunks.append(rows)
            self.pieces.append(self._piece(len(self.chunks) - 1))
        else:
            self.chunks[-1] = torch.cat([self.chunks[-1], rows])
            self.pieces[-1] = self._piece(len(self.chunks) - 1)
        return batch

    def _piece(self, index: int, fact: Any = None) -> Piece:
        return Piece(partial(self._tensors, index), fact)

    def _tensors(self, index: int) -> dict[str, torch.Tensor]:
        return {"observation": self.chunks[index]}

    def state_dict(self) -> dict[str, Any]:
        return {"chunks": list(self.pieces)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if None in state["chunks"]:
            if not self.options.silent:
                warnings.warn("the shelf starts empty", stacklevel=2)
            return
        self.chunks = [piece.tensors()["observation"] for piece in state["chunks"]]
        self.pieces = [self._piece(i, piece.fact) for i, piece in enumerate(state["chunks"])]


def register_shelf() -> None:
    @register("hook", "shelf")
    def make_shelf(options: ShelfOptions) -> Shelf:
        return Shelf(options)


def chunk(run_dir: Path, index: int, checkpoint: int = -1) -> Path:
    """A chunk's file in one of a run's checkpoints, by default the newest."""
    store = CheckpointStore(run_dir / "checkpoints")
    return store.folder / store.names()[checkpoint] / f"shelf.chunks.{index}.safetensors"


def flip(file: Path) -> None:
    """Change one bit, under every name that the file has."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def goes_back_to(store: CheckpointStore, name: str, damaged: str) -> Checkpoint:
    """The newest sound checkpoint, which must be ``name``; that ``damaged`` is passed over must be said once."""
    said: list[str] = []
    found = store.newest(said.append)
    assert found is not None
    assert found.folder.name == name
    assert len(said) == 1
    assert damaged in said[0]
    return found
