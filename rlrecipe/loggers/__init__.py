"""Where rows go, one a file; the classes are here by torchrl's names, and cost what they need once they are used."""

from __future__ import annotations

import importlib
from typing import Any

_PLACES = {
    "Logger": "rlrecipe.loggers.base",
    "CSVLogger": "rlrecipe.loggers.csv",
    "TensorboardLogger": "rlrecipe.loggers.tensorboard",
    "MLFlowLogger": "rlrecipe.loggers.mlflow",
    "WandbLogger": "rlrecipe.loggers.wandb",
    "get_logger": "rlrecipe.loggers.named",
    # Torchrl's own: a name, a uuid and the date need no other.
    "generate_exp_name": "torchrl.record.loggers",
}
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(_PLACES)
