"""A trainer over parts of torchrl's or your own: the loop of ``rlrecipe.loop.loop`` on TensorDicts."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from rlrecipe.clock import Clock
from rlrecipe.interfaces import State, Stateful
from rlrecipe.loop.guard import diverged
from rlrecipe.loop.points import HookError
from rlrecipe.loop.tensordicts import from_tensordict, to_tensordict
from rlrecipe.recipe.values import Duration
from rlrecipe.streams import Streams
from rlrecipe.torchrl.objects import BeginsAtRandom, RenewsWeights
from rlrecipe.trainers.seen import Episodes, ProcessRandom
from rlrecipe.trainers.stand_alone import StandAlone

#: What only the trainer of a recipe has.
_OF_RECIPES = frozenset({"update", "lr_factor", "sampler", "updates", "coefficients"})


class Trainer(StandAlone):
    """Trains a loss over batches that are TensorDicts, with the names and defaults of ``torchrl.trainers.Trainer``.

    Args:
        collector: any iterable of TensorDicts ``[..., T]``, or of mappings ``[T, N, ...]``; torchrl's collectors are
            seeded, saved and shut down as well.
        total_frames: frames of the environment to train for, skipped ones included; whole batches are taken.
        loss_module: from a sub-batch to a mapping whose entries ``loss*`` are added up; a torchrl LossModule.
        optimizer: of torch's, over the loss's parameters; None where hooks at the point optimizer take the steps.
        frame_skip: frames of the environment for each that is collected.
        optim_steps_per_batch: updates after each batch; None: until a hook at process_optim_batch raises StopIteration.
        logger: takes rows: of torchrl (``log_scalar``), of rlrecipe (``write``), or a list of several.
        clip_grad_norm: with ``clip_norm``, bound the joint norm of gradients; False: each of their numbers.
        clip_norm: the bound; None for no bound.
        progress_bar: show progress on standard error.
        seed: of the collector's environments and of Python's, numpy's and torch's random numbers from here on. What
            was drawn before, such as the networks' first weights, is the caller's: ``torch.manual_seed`` comes first.
        save_trainer_interval: frames between two checkpoints, or another duration (``{"updates": 100}``).
        save_trainer_file: where ``save_trainer`` writes.
        log_interval: frames between two rows, or another duration.
    """

    def __init__(
        self,
        *,
        collector: Iterable[Any],
        total_frames: int,
        loss_module: Callable[[Any], Any],
        optimizer: torch.optim.Optimizer | None = None,
        frame_skip: int = 1,
        optim_steps_per_batch: int | None = 1,
        logger: Any = None,
        clip_grad_norm: bool = True,
        clip_norm: float | None = None,
        progress_bar: bool = False,
        seed: int | None = None,
        save_trainer_interval: Any = 10_000,
        save_trainer_file: str | Path | None = None,
        log_interval: Any = 10_000,
    ) -> None:
        self.collector, self.loss_module, self.optimizer = collector, loss_module, optimizer
        self.frame_skip, self.optim_steps_per_batch = frame_skip, optim_steps_per_batch
        self.clip_grad_norm, self.clip_norm, self.seed = clip_grad_norm, clip_norm, seed
        if seed is not None:
            self._seed(seed)
        self._ended = Episodes()
        clock, streams, drawn = Clock(Duration.read(total_frames)), Streams(seed or 0), ProcessRandom()
        parts: dict[str, Any] = {"clock": clock, "streams": streams, "loss_module": _Loss(loss_module)}
        # Hooks of torchrl's are called optimizer, too.
        parts |= {"built_in_optimizer": optimizer, "collector": collector, "episodes": self._ended, "random": drawn}
        super().__init__(clock, streams, {name: part for name, part in parts.items() if isinstance(part, Stateful)})
        self._stand_alone(
            logger=logger,
            progress_bar=progress_bar,
            log_interval=log_interval,
            save_trainer_interval=save_trainer_interval,
            save_trainer_file=save_trainer_file,
        )

    def __getattr__(self, name: str) -> Any:
        if name in _OF_RECIPES:
            raise HookError(
                f"a trainer over parts of your own has no {name}, which this hook works on in a recipe's; give the "
                "hook an object (a torch optimizer or scheduler, a SoftUpdate) in place of options, or leave it out"
            )
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def algorithm(self) -> Any:
        """What has the losses."""
        return self.loss_module

    def _seed(self, seed: int) -> None:
        ProcessRandom.seed(seed)
        if hasattr(self.collector, "set_seed"):
            # It returns the seed that follows those of its environments.
            ProcessRandom.seed(int(self.collector.set_seed(seed)))
        if hasattr(self.collector, "reset"):
            # The episodes at hand were begun before.
            self.collector.reset()

    def train(self) -> None:
        """Run the loop to its end, save where a file is given, and shut the collector down, also after an error.

        Raises:
            HookError: nothing would take the steps, or nothing would end a batch's updates.
            Diverged: a loss or a gradient is not finite.
        """
        if self.optimizer is None and not self.points.ops["optimizer"] and self.optim_steps_per_batch != 0:
            raise HookError(
                "nothing takes the steps: give the trainer an optimizer, register a hook at the point optimizer, or "
                "say optim_steps_per_batch=0 to collect only"
            )
        if self.optim_steps_per_batch is None and not self.points.ops["process_optim_batch"]:
            raise HookError(
                "nothing ends a batch's updates: with optim_steps_per_batch=None a hook at process_optim_batch has to "
                "raise StopIteration when it has no more; or give a number"
            )
        super().train()

    def _batches(self) -> Iterator[Any]:
        """Batches of the collector, counted; a collector that ends before the run does is said."""
        if self.complete:
            return
        for batch in self.collector:
            if batch is None:
                raise HookError("the collector yields None: it must not have the replay buffer; give it to a hook")
            data = batch if hasattr(batch, "batch_size") else to_tensordict(batch, True)
            mask = data.get(("collector", "mask"), None)
            self.clock.frames += int(data.numel() if mask is None else mask.sum()) * self.frame_skip
            self.episodes = self._ended.take(data, self.clock.frames)
            self.clock.episodes += len(self.episodes)
            yield data
            if self.complete or self.interrupted is not None:
                return
        warnings.warn(
            f"the collector ended after {self.clock.frames} of {self.clock.total.amount} frames; give it the "
            "trainer's total_frames",
            stacklevel=3,
        )

    def _begin(self, batch: Any) -> Iterable[int]:
        if isinstance(self.collector, BeginsAtRandom) and self.clock.frames < (self.collector.init_random_frames or 0):
            return range(0)
        return itertools.count() if self.optim_steps_per_batch is None else range(self.optim_steps_per_batch)

    def _sub_batch(self, batch: Any) -> Any:
        """What the hooks at process_optim_batch make of the batch, one after the other; without any, the batch."""
        sub_batch = batch
        for hook in self.points.ops["process_optim_batch"]:
            given = batch if hook.declares.takes_batch else sub_batch
            try:
                sub_batch = self._changed("process_optim_batch", hook, given, rows=given is not batch)
            except StopIteration:
                return None
        return sub_batch

    # -- an update

    def _update(self, sub_batch: Any, j: int) -> bool:
        losses = self.loss_module(sub_batch)
        for hook in self.points.ops["post_loss"]:
            hook.op(self._given(sub_batch, hook.declares.reads_mapping, True), **hook.arguments)
        if hooks := self.points.ops["optimizer"]:
            self._total(losses)
            for hook in hooks:
                if hook.backward is not None:
                    hook.backward(losses)
            for hook in hooks:
                hook.op(losses, self.clip_norm, j, **hook.arguments)
        else:
            self._step(self._total(losses))
        numbers = {name: value for name, value in losses.items() if isinstance(value, torch.Tensor)}
        self.losses.add({name.removeprefix("loss_"): value for name, value in numbers.items() if value.numel() == 1})
        return True

    def _total(self, losses: Any) -> torch.Tensor:
        """The sum of the losses.

        Raises:
            HookError: there are none.
            Diverged: one is not finite.
        """
        own = {name: loss for name, loss in losses.items() if name.startswith("loss")}
        if not own:
            raise HookError(f"the loss returned no entry named loss or loss_*; it has: {', '.join(losses.keys())}")
        total = torch.stack([loss.mean() for loss in own.values()]).sum()
        if not torch.isfinite(total):
            raise diverged(", ".join(name for name, loss in own.items() if not torch.isfinite(loss).all()))
        return total

    def _step(self, total: torch.Tensor) -> None:
        assert self.optimizer is not None, "train looks for one"
        self.optimizer.zero_grad()
        torch.autograd.backward(total)
        leaves = [leaf for group in self.optimizer.param_groups for leaf in group["params"]]
        if self.clip_norm is not None and not self.clip_grad_norm:
            torch.nn.utils.clip_grad_value_(leaves, self.clip_norm)
        norm = torch.nn.utils.clip_grad_norm_(leaves, self._norm_bound)
        if not torch.isfinite(norm):
            raise diverged("the gradient")
        self.optimizer.step()

    @property
    def _norm_bound(self) -> float:
        return self.clip_norm if self.clip_norm is not None and self.clip_grad_norm else float("inf")

    # -- what hooks see

    def _given(self, batch: Any, plain: bool, rows: bool) -> Any:
        """A TensorDict as it is; or the mapping ``[T, N, ...]`` of a batch, ``[B, ...]`` of a sub-batch."""
        if not plain:
            return batch
        return from_tensordict(batch.reshape(-1), False) if rows else from_tensordict(_two(batch), True)

    def _taken(self, batch: Any, changed: Any, plain: bool, rows: bool) -> Any:
        if not plain:
            return changed
        data = to_tensordict(changed, not rows)
        return data.reshape(batch.batch_size) if data.numel() == batch.numel() else data

    def load_state_dict(self, state: State) -> None:
        """Put every registered module back, and the collector's copy of the weights.

        Raises:
            KeyError: a module has no saved state, or a saved state no module.
        """
        super().load_state_dict(state)
        if not self.is_shut_down and isinstance(self.collector, RenewsWeights):
            self.collector.update_policy_weights_()


def _two(batch: Any) -> Any:
    """A batch ``[..., T]`` as ``[N, T]``."""
    return batch if len(batch.batch_size) == 2 else batch.reshape(-1, batch.batch_size[-1])


class _Loss:
    """State of a loss; torchrl's makes its value estimator, which has state, when it is first called."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def state_dict(self) -> State:
        """The loss's parameters, targets included; empty for a plain function."""
        state: State = self.loss.state_dict() if isinstance(self.loss, Stateful) else {}
        return state

    def load_state_dict(self, state: State) -> None:
        """Put them back into the same memory; a fresh loss gets its default value estimator first."""
        if not state:
            return
        missing = any(name.startswith("_value_estimator.") for name in state.keys() - self.loss.state_dict().keys())
        if missing and self.loss.value_estimator is None:
            raise HookError("the saved loss has a value estimator; call make_value_estimator before loading")
        self.loss.load_state_dict(state)
