"""All parameters of a run as one flat vector, with names for its parts.

One vector makes gradient clipping, the optimizer's step and (in a compiled update) everything else a
handful of operations, however many layers there are. The named tensors are views of it: acting in
numpy, saving and the loss all read the same memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from rlrecipe.interfaces import Params
from rlrecipe.lazy import np, torch

#: Before the slots of copies that follow others slowly.
TARGET = "target_"


@dataclass(frozen=True)
class Part:
    """Where one named tensor lies in the flat vector."""

    slot: str
    name: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Parameters:
    """A flat vector and the named views of it.

    Args:
        tensors: initial values by slot and name; copied, in this order.
        dtype: of the flat vector.
        shared: slots whose tensors others see among their own, as ``<slot>.<name>``, and those others.
    """

    def __init__(
        self,
        tensors: Mapping[str, Mapping[str, torch.Tensor]],
        dtype: torch.dtype | None = None,
        shared: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.parts: list[Part] = []
        self.shared = dict(shared or {})
        stop = 0
        for slot, named in tensors.items():
            for name, tensor in named.items():
                start, stop = stop, stop + tensor.numel()
                self.parts.append(Part(slot, name, tuple(tensor.shape), start, stop))
        values = [tensor.detach().reshape(-1) for named in tensors.values() for tensor in named.values()]
        self.flat = torch.cat(values).to(dtype or torch.float32)

    def over(self, flat: torch.Tensor) -> Parameters:
        """The same layout over another vector."""
        other = copy(self)
        other.flat = flat
        return other

    def views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """The parts of a vector of this layout, each in its shape."""
        return [flat[part.start : part.stop].view(part.shape) for part in self.parts]

    def by_slot(self, tensors: list[torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
        """Parts grouped by slot and name."""
        grouped: dict[str, dict[str, torch.Tensor]] = {}
        for part, tensor in zip(self.parts, tensors, strict=True):
            grouped.setdefault(part.slot, {})[part.name] = tensor
        return grouped

    def joined(self, params: Mapping[str, Mapping[str, torch.Tensor]]) -> dict[str, Mapping[str, torch.Tensor]]:
        """Parameters by slot, those of shared slots also among the parameters of the slots that use them."""
        joined = dict(params)
        for slot, users in self.shared.items():
            for prefix in ("", TARGET):
                aliases = {f"{slot}.{name}": tensor for name, tensor in params.get(prefix + slot, {}).items()}
                for user in users if aliases else ():
                    if prefix + user in joined:
                        joined[prefix + user] = {**aliases, **joined[prefix + user]}
        return joined

    @property
    def slots(self) -> list[str]:
        """Whose parameters these are, in their order."""
        return list(dict.fromkeys(part.slot for part in self.parts))

    @property
    def params(self) -> Params:
        """The named views of the vector, without gradients."""
        return self.joined(self.by_slot(self.views(self.flat)))

    def numpy(self) -> dict[str, dict[str, np.ndarray]]:
        """The named views as numpy arrays over the same memory; only on the CPU."""
        flat: Any = self.flat
        if isinstance(flat, np.ndarray):
            arrays: Any = [flat[part.start : part.stop].reshape(part.shape) for part in self.parts]
            named: Any = self.by_slot(arrays)
            return dict(named)
        return {slot: {name: tensor.numpy() for name, tensor in named.items()} for slot, named in self.params.items()}

    def range(self, slot: str) -> tuple[int, int]:
        """First and one past the last element of a slot."""
        own = [part for part in self.parts if part.slot == slot]
        return own[0].start, own[-1].stop

    def stretch(self, slots: Sequence[str] = ()) -> Parameters:
        """Neighbouring slots as parameters of their own over the same memory; no slots mean all of them.

        Raises:
            ValueError: other slots lie between them.
        """
        own = [part for part in self.parts if not slots or part.slot in slots]
        start, stop = own[0].start, own[-1].stop
        if sum(part.stop - part.start for part in own) != stop - start:
            raise ValueError(f"the slots {', '.join(slots)} are no neighbours in the vector of all parameters")
        inner = copy(self)
        inner.parts = [replace(part, start=part.start - start, stop=part.stop - start) for part in own]
        inner.flat = self.flat[start:stop]
        return inner

    def named(self) -> dict[str, torch.Tensor]:
        """Views by dotted name: ``policy.0.weight``."""
        return {f"{part.slot}.{part.name}": view for part, view in zip(self.parts, self.views(self.flat), strict=True)}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Copy values in by dotted name.

        Raises:
            KeyError: a name is missing.
            ValueError: a shape differs.
        """
        for name, view in self.named().items():
            if tuple(tensors[name].shape) != tuple(view.shape):
                raise ValueError(f"{name}: shape {tuple(tensors[name].shape)}, expected {tuple(view.shape)}")
            view.copy_(tensors[name])
