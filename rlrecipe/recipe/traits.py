"""What each kind of component is asked about itself, besides its options: one frozen dataclass a kind.

A component gives its own to ``register``; whoever asks takes them by type, ``AlgorithmTraits.of(recipe.algorithm)``.
Reading a recipe asks, too: what a trait holds loads neither torch nor numpy until it is called.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from rlrecipe.recipe.options import Traits

if TYPE_CHECKING:
    from pathlib import Path

    import gymnasium

    from rlrecipe.interfaces import Distribution, Encoder, Entry, Head, Spaces, Vectored
    from rlrecipe.recipe.errors import Problem
    from rlrecipe.recipe.schema import Recipe

#: The distribution of an action space as a recipe writes it, or what gives it from the algorithm's options.
Acts: TypeAlias = "str | Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]"
#: What steps several environments as one: ``EnvTraits`` says of what.
Steps: TypeAlias = (
    "Callable[[Any, Callable[[], gymnasium.Env[Any, Any]], range, Callable[[int], int], str | None], Vectored]"
)
#: Why a component has no use for a space of gymnasium's; None where it has.
Fits: TypeAlias = Callable[[Any], str | None]


@dataclass(frozen=True, kw_only=True)
class AlgorithmTraits(Traits):
    """Of an algorithm.

    Attributes:
        slots: its networks.
        heads: from its distribution, its options and the spaces to what each slot's network has to give.
        acts_in: the distribution for each kind of action space that it acts in (``Discrete``, ``Box``), where the
            recipe names none.
        acts: the slot that acts.
        own_slots: parameters of its own that have a learning rate, as networks do.
        defaults: the recipe that a recipe with this algorithm begins from.
        needs: what its distribution has to give, one of ``DistributionTraits.gives``.
        updates_per_frame: as many of one that learns from a replay buffer, where the recipe says none.
        updates_per_batch: from options and frames of a batch to the updates after it; None: one.
        ratio: whether it weighs rows by how the policy has changed since.
        sequences: whether it learns from steps in a row, as a memory has to.
        reads_bytes: whether only networks read the observations of its batches, which may then be kept as bytes.
        starts_with: options by kind of action space that a recipe to start from has to name.
        compiles: whether its update can be compiled.
        fragile: from the recipe and whether actions are discrete to what cannot go with it, asked when torch may be
            loaded; one that has it is built and tried once before a run starts.
    """

    slots: tuple[str, ...]
    heads: Callable[[Distribution, Any, Spaces], Mapping[str, Head]]
    acts_in: Mapping[str, Acts]
    acts: str = "policy"
    own_slots: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    needs: str | None = None
    updates_per_frame: float | None = None
    updates_per_batch: Callable[[Any, int], int] | None = None
    ratio: bool = False
    sequences: bool = False
    reads_bytes: bool = False
    starts_with: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    compiles: bool = True
    fragile: Callable[[Recipe, bool], Iterable[Problem]] | None = None


@dataclass(frozen=True, kw_only=True)
class EnvTraits(Traits):
    """Of a kind of environment; its builder makes one, for evaluation and to see the spaces of a row.

    Attributes:
        vector: how several of them are stepped as one, a row for each or for each agent in them: from the options,
            what builds one as the recipe wraps it, the rows of all ``num_envs`` that are wanted, the seed of a row's
            start, and the method that saves one; None: in turn.
        level: the level at which a run with its ``vector`` can be resumed, and why; None: as one can be saved.
    """

    vector: Steps | None = None
    level: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class DistributionTraits(Traits):
    """Of a distribution.

    Attributes:
        fits: why it has no use for an action space.
        gives: from its options to what algorithms can ask of it, by the words of ``AlgorithmTraits.needs``; None:
            nobody is refused.
    """

    fits: Fits
    gives: Callable[[Any], Set[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class ExplorationTraits(Traits):
    """Of an exploration.

    Attributes:
        fits: why it has no use for an action space.
    """

    fits: Fits


@dataclass(frozen=True, kw_only=True)
class NetworkTraits(Traits):
    """Of a network.

    Attributes:
        encodes: whether its builder makes an encoder, of its options and the entries of the observation; or another
            builder, for when it is one.
        remembers: whether its builder makes a memory, of its options and the number of features.
        width: from its options to the units of its widest layer; None: ``num_cells`` says it.
    """

    encodes: bool | Callable[[Any, Mapping[str, Entry]], Encoder] = False
    remembers: bool = False
    width: Callable[[Any], float] | None = None


@dataclass(frozen=True, kw_only=True)
class TransformTraits(Traits):
    """Of a transform.

    Attributes:
        wraps: whether its builder wraps one environment; the others stand between all of them and the policy.
        fits: why it has no use for what the environments observe, of one that does not wrap; None: it has.
        keeps_pictures: whether it leaves pictures among the entries of an observation as they are.
        measures: whether its builder takes one thing more: what gives rows of so many random steps, or None.
    """

    wraps: bool = False
    fits: Fits | None = None
    keeps_pictures: bool = False
    measures: bool = False


@dataclass(frozen=True, kw_only=True)
class CollectorTraits(Traits):
    """Of a collector.

    Attributes:
        processes: whether its worker processes build the environments; others are given them.
        shared_out: from options, environments and cores to options with a number of workers.
        width: from options and environments to those in each batch; None: all.
        level: the level at which a run with it can be resumed, and why; None: that of the environment.
    """

    processes: bool = False
    shared_out: Callable[[Any, int, int], Any] | None = None
    width: Callable[[Any, int], int] | None = None
    level: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class ReplayBufferTraits(Traits):
    """Of a replay buffer.

    Attributes:
        weighted: whether its sub-batches have a ``priority_weight``.
        index_bytes: from its size in rows to the bytes that it takes besides them, from the start; None: none.
    """

    weighted: bool = False
    index_bytes: Callable[[int], int] | None = None


@dataclass(frozen=True, kw_only=True)
class StorageTraits(Traits):
    """Of a storage.

    Attributes:
        folder: from its options to the folder of the disk that its rows lie on; None: they lie in memory.
    """

    folder: Callable[[Any], Path] | None = None


@dataclass(frozen=True, kw_only=True)
class HookTraits(Traits):
    """Of a hook.

    Attributes:
        fragile: whether it is built before a run starts, and ``fits(update)`` asked.
        keeps_options: whether its state holds the options that it was made with, so that others cannot take it.
    """

    fragile: bool = False
    keeps_options: bool = False


@dataclass(frozen=True, kw_only=True)
class LoggerTraits(Traits):
    """Of a logger.

    Attributes:
        apart_by: the option by which two of them write to two places; None: all of their options.
        patience: seconds that it is waited for.
    """

    apart_by: str | None = None
    patience: float = 10.0


#: The traits of each kind; those of the kinds that are not here are ``Traits``.
OF_KIND: Mapping[str, type[Traits]] = {
    "env": EnvTraits,
    "algorithm": AlgorithmTraits,
    "distribution": DistributionTraits,
    "exploration": ExplorationTraits,
    "network": NetworkTraits,
    "transform": TransformTraits,
    "collector": CollectorTraits,
    "replay_buffer": ReplayBufferTraits,
    "storage": StorageTraits,
    "hook": HookTraits,
    "logger": LoggerTraits,
}


def traits_from(kind: str, name: str, given: Traits | None, old: Mapping[str, Any]) -> Traits:
    """The traits of a component: those given, or those that were given one by one.

    Raises:
        TypeError: one is unknown or missing, or they are of another kind.
    """
    expected = OF_KIND.get(kind, Traits)
    if given is None:
        if "heads" in old:
            old = {**old, "heads": _told_spaces(name, old["heads"])}
        try:
            return expected(**old)
        except TypeError as error:
            raise TypeError(f"the {kind} {name!r}: {error}; give it traits={expected.__name__}(...)") from None
    if old:
        raise TypeError(f"the {kind} {name!r}: write {', '.join(old)} inside traits={expected.__name__}(...)")
    if not isinstance(given, expected):
        message = f"its traits are {type(given).__name__}; give it traits={expected.__name__}(...)"
        raise TypeError(f"the {kind} {name!r}: {message}")
    return given


#: Parameters that are given by their place.
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _told_spaces(name: str, heads: Callable[..., Any]) -> Callable[..., Any]:
    """An algorithm's heads, which once were not told the spaces."""
    parameters = inspect.signature(heads).parameters.values()
    required = [each for each in parameters if each.kind in POSITIONAL and each.default is each.empty]
    if len(required) > 2 or any(each.kind == each.VAR_POSITIONAL for each in parameters):
        return heads
    now = "heads are told the spaces, too: heads(distribution, options, spaces)"
    warnings.warn(f"the algorithm {name!r}: {now}", DeprecationWarning, stacklevel=4)
    return lambda distribution, options, spaces: heads(distribution, options)
