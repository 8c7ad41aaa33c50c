"""Learns from random rows of the newest batch, or from random stretches of its trajectories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook, places
from rlrecipe.interfaces import State
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.asked import frames_per_batch, num_envs
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop
    from rlrecipe.recipe.schema import Recipe


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
            HookError: a sub-batch is shorter than one stretch, or a stretch longer than the trajectories.
        """
        if batch.ndimension() == 1:
            rows = self.rng.permutation(batch.shape[0])[: self.options.batch_size]
            return batch[torch.from_numpy(rows)]
        batch = batch.reshape(-1, batch.shape[-1])
        lengths = self._lengths(batch)
        length = self._length(batch.shape[1], lengths)
        count = self.options.batch_size // length
        if count == 0:
            raise HookError(
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
            raise HookError(
                f"batch_sub_sampler: sub_traj_len {asked} is longer than a batch's {steps} steps of an environment; "
                f"lower it, or raise collector.frames_per_batch"
            )
        longest, least = int(lengths.max()), int(self.options.min_sub_traj_len)
        if least > longest:
            raise HookError(
                f"batch_sub_sampler: min_sub_traj_len {least} is longer than every trajectory of the batch, of which "
                f"the longest has {longest} steps; lower it, or raise collector.frames_per_batch"
            )
        return max(least, min(asked, longest))

    def state_dict(self) -> State:
        """Where its random numbers stand, unless the run's streams hold them."""
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        """Go on drawing."""
        self.rng.bit_generator.state = state["rng"]


def check(recipe: Recipe) -> Iterable[Problem]:
    """Only what learns from its newest batch has rows to draw there, and no more in a row than it has steps."""
    for place, options in places(recipe, "batch_sub_sampler"):
        if recipe.replay_buffer is not None:
            message = f"{recipe.algorithm.component.name} learns from its replay buffer, not from the newest batch"
            cure = "remove it: replay_buffer.batch_size says how many rows an update takes"
            yield Problem("E302", place, message, cure)
        elif "memory" in recipe.networks:
            message = "it draws rows of its own, and a memory (networks.memory) learns from sequences of them"
            yield Problem("E302", place, message, "leave out one of the two")
        else:
            steps, rest = divmod(frames_per_batch(recipe.collector) or 0, num_envs(recipe.env))
            # A batch that the environments do not fill evenly is the collector's to tell.
            yield from _check_lengths(place, options, steps) if steps and not rest else ()


def _check_lengths(place: tuple[str, int], options: Any, steps: int) -> Iterable[Problem]:
    """Stretches fit into a batch's steps of an environment, which have no padding, and into a sub-batch."""
    lengths = {"sub_traj_len": options.sub_traj_len, "min_sub_traj_len": options.min_sub_traj_len}
    long = [name for name, length in lengths.items() if length > steps]
    for name in long:
        message = f"{lengths[name]} is longer than a batch's {steps} steps of an environment"
        yield Problem(
            "E302", (*place, name), message, f"lower it to at most {steps}, or raise collector.frames_per_batch"
        )
    length = max(options.min_sub_traj_len, options.sub_traj_len if options.sub_traj_len > 0 else steps)
    if not long and options.batch_size < length:
        message = f"{options.batch_size} rows are fewer than one stretch of {length} steps"
        cure = f"raise it to a multiple of {length}, or set sub_traj_len to at most {options.batch_size}"
        yield Problem("E302", (*place, "batch_size"), message, cure)


@register("hook", "batch_sub_sampler", check=check)
def make_batch_sub_sampler(options: BatchSubSamplerOptions) -> BatchSubSampler:
    """A sampler of the newest batch."""
    return BatchSubSampler.of(options)
