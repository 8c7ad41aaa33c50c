"""Logs one number of each batch's entry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from rlrecipe.hooks.base import Hook, entry
from rlrecipe.recipe.names import FILE_NAME, SHOWN
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register


class LogScalarOptions(Options):
    """Log an entry of each batch as one number, such as the reward that training sees."""

    key: Annotated[str | tuple[str, ...], SHOWN] = option(("next", "reward"), "Entry of the batch.")
    logname: Annotated[str | None, FILE_NAME] = option(None, "Name in the logs; null: batch/ and the entry's name.")
    log_pbar: bool = option(False, "Show it on the progress bar, too.")
    include_std: bool = option(False, "Log the standard deviation of the entry, too, as <logname>_std.")
    reduction: Literal["mean", "sum", "std", "min", "max"] = option("mean", "How an entry becomes one number.")


class LogScalar(Hook, options=LogScalarOptions, point="pre_steps_log"):
    """A number of a batch's entry, as a row of the logs."""

    category = "logging"
    reads_mapping = True
    observer = True

    @property
    def label(self) -> str:
        """Name in the logs."""
        key = self.options.key
        return self.options.logname or f"batch/{key if isinstance(key, str) else '/'.join(key)}"

    @property
    def usual_name(self) -> str:
        """Several may stand side by side."""
        return f"log_{self.label}"

    def __call__(self, batch: Any) -> dict[str, Any]:
        """The number, and the deviation if it is asked for.

        Raises:
            KeyError: the batch has no such entry; the message lists those that it has.
        """
        options, label = self.options, self.label
        values = entry(batch, options.key, "log_scalar").float()
        numbers: dict[str, Any] = {label: getattr(values, options.reduction)(), "log_pbar": options.log_pbar}
        # The deviation of a single value is not defined.
        if options.include_std and values.numel() > 1:
            numbers[f"{label}_std"] = values.std()
        return numbers


@register("hook", "log_scalar")
def make_log_scalar(options: LogScalarOptions) -> LogScalar:
    """A logger of one entry."""
    return LogScalar.of(options)
