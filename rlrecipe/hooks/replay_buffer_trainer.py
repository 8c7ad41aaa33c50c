"""Learns from rows of the newest batches, kept in a replay buffer of torchrl's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook, places
from rlrecipe.interfaces import State
from rlrecipe.lazy import torch
from rlrecipe.recipe.asked import frames_per_batch
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.torchrl.objects import DrawsBySampler, KeepsPriorities

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop
    from rlrecipe.recipe.schema import Recipe


class ReplayBufferTrainerOptions(Options):
    """Learn from rows of the newest few batches, drawn at random, instead of the newest batch alone."""

    batch_size: int = option(..., "Rows of each sub-batch.", gt=0)
    max_size: int = option(..., "Rows that are kept; the oldest make room for new ones.", gt=0)
    replacement: bool = option(False, "Draw a row again before every other one was drawn.")
    memmap: bool = option(False, "Keep the rows in memory-mapped files instead of memory.")


class ReplayBufferTrainer(Hook, options=ReplayBufferTrainerOptions):
    """Fills a buffer with each batch, and lets updates draw from it.

    Args:
        replay_buffer: one of torchrl's. Without a generator of its own it draws by the run's seed from now on.
        batch_size: rows of a draw; None for what the buffer says.
        memmap: copy batches into memory-mapped files before the buffer takes them.
        device: of what is drawn; None to leave it where the buffer keeps it.
        flatten_tensordicts: one row for each frame; otherwise one for each environment's stretch of a batch.
        max_dims: sizes to which the batch's dimensions are padded, -1 for none; where it is not flattened.
    """

    category = "data"
    #: ``sample`` is given the whole batch, of which it needs nothing.
    takes_batch = True

    def __init__(
        self,
        replay_buffer: Any,
        batch_size: int | None = None,
        memmap: bool = False,
        device: Any = None,
        flatten_tensordicts: bool = False,
        max_dims: Sequence[int] | None = None,
    ) -> None:
        self.replay_buffer, self.batch_size, self.memmap, self.device = replay_buffer, batch_size, memmap, device
        self.flatten_tensordicts, self.max_dims = flatten_tensordicts, max_dims
        self._update: Callable[[Any], None] | None = None
        if not isinstance(replay_buffer, DrawsBySampler) or "Prioritized" not in type(replay_buffer.sampler).__name__:
            return
        if not isinstance(replay_buffer, KeepsPriorities):
            raise HookError("replay_buffer_trainer: priorities need torchrl's TensorDictReplayBuffer, which knows "
                            "the rows of a sub-batch")  # fmt: skip
        self._update = replay_buffer.update_tensordict_priority

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Extend with every batch, sample for every update, and update priorities where there are some.

        An algorithm that adds advantages to a batch has done so before the buffer takes it.

        Raises:
            HookError: the trainer learns from a buffer of its own.
        """
        if "replay_buffer" in trainer.modules:
            raise HookError("replay_buffer_trainer: this trainer has a replay buffer already; remove the hook")
        name = name or self.usual_name
        # torchrl has no public way to ask whether a generator was given.
        if getattr(self.replay_buffer, "_rng", None) is None:
            seed = int(trainer.streams.of_hook(name).integers(2**31))
            self.replay_buffer.set_rng(torch.Generator().manual_seed(seed))
        trainer.register_module(name, self)
        prepares = hasattr(trainer.algorithm, "prepare")
        trainer.register_op("pre_epoch" if prepares else "batch_process", self.extend)
        trainer.register_op("process_optim_batch", self.sample)
        if self._update is not None:
            # An update with a hook there is made in parts: no reason to slow down those without priorities.
            trainer.register_op("post_loss", _Priorities(self))

    def extend(self, batch: Any) -> Any:
        """Put a copy of a batch ``[N, T]`` into the buffer; the batch stays as it is."""
        rows = batch.detach().cpu().clone()
        if self.flatten_tensordicts:
            rows = _flat(rows)
        elif self.max_dims is not None:
            from tensordict import pad

            pairs = zip(rows.batch_size, self.max_dims, strict=True)
            rows = pad(rows, [n for size, most in pairs for n in (0, 0 if most == -1 else most - size)])
        self.replay_buffer.extend(rows.memmap_() if self.memmap else rows)
        return batch

    def sample(self, batch: Any) -> Any:
        """Rows of the buffer, whatever the batch."""
        rows = self.replay_buffer.sample(batch_size=self.batch_size)
        return rows if self.device is None else rows.to(self.device)

    def update_priority(self, sub_batch: Any) -> None:
        """Let the rows of a sub-batch be drawn by their error."""
        if self._update is not None:
            self._update(sub_batch)

    def state_dict(self) -> State:
        """Rows, write cursor, priorities and random numbers of the buffer."""
        buffer, count = self.replay_buffer, len(self.replay_buffer)
        rows = buffer[:count] if count else None
        saved = {key: _plain(value) for key, value in buffer.state_dict().items() if key != "_storage"}
        # Not the storage's own state: its sizes are in an attribute of the mapping, which no checkpoint holds.
        return {
            **saved,
            "rows": None if rows is None else rows.cpu().to_dict(),
            "shape": None if rows is None else list(rows.batch_size),
        }

    def load_state_dict(self, state: State) -> None:
        """Take everything back."""
        if state["rows"] is not None:
            from tensordict import TensorDict

            rows = TensorDict(state["rows"], batch_size=state["shape"])
            self.replay_buffer._storage.set(range(len(rows)), rows)
        live = self.replay_buffer.state_dict()
        saved = {key: value for key, value in state.items() if key not in ("rows", "shape")}
        self.replay_buffer.load_state_dict({"_storage": live["_storage"], **_restored(saved, live)})


class _Priorities:
    """``update_priority`` as an operation: a hook's methods are of one category."""

    category = "operation"

    def __init__(self, hook: ReplayBufferTrainer) -> None:
        self.hook = hook

    def __call__(self, sub_batch: Any) -> None:
        self.hook.update_priority(sub_batch)


def _flat(rows: Any) -> Any:
    """One row for each frame; what is padded is left out, and trajectories do not run into each other."""
    if ("collector", "mask") in rows.keys(True):
        return rows[rows["collector", "mask"]]
    if ("next", "truncated") in rows.keys(True):
        rows["next", "truncated"][:, -1] = True
    return rows.reshape(-1)


#: torchrl's trees of priorities, in C++: their leaves are all that there is to save.
_TREE = "segment_tree"


def _plain(value: Any) -> Any:
    """A buffer's state as values that a checkpoint holds."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if "SegmentTree" in type(value).__name__:
        return {_TREE: torch.as_tensor(value[torch.arange(len(value))])}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _restored(state: Any, live: Any) -> Any:
    """The state that ``_plain`` made plain; trees are those of the buffer as it is, with other leaves."""
    if not isinstance(state, Mapping):
        return state
    if state.keys() == {_TREE}:
        live[torch.arange(len(live))] = state[_TREE]
        return live
    known = live if isinstance(live, Mapping) else {}
    return {key: _restored(item, known.get(key)) for key, item in state.items()}


def check(recipe: Recipe) -> Iterable[Problem]:
    """Where rows of earlier batches help, and sizes that fit."""
    name, frames = recipe.algorithm.component.name, frames_per_batch(recipe.collector)
    for place, options in places(recipe, "replay_buffer_trainer"):
        if recipe.replay_buffer is not None:
            yield Problem("E302", place, f"{name} learns from its replay_buffer already",
                          "remove it: replay_buffer says what is kept and drawn")  # fmt: skip
        elif frames is not None and options.max_size > frames and not AlgorithmTraits.of(recipe.algorithm).ratio:
            message = (
                f"{name} does not weigh rows by how the policy has changed since: {options.max_size} rows are more "
                f"than the {frames} of the newest batch, and the others would mislead it"
            )
            yield Problem("E302", (*place, "max_size"), message, f"set max_size to {frames}, or use ppo")
        elif options.batch_size > (most := min(options.max_size, frames or options.max_size)):
            message = f"sub-batches of {options.batch_size} rows are more than the {most} of the first batch"
            yield Problem("E302", (*place, "batch_size"), message, f"lower it to {most} or less")


@register("hook", "replay_buffer_trainer", check=check)
def make_replay_buffer_trainer(options: ReplayBufferTrainerOptions) -> ReplayBufferTrainer:
    """A buffer of the newest rows."""
    from torchrl.data import LazyMemmapStorage, LazyTensorStorage, TensorDictReplayBuffer
    from torchrl.data.replay_buffers.samplers import RandomSampler, SamplerWithoutReplacement

    # It tells of its storage's shape, in the middle of a run's progress.
    logging.getLogger("torchrl").setLevel(logging.WARNING)
    storage = (LazyMemmapStorage if options.memmap else LazyTensorStorage)(options.max_size)
    # Sub-batches of one size: a compiled update takes no other.
    sampler = RandomSampler() if options.replacement else SamplerWithoutReplacement(drop_last=True)
    buffer = TensorDictReplayBuffer(storage=storage, sampler=sampler, batch_size=options.batch_size)
    return ReplayBufferTrainer(buffer, options.batch_size, flatten_tensordicts=True)
