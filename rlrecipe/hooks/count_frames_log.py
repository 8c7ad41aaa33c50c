"""Logs how many frames of the environment were collected, skipped ones included."""

from __future__ import annotations

from typing import Any

from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import State
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register


class CountFramesLogOptions(Options):
    """Log as n_frames how many frames of the environment there were, those that frame_skip left out included."""

    frame_skip: int = option(1, "Frames of the environment for each decision: env.frame_skip.", gt=0)
    log_pbar: bool = option(False, "Show it on the progress bar, too.")


class CountFramesLog(Hook, options=CountFramesLogOptions, point="pre_steps_log"):
    """A counter of its own for each trainer."""

    category = "logging"
    reads_mapping = True
    observer = True
    logs_newest = ("n_frames",)

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.frame_count = 0

    def __call__(self, batch: Any) -> dict[str, Any]:
        """Count a batch ``[T, N, ...]`` or a TensorDict of any shape."""
        frames = batch.numel() if hasattr(batch, "batch_size") else batch["next", "reward"].numel()
        self.frame_count += frames * self.options.frame_skip
        return {"n_frames": float(self.frame_count), "log_pbar": self.options.log_pbar}

    def state_dict(self) -> State:
        """The count."""
        return {"frame_count": self.frame_count}

    def load_state_dict(self, state: State) -> None:
        """Go on counting."""
        self.frame_count = state["frame_count"]


@register("hook", "count_frames_log")
def make_count_frames_log(options: CountFramesLogOptions) -> CountFramesLog:
    """A counter of frames."""
    return CountFramesLog.of(options)
