"""Heavy modules that load at their first use, so that a recipe can be checked without them.

Component files hold options and mathematics together; reading the options must not cost torch's
1.5 seconds. ``from rlrecipe.lazy import np, torch`` gives the modules themselves to a type checker
and stand-ins at run time.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["gymnasium", "np", "torch"]

if TYPE_CHECKING:
    import gymnasium
    import numpy as np
    import torch
else:

    class _Lazy(ModuleType):
        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self.__name__), attribute)
            # Kept, so that the next access costs no more than one to the module itself.
            self.__dict__[attribute] = value
            return value

    gymnasium = _Lazy("gymnasium")
    np = _Lazy("numpy")
    torch = _Lazy("torch")
