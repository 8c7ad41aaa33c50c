"""What acts and what learns: networks, distribution, losses and their parameters, and the update that moves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch

from rlrecipe.acting.policy import Policy
from rlrecipe.assembly.acting import space_problem
from rlrecipe.assembly.environments import Spaces
from rlrecipe.assembly.networks import make_networks, move_shared, shared_slots
from rlrecipe.assembly.sections import Section, plain, read
from rlrecipe.clock import Clock
from rlrecipe.context import RunContext
from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Algorithm, Distribution, Network, Target
from rlrecipe.learning.compiled import make_engine
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.targets import Targets
from rlrecipe.learning.update import Update
from rlrecipe.recipe.errors import ENV, Problem
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import AlgorithmTraits, DistributionTraits, ExplorationTraits
from rlrecipe.recipe.values import Duration
from rlrecipe.stepping.observations import Rows
from rlrecipe.streams import Stream, Streams

#: Choices of one discrete entry, or action: each is a number of every row, and a weight for each unit of a layer.
MOST_CHOICES = 100_000


@dataclass(frozen=True)
class Learner:
    """What acts, what it learns by, and the parameters of both."""

    policy: Policy
    algorithm: Any
    parameters: Parameters


def acting_slot(recipe: Recipe) -> str:
    """The slot of the network that acts."""
    return AlgorithmTraits.of(recipe.algorithm).acts


def distribution_options(recipe: Recipe, action_space: Any) -> Any:
    """Options of the distribution that acts: the recipe's, or the algorithm's for this kind of space."""
    given = getattr(recipe.networks[acting_slot(recipe)], "distribution", None)
    if given is not None:
        return given
    usual = AlgorithmTraits.of(recipe.algorithm).acts_in[type(action_space).__name__]
    return Slot("distribution").read(usual(recipe.algorithm) if callable(usual) else usual)


def observation_problems(recipe: Recipe, space: Any) -> list[Problem]:
    """Why no network can read what the environment observes."""
    if isinstance(space, Rows):
        return _too_wide(space)
    if isinstance(space, gymnasium.spaces.Box):
        return []
    message = f"{recipe.algorithm.component.name} reads numbers, but the environment observes {space}"
    return [Problem("E301", ("env",), message, "wrap the environment so that it observes arrays")]


def _too_wide(space: Rows) -> list[Problem]:
    """Discrete entries of more choices than a row can hold one-hot."""
    problems = []
    for key, part in space.parts.items():
        columns = _choices(part)
        if columns > MOST_CHOICES:
            message = (
                f"the {key} {part} becomes a row of {columns:,} numbers, one for each choice ({4 * columns:,} bytes"
                f", and as many weights for each unit); at most {MOST_CHOICES:,} are taken"
            )
            cure = "wrap the environment so that it observes a Box of what the choice means: coordinates, digits"
            problems.append(Problem("E301", ("env",), message, cure))
    return problems


def _choices(space: Any) -> int:
    """Choices in a discrete space, whose parts each have their own; 0 in others."""
    discrete = isinstance(space, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete)
    return int(gymnasium.spaces.flatdim(space)) if discrete else 0


def network_problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    """Why one of the recipe's networks cannot read what the environment observes; its actions are known to fit."""
    options = distribution_options(recipe, spaces.action)
    try:
        make_networks(recipe, spaces, options.component.build(options, spaces.action))
    except UnbuildableError as error:
        return [Problem("E301", error.path, str(error), error.cure, ENV)]
    return []


def action_problems(recipe: Recipe, space: Any) -> list[Problem]:
    """Why the algorithm, its distribution or its exploration cannot act in a space."""
    problem = space_problem(recipe.algorithm.component, space)
    if problem is not None:
        return [problem]
    choices = _choices(space)
    if choices > MOST_CHOICES:
        message = (
            f"actions of {space} become {choices:,} outputs of a network, one for each choice ({4 * choices:,} bytes of"
            f" every row, and as many weights for each unit); at most {MOST_CHOICES:,} are taken"
        )
        cure = "wrap the environment so that it takes a Box of what the choice means: coordinates, digits"
        return [Problem("E301", ("env",), message, cure)]
    slot = acting_slot(recipe)
    given = getattr(recipe.networks[slot], "distribution", None)
    distribution, path = distribution_options(recipe, space), ("networks", slot, "distribution")
    misfits = [(("env",) if given is None else path, DistributionTraits.of(distribution).fits(space))]
    if recipe.exploration is not None:
        misfits.append((("exploration",), ExplorationTraits.of(recipe.exploration).fits(space)))
    return [Problem("E301", place, misfit, None, ENV) for place, misfit in misfits if misfit is not None]


def make_loss(recipe: Recipe, networks: Mapping[str, Any], distribution: Distribution) -> Any:
    """The algorithm: its losses and the pure functions around them."""
    return recipe.algorithm.component.build(recipe.algorithm, networks, distribution)


def make_parameters(
    networks: Mapping[str, Network], own: Mapping[str, Any], algorithm: Algorithm, generator: torch.Generator
) -> Parameters:
    """Initial parameters of every network; slots that an objective moves lie side by side.

    Args:
        networks: by slot.
        own: further parameters by slot, such as a distribution's.
        algorithm: whose objectives say what is moved together, and which may have parameters, too.
        generator: of the networks' first weights.
    """
    tensors = _initial(networks, own, algorithm, generator)
    return Parameters(tensors, shared=shared_slots(networks))


def _initial(
    networks: Mapping[str, Network], own: Mapping[str, Any], algorithm: Algorithm, generator: torch.Generator
) -> dict[str, Mapping[str, torch.Tensor]]:
    """Initial values by slot and name, in the order of the flat vector."""
    tensors = {slot: network.init(generator) for slot, network in networks.items()}
    for slot, further in (*own.items(), *algorithm.init().items()):
        tensors[slot] = {**tensors.get(slot, {}), **further}
    move_shared(algorithm, tuple(slot for slot in shared_slots(networks) if tensors[slot]))
    order = dict.fromkeys([*(slot for objective in algorithm.objectives for slot in objective.slots), *tensors])
    return {slot: tensors[slot] for slot in order}


def _parts(recipe: Recipe, spaces: Spaces) -> tuple[Mapping[str, Network], Distribution, Algorithm]:
    """The networks by slot, the distribution of the one that acts, and the algorithm."""
    options = distribution_options(recipe, spaces.action)
    distribution: Distribution = options.component.build(options, spaces.action)
    networks = make_networks(recipe, spaces, distribution)
    return networks, distribution, make_loss(recipe, networks, distribution)


#: Networks that cannot have more parameters than this are not counted: they fit wherever torch does.
FEW = 1 << 26


def _widths(value: Any) -> Iterator[int]:
    """Every whole number in the options of networks."""
    if isinstance(value, Options):
        value = vars(value)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _widths(each)
    elif isinstance(value, int):
        yield int(value)


def _small(recipe: Recipe, spaces: Spaces) -> bool:
    """Whether a recipe's numbers alone say that its networks have few parameters."""
    sides = [int(np.prod(space.shape or ())) for space in (spaces.observation, spaces.action)]
    sides += [
        int(space.n) for space in (spaces.observation, spaces.action) if isinstance(space, gymnasium.spaces.Discrete)
    ]
    widths = [*_widths(recipe.networks), *sides]
    # As if each number were a layer between two of the widest, in a few networks and their copies.
    return 8 * len(widths) * max(widths) ** 2 <= FEW


def count_parameters(recipe: Recipe, spaces: Spaces) -> int:
    """How many parameters a recipe's networks and losses have; none is allocated.

    A component that needs its numbers in order to begin cannot be counted, nor what cannot be built: 0 then.
    """
    try:
        with torch.device("meta"):
            networks, distribution, algorithm = _parts(recipe, spaces)
            own = {acting_slot(recipe): distribution.init()}
            generator = Streams(recipe.seed).torch(Stream.INITIALISATION)
            # Not as one vector: joining tensors without numbers loads torch's compiler, three seconds of a start.
            values = _initial(networks, own, algorithm, generator).values()
            return sum(tensor.numel() for named in values for tensor in named.values())
    except Exception:
        return 0


def count_many(recipe: Recipe, spaces: Spaces) -> int:
    """As ``count_parameters``, but 0 for few: counting loads a second's worth of torch."""
    return 0 if _small(recipe, spaces) else count_parameters(recipe, spaces)


def make_learner(recipe: Recipe, spaces: Spaces, streams: Streams, device: torch.device) -> Learner:
    """Policy, algorithm and their parameters, as they are before training."""
    networks, distribution, algorithm = _parts(recipe, spaces)
    slot, generator = acting_slot(recipe), streams.torch(Stream.INITIALISATION)
    parameters = make_parameters(networks, {slot: distribution.init()}, algorithm, generator)
    parameters.flat = parameters.flat.to(device)
    return Learner(Policy(networks[slot], distribution, parameters, slot), algorithm, parameters)


def make_target_updater(
    target: Section | None = None, *, learner: Learner, clock: Clock | None = None, **options: Any
) -> Targets:
    """Copies of the networks that an algorithm has targets of, and how they follow.

    Args:
        target: how they follow, as ``algorithm.target`` says it; by default as the algorithm was told.
        learner: what they are copies of.
        clock: what says when, where they follow at intervals.
        options: single options of ``target``, such as ``tau``.

    Returns:
        The copies: ``params`` under ``target_<slot>``, beside the learner's own; ``follow()`` moves them.

    Raises:
        RecipeError: the options are wrong.
        ValueError: the algorithm has no target networks, or there is no clock for their interval.
    """
    algorithm = learner.algorithm
    if not algorithm.targets:
        raise ValueError(f"{type(algorithm).__name__} has no target networks: leave make_target_updater out")
    follows: Target = algorithm.target
    if target is not None or options:
        # The slot is the same in every algorithm that has one.
        written = plain(Slot("target"), target, options)
        chosen = read("algorithm", {"name": "ddpg", "target": written}).target
        follows = chosen.component.build(chosen)
    if follows.every is not None and clock is None:
        raise ValueError("these targets follow at intervals, which are read on a clock: give clock=Clock(...)")
    return Targets(learner.parameters, algorithm.targets, follows, clock or Clock(Duration(1)))


def make_update(recipe: Recipe, learner: Learner, clock: Clock, context: RunContext | None = None) -> Update:
    """Gradients, clipping and optimizer steps of the algorithm's losses, and its target networks."""
    options: Any = recipe.optimizer
    groups = {slot: group.lr for slot, group in options.groups.items()}
    algorithm, parameters = learner.algorithm, learner.parameters
    targets = make_target_updater(learner=learner, clock=clock) if algorithm.targets else None
    engine = make_engine(recipe.runtime.compile, context or RunContext())
    return Update(algorithm.objectives, parameters, options.component.build(options), groups, targets, engine)
