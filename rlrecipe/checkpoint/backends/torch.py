"""One ``.pt`` file by torch.save, read with ``weights_only=True``."""

from __future__ import annotations

import io
from collections.abc import Mapping

import torch

from rlrecipe.state import Arrays

FILE = "checkpoint.pt"


def encode(policy: Arrays, rest: Arrays) -> dict[str, bytes]:
    """Contents by file name."""
    file = io.BytesIO()
    torch.save({"policy": policy, "state": rest}, file)
    return {FILE: file.getvalue()}


def decode(contents: Mapping[str, bytes]) -> tuple[Arrays, Arrays]:
    """The tensors of the policy, and the rest. Anything but tensors in the file is an error."""
    groups = torch.load(io.BytesIO(contents[FILE]), weights_only=True)
    return groups["policy"], groups["state"]
