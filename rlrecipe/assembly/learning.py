"""What acts and what learns: networks, distribution, losses and their parameters, and the update that moves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch

from rlrecipe.acting.policy import Policy
from rlrecipe.assembly.environments import Spaces
from rlrecipe.assembly.networks import Moves, make_networks, moves_of, shared_slots
from rlrecipe.assembly.sections import Section, plain, read
from rlrecipe.clock import Clock
from rlrecipe.interfaces import Algorithm, Distribution, Network, Target
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.targets import Targets
from rlrecipe.recipe.asked import groups_of
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.recipe.values import Duration
from rlrecipe.streams import Stream, Streams


@dataclass(frozen=True)
class Learner:
    """What acts, what it learns by, and the parameters of both."""

    policy: Policy
    algorithm: Any
    parameters: Parameters
    moves: Moves

    def on(self, device: torch.device) -> Learner:
        """It on another device than the CPU, or as it is."""
        if device.type == "cpu":
            return self
        acts, parameters = self.policy, self.parameters.over(self.parameters.flat.to(device))
        policy = Policy(acts.network, acts.distribution, parameters, acts.slot, acts.packing)
        return Learner(policy, self.algorithm, parameters, self.moves)


def acting_slot(recipe: Recipe) -> str:
    """The slot of the network that acts."""
    return AlgorithmTraits.of(recipe.algorithm).acts


def make_loss(recipe: Recipe, networks: Mapping[str, Any], distribution: Distribution) -> Any:
    """The algorithm: its losses and the pure functions around them."""
    return recipe.algorithm.component.build(recipe.algorithm, networks, distribution)


def _initial(
    networks: Mapping[str, Network], own: Mapping[str, Any], algorithm: Algorithm, generator: torch.Generator
) -> tuple[dict[str, Mapping[str, torch.Tensor]], Moves]:
    """Initial values by slot and name, in the order of the flat vector: slots that are moved together lie side by side.

    Args:
        networks: by slot.
        own: further parameters by slot, such as a distribution's.
        algorithm: whose objectives say what is moved together, and which may have parameters, too.
        generator: of the networks' first weights.

    Returns:
        The values, and what moves them.
    """
    tensors = {slot: network.init(generator) for slot, network in networks.items()}
    for slot, further in (*own.items(), *algorithm.init().items()):
        tensors[slot] = {**tensors.get(slot, {}), **further}
    moves = moves_of(algorithm, tuple(slot for slot in shared_slots(networks) if tensors[slot]))
    order = dict.fromkeys([*(slot for objective in moves.objectives for slot in objective.slots), *tensors])
    return {slot: tensors[slot] for slot in order}, moves


class Parts(NamedTuple):
    """The networks by slot, and the distribution of the one that acts: pure functions, without numbers yet."""

    networks: Mapping[str, Network]
    distribution: Distribution


def make_parts(recipe: Recipe, spaces: Spaces) -> Parts:
    """Networks and distribution of a recipe that says which one acts.

    Raises:
        UnbuildableError: a network cannot read what is observed.
    """
    options: Any = recipe.networks[acting_slot(recipe)]
    distribution: Distribution = options.distribution.component.build(options.distribution, spaces.action)
    return Parts(make_networks(recipe, spaces, distribution), distribution)


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
            networks, distribution = make_parts(recipe, spaces)
            algorithm = make_loss(recipe, networks, distribution)
            own = {acting_slot(recipe): distribution.init()}
            generator = Streams(recipe.seed).torch(Stream.INITIALISATION)
            # Not as one vector: joining tensors without numbers loads torch's compiler, three seconds of a start.
            values, _ = _initial(networks, own, algorithm, generator)
            return sum(tensor.numel() for named in values.values() for tensor in named.values())
    except Exception:
        return 0


def count_many(recipe: Recipe, spaces: Spaces) -> int:
    """As ``count_parameters``, but 0 for few: counting loads a second's worth of torch."""
    return 0 if _small(recipe, spaces) else count_parameters(recipe, spaces)


def make_learner(recipe: Recipe, parts: Parts, streams: Streams) -> Learner:
    """Policy, algorithm and their parameters, on the CPU, as they are before training."""
    networks, distribution = parts
    algorithm = make_loss(recipe, networks, distribution)
    slot, generator = acting_slot(recipe), streams.torch(Stream.INITIALISATION)
    tensors, moves = _initial(networks, {slot: distribution.init()}, algorithm, generator)
    parameters = Parameters(tensors, shared=shared_slots(networks))
    return Learner(Policy(networks[slot], distribution, parameters, slot), algorithm, parameters, moves)


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
    if not learner.moves.targets:
        raise ValueError(f"{type(algorithm).__name__} has no target networks: leave make_target_updater out")
    follows: Target = algorithm.target
    if target is not None or options:
        # The slot is the same in every algorithm that has one.
        written = plain(Slot("target"), target, options)
        chosen = read("algorithm", {"name": "ddpg", "target": written}).target
        follows = chosen.component.build(chosen)
    if follows.every is not None and clock is None:
        raise ValueError("these targets follow at intervals, which are read on a clock: give clock=Clock(...)")
    return Targets(learner.parameters, learner.moves.targets, follows, clock or Clock(Duration(1)))


def make_update(recipe: Recipe, learner: Learner, clock: Clock) -> Objectives:
    """The algorithm's objectives with their optimizer and rates, and its target networks."""
    options: Any = recipe.optimizer
    groups = {slot: group.lr for slot, group in groups_of(options).items()}
    algorithm, parameters = learner.algorithm, learner.parameters
    targets = make_target_updater(learner=learner, clock=clock) if learner.moves.targets else None
    optimizer, bound = options.component.build(options), recipe.trainer.clip_norm
    return Objectives(learner.moves.objectives, parameters, optimizer, groups, targets, bound, algorithm.stop)
