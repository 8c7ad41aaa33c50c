"""One safetensors file for the policy and one for everything else."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors.torch import load, save

from rlrecipe.state import Arrays

POLICY, REST = "policy.safetensors", "state.safetensors"


def encode(policy: Arrays, rest: Arrays) -> dict[str, bytes]:
    """Contents by file name. No metadata: several keys of it are written in random order."""
    return {POLICY: save(policy), REST: save(rest)}


def decode(contents: Mapping[str, bytes]) -> tuple[Arrays, Arrays]:
    """The tensors of the policy, and the rest."""
    return load(contents[POLICY]), load(contents[REST])
