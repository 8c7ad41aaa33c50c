"""What is reported between two rows of the log: means, and the newest of what counts."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from rlrecipe.interfaces import State


class Averages:
    """Sums of named numbers and how many went in; one addition a call, nothing is read back."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], tuple[torch.Tensor, int]] = {}

    def add(self, values: Mapping[str, torch.Tensor]) -> None:
        """Take 0-dimensional tensors in."""
        if not values:
            return
        self.add_row(
            tuple(values), torch.stack([value.detach().to(torch.float32).reshape(()) for value in values.values()])
        )

    def replace(self, values: Mapping[str, torch.Tensor]) -> None:
        """Take 0-dimensional tensors in the place of those of the same names: counters, whose mean says nothing."""
        for name, value in values.items():
            # A sum of one; in float64, since float32 counts to 16 million.
            self._sums[(name,)] = torch.tensor([float(value)], dtype=torch.float64), 1

    def add_row(self, names: tuple[str, ...], row: torch.Tensor) -> None:
        """Take the numbers of a float32 row ``[len(names)]`` in."""
        if names not in self._sums:
            self._sums[names] = row, 1
            return
        total, count = self._sums[names]
        if total.device.type == "cpu":
            # In numpy: a call for every update, and of a few numbers only.
            array = total.numpy()
            array += row.numpy()
        else:
            total.add_(row)
        self._sums[names] = total, count + 1

    def __bool__(self) -> bool:
        return bool(self._sums)

    def take(self) -> dict[str, float]:
        """The means since the last call, and what was replaced last."""
        means: dict[str, float] = {}
        for names, (total, count) in self._sums.items():
            means.update(zip(names, (total / count).tolist(), strict=True))
        self._sums.clear()
        return means

    def state_dict(self) -> State:
        """Sums and counts, but for those of the wall clock, in which two runs that are the same differ."""
        return {
            "sums": [
                [list(names), total, count]
                for names, (total, count) in self._sums.items()
                if not all(name.startswith("time/") for name in names)
            ]
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from saved sums."""
        self._sums = {tuple(names): (total, count) for names, total, count in state["sums"]}
