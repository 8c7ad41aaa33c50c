"""Steps one of torch's learning-rate schedulers."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook, places
from rlrecipe.interfaces import State
from rlrecipe.lazy import torch
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.names import NAMED, Words
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import HookTraits

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop
    from rlrecipe.recipe.schema import Recipe


#: They take a metric, other schedulers or functions, which a recipe cannot write.
_NOT_BY_NAME = {"LRScheduler", "_LRScheduler", "ReduceLROnPlateau", "SequentialLR", "ChainedScheduler", "LambdaLR"}


@functools.cache
def schedulers() -> frozenset[str]:
    """Names of torch's schedulers that options can make; read from its source, since importing torch takes a second."""
    found = importlib.util.find_spec("torch")
    assert found is not None, "torch is installed with rlrecipe"
    source = Path(str(found.origin)).parent / "optim" / "lr_scheduler.py"
    classes = [node for node in ast.parse(source.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    derived = {each.name for each in classes if any(ast.unparse(base) == "LRScheduler" for base in each.bases)}
    return frozenset(derived - _NOT_BY_NAME)


def _unknown(name: str) -> str:
    return f"no scheduler {name!r}; there are: {', '.join(sorted(schedulers()))}"


class LRSchedulerHookOptions(Options):
    """Multiply learning rates by what one of torch's schedulers makes of 1; optimizer.schedule is the simpler way."""

    scheduler: Annotated[str, NAMED] = option(..., "Its class in torch.optim.lr_scheduler, such as StepLR.")
    kwargs: Annotated[dict[str, Any], Words()] = option(
        {}, "What it takes besides the optimizer, such as {step_size: 10, gamma: 0.5}."
    )
    interval: Literal["batch", "optim"] = option(
        "batch", "Step it after each batch that was learned from, or each update."
    )


class LRSchedulerHook(Hook, options=LRSchedulerHookOptions):
    """Steps a scheduler while there are updates: waiting for ``init_random_frames`` does not age a learning rate.

    Args:
        scheduler: the name of a class, whose ``kwargs`` are given too and which moves the trainer's own rates; or a
            scheduler of torch's, which moves the rates of its own optimizer (``OptimizerHook``).
    """

    category = "operation"

    def __init__(self, scheduler: Any, *values: Any, **named: Any) -> None:
        own = not isinstance(scheduler, str)
        if own:
            # What stands after it is the interval, as with torchrl's hook.
            named |= dict(zip(("interval",), values, strict=False))
            super().__init__(type(scheduler).__name__, **named)
            self.scheduler = scheduler
        else:
            super().__init__(scheduler, *values, **named)
            self.scheduler = self._of_torch()
        self.own, self._updates = own, 0

    def _of_torch(self) -> Any:
        """The scheduler of the name, over a rate of 1."""
        name = self.options.scheduler
        if name not in schedulers():
            raise HookError(f"lr_scheduler_hook: {_unknown(name)}")
        nothing = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        try:
            return getattr(torch.optim.lr_scheduler, name)(nothing, **self.options.kwargs)
        except (TypeError, ValueError) as error:
            raise HookError(f"lr_scheduler_hook: {name} does not take kwargs {self.options.kwargs}: {error}") from None

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Step it after updates; the trainer's rates follow it unless it has an optimizer of its own."""
        self.trainer = trainer
        trainer.register_module(name or self.usual_name, self)
        trainer.register_op("post_optim" if self.options.interval == "optim" else "post_steps", self)
        if not self.own:
            given = trainer.lr_factor
            trainer.lr_factor = lambda clock: (given(clock) if given else 1.0) * self.factor

    @property
    def factor(self) -> float:
        """What the scheduler has made of 1."""
        return float(self.scheduler.get_last_lr()[0])

    def __call__(self) -> None:
        """Step it if there was an update since the last time."""
        clock = self.trainer.clock
        if clock.updates == self._updates:
            return
        self._updates = clock.updates
        self.scheduler.optimizer._opt_called = True
        self.scheduler.step()
        if not self.own and self.options.interval == "optim" and self.trainer.lr_factor is not None:
            self.trainer.update.scale_lr(self.trainer.lr_factor(clock))

    def state_dict(self) -> State:
        """The scheduler's own numbers, and the updates that it has seen."""
        kept = {key: value for key, value in self.scheduler.state_dict().items() if not key.startswith("_get_lr")}
        return {"scheduler": kept, "updates": self._updates}

    def load_state_dict(self, state: State) -> None:
        """Go on stepping."""
        self.scheduler.load_state_dict(state["scheduler"])
        self._updates = state["updates"]
        for group, lr in zip(self.scheduler.optimizer.param_groups, self.scheduler.get_last_lr(), strict=True):
            group["lr"] = lr


def check(recipe: Recipe) -> Iterable[Problem]:
    """The name has to be one of torch's."""
    for place, options in places(recipe, "lr_scheduler_hook"):
        if (name := options.scheduler) not in schedulers():
            nearest = difflib.get_close_matches(name, schedulers(), 1)
            yield Problem("E302", (*place, "scheduler"), _unknown(name), nearest[0] if nearest else None)


@register("hook", "lr_scheduler_hook", check=check, traits=HookTraits(fragile=True, keeps_options=True))
def make_lr_scheduler_hook(options: LRSchedulerHookOptions) -> LRSchedulerHook:
    """A scheduler of torch's."""
    return LRSchedulerHook.of(options)
