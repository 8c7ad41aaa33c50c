"""The registry: kinds of components, their names, and the builder function behind each name.

A file in a kind's folder registers a component by decorating its builder; the annotation of the
builder's first parameter names its options. Nothing else has to be edited: a name is looked for in
the file of that name first, then in the other files of the folder, then among installed packages
that offer components through the entry-point group ``rlrecipe.components``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack, get_type_hints, overload

from rlrecipe.recipe.options import Component, LoggerOptions, Options, Traits
from rlrecipe.recipe.traits import (
    AlgorithmTraits,
    CollectorTraits,
    DistributionTraits,
    EnvTraits,
    ExplorationTraits,
    HookTraits,
    LoggerTraits,
    NetworkTraits,
    ReplayBufferTraits,
    StorageTraits,
    TransformTraits,
    traits_from,
)

if TYPE_CHECKING:
    from rlrecipe import interfaces

#: Each kind of component and the package whose files hold it.
KINDS: Mapping[str, str] = {
    "env": "rlrecipe.envs",
    "transform": "rlrecipe.transforms",
    "network": "rlrecipe.networks",
    "distribution": "rlrecipe.distributions",
    "algorithm": "rlrecipe.algorithms",
    "target": "rlrecipe.algorithms.targets",
    "optimizer": "rlrecipe.optim",
    "schedule": "rlrecipe.schedules",
    "collector": "rlrecipe.collectors",
    "replay_buffer": "rlrecipe.replay",
    "storage": "rlrecipe.replay.storages",
    "exploration": "rlrecipe.exploration",
    "hook": "rlrecipe.hooks",
    "logger": "rlrecipe.loggers",
}
#: What the options of every component of a kind have.
COMMON: Mapping[str, type[Options]] = {"logger": LoggerOptions}
ENTRY_POINTS = "rlrecipe.components"

Builder = TypeVar("Builder", bound=Callable[..., Any])
#: Builders by what they give.
ForAlgorithm = TypeVar("ForAlgorithm", bound="Callable[..., interfaces.Algorithm]")
ForDistribution = TypeVar("ForDistribution", bound="Callable[..., interfaces.Distribution]")
ForExploration = TypeVar("ForExploration", bound="Callable[..., interfaces.Exploration]")
ForNetwork = TypeVar("ForNetwork", bound="Callable[..., interfaces.Network | interfaces.Encoder | interfaces.Memory]")
ForCollector = TypeVar("ForCollector", bound="Callable[..., interfaces.Collector]")
ForBuffer = TypeVar("ForBuffer", bound="Callable[..., interfaces.ReplayBuffer]")
ForLogger = TypeVar("ForLogger", bound="Callable[..., interfaces.Logger]")
ForOptimizer = TypeVar("ForOptimizer", bound="Callable[..., interfaces.Optimizer]")
ForTarget = TypeVar("ForTarget", bound="Callable[..., interfaces.Target]")


class UnknownComponent(LookupError):  # noqa: N818 - a lookup's answer, shown as a recipe problem
    """No component of this kind has this name; ``names`` are those that exist, ``reason`` why it is left out."""

    def __init__(self, kind: str, name: str, names: list[str], reason: str | None = None) -> None:
        there = f"there are: {', '.join(names) or 'none'}"
        super().__init__("; ".join(filter(None, (f"no {kind} is named {name!r}", reason, there))))
        self.kind, self.name, self.names, self.reason = kind, name, names, reason


_components: dict[tuple[str, str], Component] = {}
_left_out: dict[tuple[str, str], str] = {}
_needed: dict[tuple[str, str], tuple[str, str]] = {}
_searched: set[str] = set()


class Given(TypedDict, total=False):
    """What a component of any kind may be registered with, besides its traits; ``register`` says what it means."""

    requires: Mapping[str, str] | None
    check: Callable[..., Iterable[Any]] | None
    options: Callable[[], type[Options]] | None
    meaning: str | None


@overload
def register(
    kind: Literal["algorithm"], name: str, *, traits: AlgorithmTraits, **given: Unpack[Given]
) -> Callable[[ForAlgorithm], ForAlgorithm]: ...
@overload
def register(
    kind: Literal["distribution"], name: str, *, traits: DistributionTraits, **given: Unpack[Given]
) -> Callable[[ForDistribution], ForDistribution]: ...
@overload
def register(
    kind: Literal["exploration"], name: str, *, traits: ExplorationTraits, **given: Unpack[Given]
) -> Callable[[ForExploration], ForExploration]: ...
@overload
def register(
    kind: Literal["network"], name: str, *, traits: NetworkTraits = ..., **given: Unpack[Given]
) -> Callable[[ForNetwork], ForNetwork]: ...
@overload
def register(
    kind: Literal["transform"], name: str, *, traits: TransformTraits = ..., **given: Unpack[Given]
) -> Callable[[Builder], Builder]: ...
@overload
def register(
    kind: Literal["collector"], name: str, *, traits: CollectorTraits = ..., **given: Unpack[Given]
) -> Callable[[ForCollector], ForCollector]: ...
@overload
def register(
    kind: Literal["replay_buffer"], name: str, *, traits: ReplayBufferTraits = ..., **given: Unpack[Given]
) -> Callable[[ForBuffer], ForBuffer]: ...
@overload
def register(
    kind: Literal["storage"], name: str, *, traits: StorageTraits = ..., **given: Unpack[Given]
) -> Callable[[Builder], Builder]: ...
@overload
def register(
    kind: Literal["hook"], name: str, *, traits: HookTraits = ..., **given: Unpack[Given]
) -> Callable[[Builder], Builder]: ...
@overload
def register(
    kind: Literal["logger"], name: str, *, traits: LoggerTraits = ..., **given: Unpack[Given]
) -> Callable[[ForLogger], ForLogger]: ...
@overload
def register(
    kind: Literal["optimizer"], name: str, *, traits: Traits = ..., **given: Unpack[Given]
) -> Callable[[ForOptimizer], ForOptimizer]: ...
@overload
def register(
    kind: Literal["target"], name: str, *, traits: Traits = ..., **given: Unpack[Given]
) -> Callable[[ForTarget], ForTarget]: ...
@overload
def register(
    kind: Literal["env"], name: str, *, traits: EnvTraits = ..., **given: Unpack[Given]
) -> Callable[[Builder], Builder]: ...
@overload
def register(
    kind: Literal["schedule"], name: str, *, traits: Traits = ..., **given: Unpack[Given]
) -> Callable[[Builder], Builder]: ...


def register(
    kind: str,
    name: str,
    *,
    traits: Traits | None = None,
    requires: Mapping[str, str] | None = None,
    check: Callable[..., Iterable[Any]] | None = None,
    options: Callable[[], type[Options]] | None = None,
    meaning: str | None = None,
    **old: Any,
) -> Callable[[Any], Any]:
    """Decorator that offers a builder function under a name.

    Args:
        kind: one of ``KINDS``.
        name: what recipes write.
        traits: what its kind asks for besides: ``AlgorithmTraits(...)`` for an algorithm, and so on.
        requires: modules that must be importable, with the extra that brings each.
        check: yields problems with the rest of the recipe; reads no torch.
        options: makes the options model when somebody asks, where there are many and the builder names none.
        meaning: what it does, which otherwise its options say.
        old: traits one by one, as they were given before; deprecated.

    Raises:
        ValueError: the kind is unknown, or another file has taken the name.
        TypeError: a trait is unknown or missing, or the builder's first parameter is not annotated with an Options
            model.
    """
    if kind not in KINDS:
        raise ValueError(f"no kind of component is named {kind!r}; there are: {', '.join(KINDS)}")
    own = traits_from(kind, name, traits, old)
    if old:
        form = f"register({kind!r}, {name!r}, traits={type(own).__name__}({', '.join(f'{each}=...' for each in old)}))"
        message = f"traits are given as one object of rlrecipe.recipe.traits: {form}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)

    def decorate(build: Builder) -> Builder:
        code = inspect.unwrap(build).__code__
        model = options or _complete(kind, _options_of(build))
        place = code.co_filename, code.co_firstlineno
        component = Component(kind, name, model, build, *place, requires or {}, check, own, meaning)
        other = _components.get((kind, name))
        if other is not None and not _same_file(other, component):
            raise ValueError(
                f"two files register the {kind} {name!r}: {other.file}:{other.line} and "
                f"{component.file}:{component.line}; rename one of them"
            )
        _components[kind, name] = component
        return build

    return decorate


def leave_out(kind: str, name: str, reason: str, needs: tuple[str, str] | None = None) -> None:
    """Say why a name that users know from elsewhere is no component; other spellings of it get the same answer.

    Args:
        kind: of component.
        name: that users know.
        reason: why, and what to write.
        needs: a module that what is to be written imports, and the package that has it.
    """
    _left_out[kind, _plain(name)] = reason
    if needs is not None:
        _needed[kind, _plain(name)] = needs


def reason_of(kind: str, name: str) -> str | None:
    """Why a name that users know from elsewhere is no component, where somebody said so."""
    search(kind)
    return _left_out.get((kind, _plain(name)))


def package_of(kind: str, name: str) -> str | None:
    """The package that is missing for what is to be written in place of a name that was left out."""
    module, package = _needed.get((kind, _plain(name)), (None, None))
    return package if module is not None and not _exists(module) else None


def left_out(kind: str) -> frozenset[str]:
    """Names that ``leave_out`` was told of, in lower case and without underscores and hyphens."""
    search(kind)
    return frozenset(name for each, name in _left_out if each == kind)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _same_file(one: Component, other: Component) -> bool:
    """Whether two come from one file, or from two with the same bytes: a run keeps copies of its user's files."""
    if Path(one.file).resolve() == Path(other.file).resolve():
        return True
    digests = [component.build.__globals__.get("__digest__") for component in (one, other)]
    return digests[0] is not None and digests[0] == digests[1]


def _complete(kind: str, model: type[Options]) -> type[Options]:
    """A model with the options that every component of its kind has."""
    common = COMMON.get(kind)
    if common is None or issubclass(model, common):
        return model
    return type(model.__name__, (model, common), {"__doc__": model.__doc__, "__module__": model.__module__})


def _options_of(build: Callable[..., Any]) -> type[Options]:
    first = next(iter(inspect.signature(build).parameters), None)
    annotation: Any = build.__annotations__.get(first or "")
    if isinstance(annotation, str):
        # Only the first annotation is resolved: the others may name modules that are loaded lazily.
        holder = type("_Holder", (), {"__annotations__": {"first": annotation}})
        annotation = get_type_hints(holder, globalns=build.__globals__ if isinstance(build, FunctionType) else {})[
            "first"
        ]
    if not (isinstance(annotation, type) and issubclass(annotation, Options)):
        raise TypeError(f"{build.__qualname__}: annotate the first parameter with the Options model of this component")
    return annotation


def find(kind: str, name: str) -> Component:
    """The component of this kind and name.

    Raises:
        UnknownComponent: there is none.
    """
    if (kind, name) not in _components and kind in KINDS:
        module = f"{KINDS[kind]}.{name}"
        if name.isidentifier() and _exists(module):
            importlib.import_module(module)
    if (kind, name) not in _components:
        search(kind)
    if (kind, name) not in _components:
        names = [component.name for component in search(kind)]
        raise UnknownComponent(kind, name, names, _left_out.get((kind, _plain(name))))
    return _components[kind, name]


def search(kind: str) -> list[Component]:
    """Every component of a kind, sorted by name."""
    if kind not in _searched:
        _searched.add(kind)
        if _exists(KINDS[kind]):
            package = importlib.import_module(KINDS[kind])
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{KINDS[kind]}.{module.name}")
        _installed()
    return sorted((c for c in _components.values() if c.kind == kind), key=lambda c: c.name)


@cache
def _installed() -> None:
    """Load what other packages offer, of every kind: looking through all that is installed takes a while."""
    for entry_point in metadata.entry_points(group=ENTRY_POINTS):
        _load(entry_point)


def _load(entry_point: metadata.EntryPoint) -> None:
    try:
        entry_point.load()
    except Exception as error:
        package = entry_point.dist.name if entry_point.dist is not None else entry_point.value
        raise ImportError(
            f"the installed package {package} offers components and fails to load: {error}; repair or remove it"
        ) from error


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
