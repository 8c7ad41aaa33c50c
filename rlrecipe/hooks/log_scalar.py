"""Logs the mean of one entry of each batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlrecipe.interfaces import Batch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.trainers.trainer import Trainer


class LogScalarOptions(Options):
    """Log the mean of an entry of each batch, such as the reward that training sees."""

    key: str | list[str] = option(["next", "reward"], "Entry of the batch.")
    log_pbar: bool = option(False, "Show it on the progress bar, too.")


class LogScalar:
    """The mean of a batch's entry, as a row of the logs."""

    category = "logging"
    reads_mapping = True
    observer = True

    def __init__(self, options: LogScalarOptions) -> None:
        self.key = options.key if isinstance(options.key, str) else tuple(options.key)
        self.label = f"batch/{options.key if isinstance(options.key, str) else '/'.join(options.key)}"
        self.log_pbar = options.log_pbar

    def register(self, trainer: Trainer, name: str) -> None:
        """Log before each batch's updates."""
        trainer.register_op("pre_steps_log", self)

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """The mean.

        Raises:
            KeyError: the batch has no such entry; the message lists those that it has.
        """
        if self.key not in batch:
            raise KeyError(f"log_scalar: the batch has no entry {self.key!r}; it has {sorted(batch, key=str)}")
        return {self.label: batch[self.key].float().mean(), "log_pbar": self.log_pbar}


@register("hook", "log_scalar")
def make_log_scalar(options: LogScalarOptions) -> LogScalar:
    """A logger of one entry."""
    return LogScalar(options)
