"""What hooks have in common: the abstract base, and arguments that are the hook's options."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from rlrecipe.interfaces import State
from rlrecipe.interfaces.abilities import InFolder
from rlrecipe.loop.points import Declares
from rlrecipe.recipe.options import Options

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop
    from rlrecipe.recipe.schema import Recipe


class TrainerHookBase(Declares, ABC):
    """Base of a hook that puts itself at its points and is saved and restored with the trainer.

    A class that leaves one of the three methods out cannot be built: a hook whose state is not saved is found
    when it is written, and not when a run is resumed.
    """

    @abstractmethod
    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Put the hook at its points; ``name`` is its place in checkpoints."""

    @abstractmethod
    def state_dict(self) -> State:
        """What a resumed run needs to go on exactly."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Go on from a saved state."""


class Hook(TrainerHookBase):
    """A hook at one point, built from its options: in the order in which they are declared, or by name.

    ``class LogScalar(Hook, options=LogScalarOptions, point="pre_steps_log")`` is called as
    ``LogScalar("action", log_pbar=True)``; a recipe gives the same options, checked by the same model.

    Raises:
        ValidationError: an argument that the options do not take (Pydantic's, a ValueError).
        TypeError: more arguments than options.
    """

    #: Where it is registered.
    point: ClassVar[str]
    __signature__: ClassVar[inspect.Signature]
    _model: ClassVar[type[Options]]
    options: Any

    def __init_subclass__(cls, options: type[Options] | None = None, point: str | None = None) -> None:
        super().__init_subclass__()
        if options is not None:
            cls._model = options
            if "__init__" not in vars(cls):
                cls.__signature__ = _by_position(inspect.signature(options))
        if point is not None:
            cls.point = point

    def __init__(self, *values: Any, **named: Any) -> None:
        names = list(self._model.model_fields)
        if len(values) > len(names):
            raise TypeError(
                f"{type(self).__name__} takes {', '.join(names) or 'no arguments'}; got {len(values)} values"
            )
        self.options = self._model(**dict(zip(names, values, strict=False)), **named)

    @classmethod
    def of(cls, options: Options) -> Self:
        """The hook of a recipe's options."""
        return cls(**{name: getattr(options, name) for name in type(options).model_fields})

    def fits(self, update: Any) -> None:
        """Find out, before there is a trainer, whether the hook can work with its update; components say ``fragile``.

        Raises:
            HookError: it cannot.
        """

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Put the hook at its point."""
        trainer.register_module(name or self.usual_name, self)
        trainer.register_op(self.point, cast("Callable[..., Any]", self))

    @property
    def usual_name(self) -> str:
        """The class's name in snake case, as a recipe writes it."""
        return snake_case(type(self).__name__)

    def state_dict(self) -> State:
        """Empty: it remembers nothing."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to put back."""


def _by_position(signature: inspect.Signature) -> inspect.Signature:
    """The same parameters, which positions may give, too, unless a required one follows one with a default."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = list(signature.parameters.values())
    # In a signature, nothing without a default follows what has one, but for parameters by name only.
    given = [one.default is not inspect.Parameter.empty for one in parameters]
    if given != sorted(given):
        return signature
    return inspect.Signature([parameter.replace(kind=kind) for parameter in parameters])


def snake_case(name: str) -> str:
    """``UTDRHook`` to ``utdr_hook``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def prefix(hook: Any, trainer: Loop, name: str) -> str:
    """What the names of a hook's files begin with: its own, where another of its kind writes into the same folder.

    The first that is registered has none; ask before registering.
    """
    kin = [other for other in trainer.modules.values() if type(other) is type(hook)]
    return f"{name}-" if any(isinstance(other, InFolder) and other.folder == hook.folder for other in kin) else ""


def entry(batch: Any, key: Any, hook: str) -> Any:
    """A batch's entry; ``key`` is a name, or the names of a nested one.

    Raises:
        KeyError: the batch has no such entry; the message lists those that it has.
    """
    key = key if isinstance(key, str) else tuple(key)
    # A TensorDict's keys have to be asked for those of the nested ones.
    keys = list(batch.keys(True, True)) if hasattr(batch, "batch_size") else list(batch)
    if key not in keys:
        raise KeyError(f"{hook}: the batch has no entry {key!r}; it has {sorted(keys, key=str)}")
    return batch[key]


def places(recipe: Recipe, name: str) -> Iterator[tuple[tuple[str, int], Any]]:
    """Where a recipe names a hook, and its options there: what a component's ``check`` looks at."""
    for i, options in enumerate(recipe.hooks):
        if options.component.name == name:
            yield ("hooks", i), options
