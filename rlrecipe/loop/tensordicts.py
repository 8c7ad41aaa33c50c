"""Batches as TensorDicts, for hooks and parts of torchrl that read them.

tensordict takes 1.5 s to import; it is imported here, the first time that a hook asks for it.
"""

from __future__ import annotations

from typing import Any

from rlrecipe.interfaces import Batch
from rlrecipe.lazy import torch

#: Keys that torchrl keeps with a last dimension of one.
_COLUMNS = frozenset({"reward", "done", "terminated", "truncated", "advantage", "value_target", "state_value"})


def _column(key: Any) -> bool:
    return (key[-1] if isinstance(key, tuple) else key) in _COLUMNS


def to_tensordict(batch: Batch, time_major: bool) -> Any:
    """A TensorDict over the same memory: ``[N, T]`` of a ``[T, N]`` batch, ``[B]`` of a sub-batch."""
    from tensordict import TensorDict

    dims = 2 if time_major else 1
    views = {
        key: (tensor.unsqueeze(-1) if _column(key) and tensor.ndim == dims else tensor) for key, tensor in batch.items()
    }
    if time_major:
        views = {key: tensor.transpose(0, 1) for key, tensor in views.items()}
    size = next(iter(views.values())).shape[:dims]
    return TensorDict(views, batch_size=size)


def from_tensordict(data: Any, time_major: bool) -> Batch:
    """The plain mapping of what a data hook returned."""
    batch: Batch = {}
    for key, tensor in data.items(include_nested=True, leaves_only=True):
        if not isinstance(tensor, torch.Tensor):
            continue
        plain = tensor.transpose(0, 1) if time_major else tensor
        batch[key] = plain.squeeze(-1) if _column(key) and plain.ndim == (3 if time_major else 2) else plain
    return batch
