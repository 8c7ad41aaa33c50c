"""Centres and scales the rewards that training sees, by statistics of those of before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from rlrecipe.hooks.base import Hook, entry
from rlrecipe.interfaces import State
from rlrecipe.recipe.names import SHOWN
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class RewardNormalizerOptions(Options):
    """Centre and scale the rewards that training sees by a decaying mean and deviation; reports stay raw."""

    decay: float = option(
        0.999, "What a batch's share of the statistics is multiplied by with each later one.", ge=0, le=1
    )
    scale: float = option(1.0, "What normalised rewards are multiplied by.")
    eps: float = option(1.2e-7, "Least variance.", gt=0)
    reward_key: Annotated[str | tuple[str, ...], SHOWN] = option(("next", "reward"), "Entry of the batch.")


class RewardNormalizer(Hook, options=RewardNormalizerOptions):
    """Statistics of each collected batch; what updates learn from is normalised by them.

    On-policy the batch itself is: advantages are made of it before there are sub-batches. Off-policy, where the
    buffer keeps rewards as they came, each sub-batch is.
    """

    category = "data"
    reads_mapping = True

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.sum = self.squares = self.count = 0.0
        #: Between which all rewards so far lie.
        self.lowest, self.highest = math.inf, -math.inf

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Take statistics at batch_process, and normalise there or at process_optim_batch."""
        trainer.register_module(name or self.usual_name, self)
        trainer.register_op("batch_process", self.update_reward_stats)
        prepares = hasattr(trainer.algorithm, "prepare")
        trainer.register_op("batch_process" if prepares else "process_optim_batch", self.normalize_reward)

    def update_reward_stats(self, batch: Any) -> Any:
        """Take a batch's rewards in; the batch stays as it is."""
        reward = entry(batch, self.options.reward_key, "reward_normalizer").double()
        decay = self.options.decay
        self.sum = decay * self.sum + float(reward.sum())
        self.squares = decay * self.squares + float((reward * reward).sum())
        self.count = decay * self.count + reward.numel()
        self.lowest = min(self.lowest, float(reward.min()))
        self.highest = max(self.highest, float(reward.max()))
        return batch

    @property
    def mean(self) -> float:
        """Of the rewards so far."""
        return self.sum / self.count

    @property
    def std(self) -> float:
        """Deviation of the rewards so far; 1 while they are all the same."""
        if self.lowest == self.highest:
            return 1.0
        variance = (self.squares - self.sum**2 / self.count) / (self.count - 1) if self.count > 1 else 0.0
        return float(max(variance, self.options.eps) ** 0.5)

    def normalize_reward(self, batch: Any) -> Any:
        """The batch with normalised rewards."""
        key = self.options.reward_key
        changed = batch.copy()
        changed[key] = (entry(batch, key, "reward_normalizer") - self.mean) / self.std * self.options.scale
        return changed

    def state_dict(self) -> State:
        """The sums and the bounds."""
        sums = {"sum": self.sum, "squares": self.squares, "count": self.count}
        return {**sums, "lowest": self.lowest, "highest": self.highest}

    def load_state_dict(self, state: State) -> None:
        """Go on adding up; a state of before there were bounds is one of different rewards."""
        self.sum, self.squares, self.count = state["sum"], state["squares"], state["count"]
        self.lowest, self.highest = state.get("lowest", -math.inf), state.get("highest", math.inf)


@register("hook", "reward_normalizer")
def make_reward_normalizer(options: RewardNormalizerOptions) -> RewardNormalizer:
    """A normalisation of rewards."""
    return RewardNormalizer.of(options)
