"""Updates as packages of native code: traced once, compiled once, loaded in milliseconds ever after.

``native.py`` finds or makes the packages of an update; ``functions.py`` writes the one update as a function of flat
tensors and ``trace.py`` writes that down; ``fingerprint.py`` says which operations a function is made of; ``cache.py``
keeps packages by that; ``package.py`` makes and loads them. Algorithms, networks and optimizers know nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlrecipe.context import RunContext

if TYPE_CHECKING:
    from rlrecipe.learning.compiled.native import Native


def make_native(choice: str, context: RunContext) -> Native | None:
    """What makes updates native where the recipe says "on"; None where they stay as they are."""
    if choice != "on":
        return None
    from rlrecipe.learning.compiled.cache import folder
    from rlrecipe.learning.compiled.native import Native

    return Native(folder(), context)
