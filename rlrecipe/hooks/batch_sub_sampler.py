"""Learns from random rows of the newest batch, or from random stretches of its trajectories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rlrecipe.hooks.base import Hook, places
from rlrecipe.interfaces import State
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe
    from rlrecipe.trainers.loop import Loop


class BatchSubSamplerOptions(Options):
    """Learn from random rows of the newest batch instead of each row once an epoch."""

    batch_size: int = option(..., "Rows of each sub-batch.", gt=0)
    sub_traj_len: int = option(0, "Steps in a row that are drawn together; 0 or less: as many as a batch has.")
    min_sub_traj_len: int = option(0, "No stretch is shorter, where trajectories are padded; 0 or less: no such bound.")


class BatchSubSampler(Hook, options=BatchSubSamplerOptions, point="process_optim_batch"):
    """Draws stretches of consecutive steps; which, follows from its own random numbers."""

    category = "data"
    #: It is given the whole batch ``[N, T]`` as a TensorDict, and not what the sampler has drawn of it.
    takes_batch = True

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.rng = np.random.default_rng()

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Draw by the run's seed from now on."""
        self.rng = trainer.streams.of_hook(name or self.usual_name)
        super().register(trainer, name)

    def __call__(self, batch: Any) -> Any:
        """Rows ``[batch_size]`` of a TensorDict ``[B]``; of ``[..., T]`` stretches ``[batch_size // length, length]``.

        Raises:
            ValueError: a sub-batch is shorter than one stretch, or a stretch longer than the trajectories.
        """
        if batch.ndimension() == 1:
            rows = self.rng.permutation(batch.shape[0])[: self.options.batch_size]
            return batch[torch.from_numpy(rows)]
        batch = batch.reshape(-1, batch.shape[-1])
        lengths = self._lengths(batch)
        length = self._length(batch.shape[1], lengths)
        count = self.options.batch_size // length
        if count == 0:
            raise ValueError(
                f"batch_sub_sampler: batch_size {self.options.batch_size} is less than one stretch of {length} steps; "
                "raise batch_size or set sub_traj_len"
            )
        fitting = np.flatnonzero(lengths >= length)
        trajectory = fitting[self.rng.integers(len(fitting), size=count)]
        start = self.rng.integers(lengths[trajectory] - length + 1)
        steps = start[:, None] + np.arange(length)
        return batch[torch.from_numpy(trajectory)[:, None], torch.from_numpy(steps)]

    def _lengths(self, batch: Any) -> np.ndarray:
        """Steps of each trajectory that are no padding."""
        if ("collector", "mask") in batch.keys(True):
            lengths: np.ndarray = batch["collector", "mask"].reshape(batch.shape).sum(-1).numpy()
            return lengths
        return np.full(batch.shape[0], batch.shape[1])

    def _length(self, steps: int, lengths: np.ndarray) -> int:
        """Steps of each stretch."""
        asked = self.options.sub_traj_len if self.options.sub_traj_len > 0 else int(lengths.min())
        if asked > steps:
            raise ValueError(
                f"batch_sub_sampler: sub_traj_len {asked} is longer than a batch's {steps} steps of an environment; "
                f"lower it, or raise collector.frames_per_batch"
            )
        return max(int(self.options.min_sub_traj_len), min(asked, int(lengths.max())))

    def state_dict(self) -> State:
        """Where its random numbers stand, unless the run's streams hold them."""
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        """Go on drawing."""
        self.rng.bit_generator.state = state["rng"]


def check(recipe: Recipe) -> Iterable[Problem]:
    """Only what learns from its newest batch has rows to draw there."""
    if recipe.replay_buffer is None:
        return
    for place, _ in places(recipe, "batch_sub_sampler"):
        message = f"{recipe.algorithm.component.name} learns from its replay buffer, not from the newest batch"
        yield Problem("E302", place, message, "remove it: replay_buffer.batch_size says how many rows an update takes")


@register("hook", "batch_sub_sampler", check=check)
def make_batch_sub_sampler(options: BatchSubSamplerOptions) -> BatchSubSampler:
    """A sampler of the newest batch."""
    return BatchSubSampler.of(options)
