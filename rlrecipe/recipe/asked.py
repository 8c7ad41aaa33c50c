"""What the options of one component are asked by others, as protocols, and what holds where they have no such option.

An option of these names is read from any plug-in's options, whether they derive from their kind's base or not; a
missing one is answered by its default here. What a kind's base declares besides (a transform's ``phase``, an
environment's ``reset_options``) is not asked here: derive from the base.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeGuard, TypeVar

from rlrecipe.recipe.options import Options


class HasWidth(Protocol):
    """Options of an environment of which several can step side by side."""

    num_envs: int


class HasEnvName(Protocol):
    """Options of a kind of environment that has a registry of ids."""

    env_name: str | None


class HasEnvClass(Protocol):
    """Options of a kind of environment that can be given as a class."""

    env: str | None


class HasArguments(Protocol):
    """Options of an environment that hand on arguments of its own."""

    kwargs: Mapping[str, Any]


class HasFrames(Protocol):
    """Options of a collector whose batches have a fixed number of frames."""

    frames_per_batch: int | None


class HasRandomFrames(Protocol):
    """Options of a collector that can begin with random actions."""

    init_random_frames: int | None


class HasInterval(Protocol):
    """Options of a collector that can keep acting with weights that are some batches old."""

    update_weights_interval: int


class HasMinibatches(Protocol):
    """Options of an algorithm that cuts a batch into minibatches."""

    minibatch_size: int


class HasDiscount(Protocol):
    """Options of an algorithm that discounts."""

    gamma: float


class HasDistribution(Protocol):
    """Options of a network that can say how its outputs become actions."""

    distribution: Options | None


class HasInputs(Protocol):
    """Options of a network that can read chosen entries of the observation."""

    inputs: Sequence[str] | None


class HasCells(Protocol):
    """Options of a network with hidden layers, by the width of each, or of one."""

    num_cells: Sequence[int] | int


class HasStorage(Protocol):
    """Options of a replay buffer whose rows lie in a storage."""

    storage: Options


class HasSize(Protocol):
    """Options of a storage that holds a bounded number of rows."""

    max_size: int | None


class HasGroups(Protocol):
    """Options of an optimizer that can treat slots differently."""

    groups: Mapping[str, Any]


class HasSchedule(Protocol):
    """Options of an optimizer whose learning rates can follow a schedule."""

    schedule: Options | None


T = TypeVar("T")


def has(options: Options | None, protocol: Callable[..., T]) -> TypeGuard[T]:
    """Whether options have what a protocol names; a look at the fields, as ``isinstance`` makes fifty calls of it."""
    return options is not None and protocol.__annotations__.keys() <= type(options).model_fields.keys()


def num_envs(env: Options) -> int:
    """Environments side by side: one, where the options say none."""
    return env.num_envs if has(env, HasWidth) else 1


def env_name(env: Options) -> str | None:
    """The id of a registered environment; None for a kind that has none."""
    return env.env_name if has(env, HasEnvName) else None


def kwargs_of(env: Options) -> Mapping[str, Any]:
    """Arguments of the environment's own."""
    return env.kwargs if has(env, HasArguments) else {}


def frames_per_batch(collector: Options) -> int | None:
    """Frames of a batch; None where the collector has no fixed number."""
    return collector.frames_per_batch if has(collector, HasFrames) else None


def init_random_frames(collector: Options) -> int:
    """Frames before the first update, whose actions are random."""
    return (collector.init_random_frames or 0) if has(collector, HasRandomFrames) else 0


def update_weights_interval(collector: Options) -> int:
    """Batches after which a collector takes new weights."""
    return collector.update_weights_interval if has(collector, HasInterval) else 1


def minibatch_size(algorithm: Options) -> int:
    """Rows of an update; 1 where the algorithm takes any number."""
    return algorithm.minibatch_size if has(algorithm, HasMinibatches) else 1


def discount(algorithm: Options) -> float:
    """The discount; 1 where the algorithm has none."""
    return algorithm.gamma if has(algorithm, HasDiscount) else 1.0


def distribution_of(network: Options | None) -> Options | None:
    """The distribution that a network section gives, if it gives one."""
    return network.distribution if has(network, HasDistribution) else None


def inputs_of(network: Options | None) -> Sequence[str] | None:
    """The entries of the observation that a network section names, if it names any."""
    return network.inputs if has(network, HasInputs) else None


def storage_of(replay_buffer: Options | None) -> Options | None:
    """Where a replay buffer keeps its rows; None where there is no buffer, or it keeps them itself."""
    return replay_buffer.storage if has(replay_buffer, HasStorage) else None


def buffer_size(replay_buffer: Options | None) -> int | None:
    """Rows of a replay buffer; None where there is no buffer, or its storage is unbounded."""
    storage = storage_of(replay_buffer)
    return storage.max_size if has(storage, HasSize) else None


def groups_of(optimizer: Options) -> Mapping[str, Any]:
    """Slots that an optimizer treats differently, with how."""
    return optimizer.groups if has(optimizer, HasGroups) else {}


def schedule_of(optimizer: Options) -> Options | None:
    """The schedule of an optimizer's learning rates, if they follow one."""
    return optimizer.schedule if has(optimizer, HasSchedule) else None
