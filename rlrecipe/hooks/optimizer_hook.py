"""Another optimizer for some of an algorithm's losses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import PydanticCustomError

from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook, places
from rlrecipe.interfaces import State
from rlrecipe.lazy import torch
from rlrecipe.recipe.asked import groups_of, schedule_of
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.names import NAMED
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import HookTraits

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop
    from rlrecipe.recipe.schema import Recipe


class OptimizerHookOptions(Options):
    """Take some losses' steps by another optimizer than the recipe's; several hooks divide the losses among them."""

    optimizer: Annotated[Options, Slot("optimizer")] = option(
        ..., "What takes the steps; the recipe's optimizer.schedule multiplies its rates, too."
    )
    loss_components: Annotated[tuple[str, ...] | None, NAMED] = option(
        None, "Losses by name, such as loss_policy; null: all of them.", min_length=1
    )


class OptimizerHook(Hook, options=OptimizerHookOptions, point="optimizer"):
    """Steps by an optimizer of its own.

    Args:
        optimizer: the name, mapping or options of a recipe's optimizer, which takes the place of the built-in one
            (updates stay compiled); or one of torch's over the trainer's own leaves
            (``trainer.update.parts[0].leaves``), which is called with the losses' gradients.
        loss_components: names of the losses that it is for; None for all of them.

    Raises:
        HookError: it is neither, has a schedule of its own, or there are no losses.
        ValidationError: options that the recipe's optimizer does not take (Pydantic's, a ValueError).
    """

    category = "optimizer"

    def __init__(self, optimizer: Any, loss_components: Sequence[str] | None = None) -> None:
        if loss_components is not None and not loss_components:
            raise HookError("optimizer_hook: loss_components is empty; leave it out to take all losses")
        self.optimizer: Any = optimizer if hasattr(optimizer, "param_groups") else _read(optimizer)
        self.components = None if loss_components is None else tuple(loss_components)
        self._gradients: list[torch.Tensor | None] | None = None

    def fits(self, update: Any) -> None:
        """The losses that it is for are among the algorithm's, and its groups among what they move.

        Raises:
            HookError: no loss has one of the names, or a group moves none of them.
        """
        self._find(update.loss_names)
        self._parts(update)

    def _find(self, names: Sequence[str]) -> None:
        unknown = [each for each in self.components or () if each not in names]
        if unknown:
            raise HookError(f"optimizer_hook: no loss is named {', '.join(unknown)}; there are: {', '.join(names)}")

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Take the place of the built-in optimizer, or of its step.

        Raises:
            HookError: no loss has one of the names, another hook takes its steps, or a group moves none of them.
        """
        if (names := trainer.loss_names()) is not None:
            self._find(names)
        for other in trainer.modules.values():
            if isinstance(other, OptimizerHook) and other is not self:
                self._refuse_both(other)
        trainer.register_module(name or self.usual_name, self)
        if isinstance(self.optimizer, Options):
            self._replace(trainer, self.optimizer)
        else:
            trainer.register_op(self.point, self)

    def _refuse_both(self, other: OptimizerHook) -> None:
        """Two hooks that would both take a loss's steps; optimizers of torch's may divide a loss's parameters."""
        mine, theirs = (isinstance(each.optimizer, Options) for each in (self, other))
        both = _common(self.components, other.components)
        if both is None or mine != theirs:
            return
        if not mine:
            leaves = {id(leaf) for leaf in other._leaves()}
            if not any(id(leaf) in leaves for leaf in self._leaves()):
                return
        raise HookError(f"optimizer_hook: another one takes the steps of {both} already; {_DIVIDE}")

    def _replace(self, trainer: Loop, options: Any) -> None:
        """Put a recipe's optimizer, with its groups' rates, in the place of the built-in one of the chosen losses."""
        rates = {slot: group.lr for slot, group in options.groups.items()}
        trainer.update.optimize_with(self._parts(trainer.update), options.component.build(options), rates)

        def alone() -> None:
            if trainer.points.ops["optimizer"]:
                raise HookError(
                    f"optimizer_hook: {options.component.name} is of a recipe and would never step, because a hook at "
                    "the point optimizer takes every step; give this hook one of torch's, too, or remove the other"
                )

        # Whichever of the two was registered first.
        trainer.register_op("setup", alone)

    def _parts(self, update: Any) -> list[Any]:
        """The parts of the chosen losses, which move every slot that a recipe's optimizer has a group for."""
        parts = [part for part in update.parts if self.components is None or part.name in self.components]
        slots = {each.slot for part in parts for each in part.layout.parts}
        unmoved = [slot for slot in groups_of(self.optimizer) if slot not in slots]
        if unmoved:
            raise HookError(
                f"optimizer_hook: optimizer.groups names {', '.join(unmoved)}, which {_named(self.components)} "
                f"does not move; it moves: {', '.join(sorted(slots))}"
            )
        return parts

    def backward(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Take the gradients before anybody steps: the losses' graphs hold the parameters as they are now."""
        # A TensorDict is iterated by rows, not by names.
        found = [name for name in losses.keys() if name.startswith("loss")]  # noqa: SIM118 - a TensorDict iterates over rows
        chosen = [losses[name] for name in (found if self.components is None else self.components)]
        total = torch.stack([loss.reshape(()) for loss in chosen]).sum()
        leaves = self._leaves()
        self._gradients = list(torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True))

    def __call__(self, losses: Mapping[str, torch.Tensor], clip_norm: float | None, index: int) -> None:
        """Clip the gradients and step."""
        if self._gradients is None:
            self.backward(losses)
        leaves = self._leaves()
        for leaf, gradient in zip(leaves, self._gradients or (), strict=True):
            leaf.grad = gradient
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(leaves, clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._gradients = None

    def _leaves(self) -> list[torch.Tensor]:
        return [leaf for group in self.optimizer.param_groups for leaf in group["params"]]

    def state_dict(self) -> State:
        """The state of an optimizer of torch's; a recipe's is the update's."""
        if isinstance(self.optimizer, Options):
            return {}
        state = self.optimizer.state_dict()
        # Numbers are keys there, which a checkpoint does not hold.
        return {"groups": state["param_groups"], "state": {str(key): value for key, value in state["state"].items()}}

    def load_state_dict(self, state: State) -> None:
        """Put an optimizer of torch's back."""
        if state:
            moments = {int(key): value for key, value in state["state"].items()}
            self.optimizer.load_state_dict({"param_groups": state["groups"], "state": moments})


_DIVIDE = "divide the losses among them by loss_components, or remove one"


def _read(optimizer: Any) -> Options:
    """A recipe's optimizer from its name, mapping or options.

    Raises:
        HookError: there is no such optimizer, or it has a schedule.
        ValidationError: its options are wrong (Pydantic's, a ValueError).
    """
    if not isinstance(optimizer, str | Mapping | Options):
        raise HookError(
            "optimizer_hook: expected the name, a mapping or the options of a recipe's optimizer, or an optimizer of "
            f'torch\'s; got {optimizer!r}: write OptimizerHook({{"name": "adam", "lr": 1e-3}}), for example'
        )
    try:
        options: Any = Slot("optimizer").read(optimizer)
    except PydanticCustomError as error:
        names = (error.context or {}).get("names", ())
        listed = f"; there are: {', '.join(names)}" if names else ""
        raise HookError(f"optimizer_hook: {error.message()}{listed}") from None
    if options.schedule is not None:
        raise HookError(f"optimizer_hook: {_SCHEDULE[0]}; {_SCHEDULE[1]}")
    taken: Options = options
    return taken


_SCHEDULE = (
    "a hook's optimizer has no schedule of its own: the recipe's multiplies every learning rate, this one's, too",
    "move it to the recipe's optimizer.schedule, or use lr_scheduler_hook",
)


def _common(one: Sequence[str] | None, other: Sequence[str] | None) -> str | None:
    """The losses that two hooks share, in words; None if they share none."""
    if one is None or other is None:
        return _named(one if other is None else other)
    return ", ".join(name for name in one if name in other) or None


def _named(components: Sequence[str] | None) -> str:
    return "every loss" if components is None else ", ".join(components)


def check(recipe: Recipe) -> Iterable[Problem]:
    """Each loss has one optimizer, whose rates follow the recipe's schedule."""
    found = list(places(recipe, "optimizer_hook"))
    for i, (place, options) in enumerate(found):
        if schedule_of(options.optimizer) is not None:
            yield Problem("E302", (*place, "optimizer", "schedule"), *_SCHEDULE)
        for earlier, other in found[:i]:
            if (both := _common(options.loss_components, other.loss_components)) is not None:
                message = f"{'.'.join(map(str, earlier))} takes the steps of {both} already"
                yield Problem("E302", place, message, _DIVIDE)
                break


@register("hook", "optimizer_hook", check=check, traits=HookTraits(fragile=True))
def make_optimizer_hook(options: OptimizerHookOptions) -> OptimizerHook:
    """Another optimizer for some losses."""
    return OptimizerHook(options.optimizer, options.loss_components)
