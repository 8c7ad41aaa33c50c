"""A recipe in the spaces of an environment: whether it fits there, and what acts and learns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium

from rlrecipe.assembly.acting import space_problem
from rlrecipe.assembly.environments import Spaces
from rlrecipe.assembly.learning import Learner, Parts, acting_slot, count_many, make_learner, make_parts
from rlrecipe.errors import UnbuildableError
from rlrecipe.recipe.asked import distribution_of
from rlrecipe.recipe.errors import ENV, Problem
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import AlgorithmTraits, DistributionTraits, ExplorationTraits
from rlrecipe.stepping.observations import Rows, is_pixels
from rlrecipe.streams import Streams

#: Choices of one discrete entry, or action: each is a number of every row, and a weight for each unit of a layer.
MOST_CHOICES = 100_000


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a recipe is in these spaces; each part is made once, when it is first asked for.

    Attributes:
        given: the recipe, which may leave the distribution to its algorithm.
        spaces: of its environment, or of a checkpoint.
    """

    given: Recipe
    spaces: Spaces

    @cached_property
    def observation_problems(self) -> list[Problem]:
        """Why no network can read what the environment observes."""
        space = self.spaces.observation
        if isinstance(space, Rows):
            return [*_too_wide(space), *_nested_pictures(space)] or _empty(space)
        if isinstance(space, gymnasium.spaces.Box):
            return _empty(space)
        message = f"{self.given.algorithm.component.name} reads numbers, but the environment observes {space}"
        return [Problem("E301", ("env",), message, "wrap the environment so that it observes arrays")]

    @cached_property
    def action_problems(self) -> list[Problem]:
        """Why the algorithm, its distribution or its exploration cannot act in the space of actions."""
        recipe, space = self.given, self.spaces.action
        problem = space_problem(recipe.algorithm.component, space)
        if problem is not None:
            return [problem]
        choices = _choices(space)
        if choices > MOST_CHOICES:
            message = (
                f"actions of {space} become {choices:,} outputs of a network, one for each choice ({4 * choices:,} "
                f"bytes of every row, and as many weights for each unit); at most {MOST_CHOICES:,} are taken"
            )
            cure = "wrap the environment so that it takes a Box of what the choice means: coordinates, digits"
            return [Problem("E301", ("env",), message, cure)]
        place = ("env",) if self._chosen is None else ("networks", self.slot, "distribution")
        misfits = [(place, DistributionTraits.of(self.distribution).fits(space))]
        if recipe.exploration is not None:
            misfits.append((("exploration",), ExplorationTraits.of(recipe.exploration).fits(space)))
        return [Problem("E301", place, misfit, None, ENV) for place, misfit in misfits if misfit is not None]

    @property
    def problems(self) -> list[Problem]:
        """Why the recipe cannot learn in these spaces."""
        return self.observation_problems + self.action_problems or self.network_problems

    @property
    def slot(self) -> str:
        """The slot of the network that acts."""
        return acting_slot(self.given)

    @property
    def _chosen(self) -> Any:
        """Options of the distribution that the recipe says, or None."""
        return distribution_of(self.given.networks[self.slot])

    @cached_property
    def distribution(self) -> Any:
        """Options of the distribution that acts: the recipe's, or the algorithm's for this kind of space."""
        if self._chosen is not None:
            return self._chosen
        usual = AlgorithmTraits.of(self.given.algorithm).acts_in[type(self.spaces.action).__name__]
        return Slot("distribution").read(usual(self.given.algorithm) if callable(usual) else usual)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe with the distribution that acts."""
        if self._chosen is not None:
            return self.given
        acting = self.given.networks[self.slot].model_copy(update={"distribution": self.distribution})
        return self.given.model_copy(update={"networks": {**self.given.networks, self.slot: acting}})

    @cached_property
    def _parts(self) -> Parts | UnbuildableError:
        try:
            return make_parts(self.recipe, self.spaces)
        except UnbuildableError as error:
            return error

    @property
    def network_problems(self) -> list[Problem]:
        """Why one of the networks cannot read what the environment observes; actions are known to fit."""
        made = self._parts
        if isinstance(made, Parts):
            return []
        return [Problem("E301", made.path, str(made), made.cure, ENV)]

    @property
    def parts(self) -> Parts:
        """The networks and the distribution.

        Raises:
            UnbuildableError: a network cannot read what the environment observes.
        """
        if isinstance(self._parts, UnbuildableError):
            raise self._parts
        return self._parts

    def make_learner(self) -> Learner:
        """What acts and what learns, on the CPU, as it is before training.

        Raises:
            UnbuildableError: networks and losses do not fit each other or the spaces.
        """
        return make_learner(self.recipe, self.parts, Streams(self.given.seed))

    @cached_property
    def parameters(self) -> int:
        """How many parameters there are; none is allocated, and few are not counted (0)."""
        return count_many(self.recipe, self.spaces)


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


def _empty(space: Any) -> list[Problem]:
    """An observation without a single number."""
    if gymnasium.spaces.flatdim(space):
        return []
    message = f"the environment observes {space}, which holds no number: there is nothing to act on"
    return [Problem("E301", ("env",), message, "wrap the environment so that it observes one number or more")]


def _nested_pictures(space: Rows) -> list[Problem]:
    """Pictures further down than among the parts of an observation, which would become rows of numbers."""
    problems = []
    for key, part in space.parts.items():
        inner = part.spaces if isinstance(part, gymnasium.spaces.Dict | gymnasium.spaces.Tuple) else ()
        named = inner.items() if isinstance(inner, dict) else enumerate(inner)
        problems += [
            Problem(
                "E301",
                ("env",),
                f"the {key} holds a picture, {name}: a network reads pictures among the observation's own entries only",
                "wrap the environment so that it observes one Dict without another in it",
            )
            for name, one in named
            if is_pixels(one) or (isinstance(one, gymnasium.spaces.Dict | gymnasium.spaces.Tuple) and _pictured(one))
        ]
    return problems


def _pictured(space: Any) -> bool:
    """Whether there is a picture anywhere in a space."""
    if not isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
        return is_pixels(space)
    inner = space.spaces
    return any(_pictured(part) for part in (inner.values() if isinstance(inner, dict) else inner))


def _choices(space: Any) -> int:
    """Choices in a discrete space, whose parts each have their own; 0 in others."""
    discrete = isinstance(space, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete)
    return int(gymnasium.spaces.flatdim(space)) if discrete else 0


def differing(one: Spaces, other: Spaces) -> str | None:
    """Why a policy for one environment cannot act in another, or None."""
    for what in ("observation", "action"):
        a, b = getattr(one, what), getattr(other, what)
        same = type(a) is type(b) and a.shape == b.shape and _size(a) == _size(b)
        if not same or (isinstance(a, Rows) and isinstance(b, Rows) and a.entries != b.entries):
            return f"the policy was made for the {what} space {a}, but this environment has {b}"
    return None


def _size(space: Any) -> object:
    """How many choices there are, and the first one's number."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(space.n), int(space.start)
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return space.nvec.tolist(), space.start.tolist()
    return None
