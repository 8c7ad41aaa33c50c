"""File formats of a checkpoint's tensors. Whatever wrote a checkpoint, reading it needs no hint."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from rlrecipe.state import Arrays


class Backend(Protocol):
    """Tensors to the contents of files, and back from contents whose digests have been checked."""

    def encode(self, policy: Arrays, rest: Arrays) -> dict[str, bytes]:
        """Contents by file name: the policy's tensors, and all others."""

    def decode(self, contents: Mapping[str, bytes]) -> tuple[Arrays, Arrays]:
        """The two groups of tensors that ``encode`` was given."""


#: What there is; a manifest may name anything.
NAMES = ("safetensors", "torch", "dcp")


def backend(name: str) -> Backend:
    """The backend in the file of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in NAMES:
        raise ValueError(f"no backend is named {name!r}; there are {', '.join(NAMES)}")
    return cast(Backend, importlib.import_module(f"{__name__}.{name}"))
