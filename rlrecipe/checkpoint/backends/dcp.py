"""torch.distributed.checkpoint, with its safetensors storage.

DCP's own storage keeps its metadata as a pickle; this one does not, so that nothing is unpickled.
"""

from __future__ import annotations

import json
import struct
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_saver import save

from rlrecipe.state import Arrays

#: In front of each tensor's name, as both groups are one state dict for DCP.
GROUPS = ("policy/", "state/")
SUFFIX, METADATA = ".safetensors", "__metadata__"
#: In front of a safetensors file: how long its header is, which is JSON and filled up to a multiple of eight.
LENGTH = struct.Struct("<Q")


def encode(policy: Arrays, rest: Arrays) -> dict[str, bytes]:
    """Contents by file name."""
    tensors = {
        group + name: tensor for group, own in zip(GROUPS, (policy, rest), strict=True) for name, tensor in own.items()
    }
    with tempfile.TemporaryDirectory() as folder, _one_process():
        save(tensors, storage_writer=HuggingFaceStorageWriter(path=folder), no_dist=True)
        contents = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
    return {name: _ordered(content) if name.endswith(SUFFIX) else content for name, content in contents.items()}


def _ordered(content: bytes) -> bytes:
    """A safetensors file with its metadata sorted by key: DCP has several, which safetensors writes in random order."""
    (length,) = LENGTH.unpack_from(content)
    start = LENGTH.size + length
    header = json.loads(content[LENGTH.size : start])
    header[METADATA] = dict(sorted(header.get(METADATA, {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH.size)
    return LENGTH.pack(len(text)) + text + content[start:]


def decode(contents: Mapping[str, bytes]) -> tuple[Arrays, Arrays]:
    """The tensors of the policy, and the rest.

    What one process has written is whole tensors in safetensors files; they are read as such, since DCP's own reader
    allocates what the metadata claims.
    """
    tensors: Arrays = {}
    for name, content in contents.items():
        if name.endswith(SUFFIX):
            tensors |= load(content)
    policy, rest = ({n.removeprefix(g): t for n, t in tensors.items() if n.startswith(g)} for g in GROUPS)
    return policy, rest


class _one_process(warnings.catch_warnings):  # noqa: N801 - reads as the statement that it is
    """DCP warns whenever it runs in one process, which is what is asked of it here."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
