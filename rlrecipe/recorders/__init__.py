"""Recorders: transforms of torchrl's environments that write videos and transitions, and files of batches.

Importing this package costs nothing; torchrl is imported with the first of its names.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Where each name is.
_PLACES = {
    "PixelRenderTransform": "pixel_render_transform",
    "TensorDictRecorder": "tensor_dict_recorder",
    "VideoRecorder": "video_recorder",
    "read_tensordict": "files",
    "write_tensordict": "files",
}
__all__ = ["PixelRenderTransform", "TensorDictRecorder", "VideoRecorder", "read_tensordict", "write_tensordict"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
