"""Keeps some entries of each batch and drops the others."""

from __future__ import annotations

from typing import Annotated, Any

from rlrecipe.hooks.base import Hook, entry
from rlrecipe.recipe.names import SHOWN
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register


class SelectKeysOptions(Options):
    """Keep these entries of each batch and drop the others; the algorithm must not miss any."""

    keys: Annotated[tuple[str | tuple[str, ...], ...], SHOWN] = option(
        ..., "Entries that stay, nested ones as [next, reward].", min_length=1
    )


class SelectKeys(Hook, options=SelectKeysOptions, point="batch_process"):
    """A batch without what nobody needs."""

    category = "data"
    reads_mapping = True

    def __call__(self, batch: Any) -> Any:
        """The batch with the selected entries.

        Raises:
            KeyError: the batch has no such entry; the message lists those that it has.
        """
        if hasattr(batch, "batch_size"):
            return batch.select(*self.options.keys)
        kept: dict[Any, Any] = {}
        for key in self.options.keys:
            # The name of nested entries stands for all of them, as in a TensorDict.
            path = (key,) if isinstance(key, str) else tuple(key)
            nested = {each: batch[each] for each in batch if isinstance(each, tuple) and each[: len(path)] == path}
            kept |= nested or {key: entry(batch, key, "select_keys")}
        return kept


@register("hook", "select_keys")
def make_select_keys(options: SelectKeysOptions) -> SelectKeys:
    """A selection of entries."""
    return SelectKeys.of(options)
