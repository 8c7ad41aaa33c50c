"""Records what an environment of torchrl's goes through, to files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchrl.envs.transforms import Transform

from rlrecipe.lazy import torch
from rlrecipe.recorders.files import write_tensordict


class TensorDictRecorder(Transform):  # type: ignore[misc] # torchrl has no types
    """Keeps transitions until ``dump`` writes them to ``<out_file_base>_<suffix or number>_tensordict.t``.

    ``read_tensordict`` reads a file back, ``[T, ...]`` with ``next``.

    Args:
        out_file_base: beginning of the files' paths.
        skip_reset: leave out what resets give; it is the first half of the transition that follows, too.
            Otherwise a reset is a row whose action and ``next`` are zeros.
        skip: one of so many transitions is kept.
        in_keys: entries that are kept; None for all.
        max_len: transitions that are kept at most until ``dump``, the newest; None for all.
    """

    def __init__(
        self,
        out_file_base: str | Path,
        skip_reset: bool = True,
        skip: int = 4,
        in_keys: Sequence[Any] | None = None,
        max_len: int | None = None,
    ) -> None:
        if skip < 1 or (max_len is not None and max_len < 1):
            raise ValueError(f"TensorDictRecorder: skip and max_len are 1 or more, not {skip} and {max_len}")
        super().__init__(in_keys=[] if in_keys is None else list(in_keys))
        self.out_file_base, self.skip_reset, self.skip, self.max_len = Path(out_file_base), skip_reset, skip, max_len
        self.td: list[Any] = []
        self.iter = self.count = 0

    def _step(self, tensordict: Any, next_tensordict: Any) -> Any:
        self.count += 1
        if self.count % self.skip == 0:
            # Copied: environments write the next step over this one.
            record = tensordict.exclude("next").clone()
            record["next"] = next_tensordict.clone()
            self._keep(record)
        return next_tensordict

    def _reset(self, tensordict: Any, tensordict_reset: Any) -> Any:
        if not self.skip_reset:
            self._keep(tensordict_reset.clone())
        return tensordict_reset

    def _keep(self, record: Any) -> None:
        self.td.append(record.select(*self.in_keys, strict=False) if self.in_keys else record)
        if self.max_len is not None:
            del self.td[: -self.max_len]

    def dump(self, suffix: str | None = None, **_: Any) -> Path | None:
        """Write what was kept and forget it; the file's path, or None where there is nothing to write."""
        records, number, self.td, self.count = self.td, self.iter, [], 0
        self.iter += 1
        if not records:
            return None
        # The newest is a transition, unless nothing but resets was kept; a reset has fewer entries.
        blank = records[-1].apply(torch.zeros_like)
        rows = [blank.clone().update(record) for record in records]
        base = self.out_file_base
        path = base.with_name(f"{base.name}_{number if suffix is None else suffix}_tensordict.t")
        try:
            return write_tensordict(torch.stack(rows, 0), path)
        except OSError as error:
            warnings.warn(f"no recording at {path}: {error}; make room, or write elsewhere", stacklevel=2)
            return None
