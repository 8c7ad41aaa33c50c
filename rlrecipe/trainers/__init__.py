"""The training loop, its hook points and its sub-batches."""

from rlrecipe.errors import Diverged
from rlrecipe.trainers.points import POINTS, HookError
from rlrecipe.trainers.trainer import Trainer

__all__ = ["POINTS", "Diverged", "HookError", "Trainer"]
