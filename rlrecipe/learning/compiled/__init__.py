"""Updates as packages of native code: traced once, compiled once, loaded in milliseconds ever after.

``engine.py`` takes the place of the eager engine; ``functions.py`` writes an update as functions of tensors and
``trace.py`` writes those down; ``fingerprint.py`` says which operations a function is made of; ``cache.py`` keeps
packages by that; ``package.py`` makes and loads them. Algorithms, networks and optimizers know nothing of it.
"""

from __future__ import annotations

from rlrecipe.context import RunContext
from rlrecipe.learning.update import Eager


def make_engine(choice: str, context: RunContext) -> Eager:
    """How updates are computed where the recipe says "on" or "off"."""
    if choice != "on":
        return Eager()
    from rlrecipe.learning.compiled.cache import folder
    from rlrecipe.learning.compiled.engine import Compiled

    return Compiled(folder(), context)
