"""Writes batches to files, now and then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rlrecipe.clock import Alarm
from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook, prefix
from rlrecipe.interfaces import State
from rlrecipe.recipe.names import SHOWN
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.values import Duration

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class TensorDictRecorderOptions(Options):
    """Write the newest batch to batches/<frames>.pt in the run directory, for rlrecipe.recorders.read_tensordict."""

    every: Duration = option(Duration(100_000), "How often; a number means frames.")
    max_len: int | None = option(None, "Newest steps of each environment that are written; null: all.", gt=0)
    keys: Annotated[tuple[str | tuple[str, ...], ...] | None, SHOWN] = option(
        None, "Entries that are written; null: all.", min_length=1
    )


class TensorDictRecorder(Hook, options=TensorDictRecorderOptions, point="post_steps_log"):
    """Batches ``[N, T]`` as files of tensors, which are read without unpickling code.

    ``rlrecipe.recorders`` has a transform of this name, which records an environment of torchrl's.

    Args:
        folder: where the files go; None for ``batches`` in the run directory.
    """

    category = "logging"
    observer = True

    def __init__(self, *values: Any, folder: str | Path | None = None, **named: Any) -> None:
        super().__init__(*values, **named)
        self.folder = None if folder is None else Path(folder)

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Write after a batch's updates."""
        name = name or self.usual_name
        #: Whether no batch of this session was looked at: what it lacks is told now, not when one is due to be written.
        self.unseen = True
        self.prefix = prefix(self, trainer, name)
        self.trainer, self.alarm = trainer, Alarm(self.options.every, trainer.clock)
        super().register(trainer, name)

    def __call__(self, batch: Any) -> None:
        """Write the batch if it is time; a file that cannot be written is said, and training goes on.

        Raises:
            HookError: there is no folder for batches, or the first batch has none of an entry that is written.
        """
        if self.unseen:
            self._find_keys(batch)
        if not self.alarm.fires():
            return
        folder = self.folder or (self.trainer.folder and self.trainer.folder / "batches")
        if folder is None:
            raise HookError("tensor_dict_recorder: this trainer has no run directory; say TensorDictRecorder(folder=)")
        if self.options.keys is not None:
            batch = batch.select(*self.options.keys)
        if self.options.max_len is not None:
            batch = batch[:, -self.options.max_len :]
        path = folder / f"{self.prefix}{self.trainer.clock.moment:012d}.pt"
        from rlrecipe.recorders import write_tensordict

        try:
            write_tensordict(batch, path)
        except OSError as error:
            self.trainer.say(f"tensor_dict_recorder: {path} could not be written: {error}; training goes on")

    def _find_keys(self, batch: Any) -> None:
        present, self.unseen = set(batch.keys(True)), False
        keys = [key if isinstance(key, str) else key[0] if len(key) == 1 else key for key in self.options.keys or ()]
        if unknown := [key for key in keys if key not in present]:
            there = ", ".join(sorted(map(str, batch.keys(True, True))))
            raise HookError(f"tensor_dict_recorder: keys: the batch has no entry {unknown[0]!r}; it has {there}")

    def state_dict(self) -> State:
        """When it writes next."""
        return self.alarm.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Go on counting."""
        self.alarm.load_state_dict(state)


@register("hook", "tensor_dict_recorder")
def make_tensor_dict_recorder(options: TensorDictRecorderOptions) -> TensorDictRecorder:
    """A recorder of batches."""
    return TensorDictRecorder.of(options)
