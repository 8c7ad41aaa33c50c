"""One ``.pt`` file by torch.save, which torch.load(weights_only=True) reads; here it is read within its own bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping

import torch

from rlrecipe.checkpoint.backends.bounded import tensors_of, unpack_torch
from rlrecipe.state import Arrays

FILE = "checkpoint.pt"


def encode(policy: Arrays, rest: Arrays) -> dict[str, bytes]:
    """Contents by file name."""
    file = io.BytesIO()
    torch.save({"policy": policy, "state": rest}, file)
    return {FILE: file.getvalue()}


def decode(contents: Mapping[str, bytes]) -> tuple[Arrays, Arrays]:
    """The tensors of the policy, and the rest. Anything but tensors in the file is an error."""
    policy, rest = tensors_of(unpack_torch(contents[FILE]), "policy", "state")
    return dict(policy), dict(rest)
