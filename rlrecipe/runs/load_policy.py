"""A trained policy from a run directory or a checkpoint, for use in anybody's loop."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from rlrecipe.assembly.environments import Spaces, transforms_of
from rlrecipe.assembly.fitted import Fitted
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.fit import UnfitState, misfit, taking_up
from rlrecipe.checkpoint.store import CheckpointStore, NoCheckpoint, pointed
from rlrecipe.errors import Refusal
from rlrecipe.interfaces import Transform
from rlrecipe.recipe.errors import plain
from rlrecipe.recipe.imports import is_file
from rlrecipe.recipe.layers import Held
from rlrecipe.recipe.load import load
from rlrecipe.recipe.schema import Recipe
from rlrecipe.runs.directory import look_through
from rlrecipe.runs.imports import consented, recorded
from rlrecipe.runs.spaces import space_from_json
from rlrecipe.stepping.observations import Rows

#: Numbers of a space that a checkpoint of any size may have: as many as pictures of 1024 x 1024 have points.
SURELY = 1 << 20


def find_checkpoint(path: Path, best: bool = False) -> Checkpoint:
    """The checkpoint that a path means: itself, or a run's newest or best. Nothing of the run is touched.

    It comes without its pieces: a policy needs no replay buffer, and a damaged one costs nobody the policy.

    Raises:
        NoCheckpoint: there is none that can be used.
        DamagedCheckpoint: the one that was named is damaged.
    """
    path = path.absolute()
    look_through(path)
    # A link to a checkpoint is the user's own; its run is where the checkpoint is.
    path = path.resolve() if path.is_symlink() else path
    path = pointed(path)
    if not path.exists():
        raise Refusal(f"{path} does not exist; name a run directory or one of its checkpoints")
    if (path / "manifest.json").is_file():
        return CheckpointStore(path.parent).load(path.name, pieces=False)
    store = CheckpointStore(path / "checkpoints")
    if best:
        name = store.pointer("best")
        if name is None:
            raise NoCheckpoint(f"{path} has no best checkpoint: it has not been evaluated")
        return store.load(name, pieces=False)
    checkpoint = store.newest(lambda line: warnings.warn(plain(line), stacklevel=3), move=False, pieces=False)
    if checkpoint is None:
        raise NoCheckpoint(f"{path} has no checkpoint")
    return checkpoint


class LoadedPolicy:
    """A callable from observations to actions, normalisation included.

    Attributes:
        recipe: what it was trained with.
        checkpoint: name of the checkpoint that it comes from.
        observation_space: of one environment.
        action_space: of one environment.
    """

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe) -> None:
        self.recipe, self.checkpoint = recipe, checkpoint.folder.name
        fitted = _fitted(checkpoint, recipe)
        self.observation_space, self.action_space = fitted.spaces.observation, fitted.spaces.action
        learner = fitted.make_learner()
        self.policy = learner.policy
        transforms = transforms_of(recipe, fitted.spaces)
        with taking_up(checkpoint.folder):
            learner.parameters.load(checkpoint.parameters)
            names = checkpoint.policy["transforms"]
            self.transforms = [_restored(transforms[name], name, checkpoint) for name in names]
        self._rng = np.random.default_rng()
        self._carry: np.ndarray | None = None

    def reset(self) -> None:
        """Forget what was remembered: a new episode begins. Of use to policies with a memory only."""
        self._carry = None

    def __call__(self, observation: Any, deterministic: bool = True) -> Any:
        """Actions as the environment takes them.

        Args:
            observation: one, or several along a first dimension, as the environment gives them with
                the transforms that wrap it (frame skip, flatten_observation). Of a dict observation only one.
                A policy with a memory takes those of one step after the other; ``reset`` starts an episode.
            deterministic: the most probable action rather than a drawn one.

        Raises:
            ValueError: the observation has another shape.
        """
        if isinstance(self.observation_space, Rows) and not isinstance(observation, np.ndarray):
            observation = self.observation_space.row(observation)
        observation = np.asarray(observation)
        shape = tuple(self.observation_space.shape)
        if observation.shape[observation.ndim - len(shape) :] != shape or observation.ndim > len(shape) + 1:
            raise ValueError(
                f"an observation has the shape {shape} (or one dimension before it), not {observation.shape}"
            )
        single = observation.ndim == len(shape)
        rows = observation[None] if single else observation
        for transform in self.transforms:
            rows = transform.apply(rows)
        rows = np.asarray(rows, np.float32)
        if self.policy.front is not None:
            if self._carry is None or len(self._carry) != len(rows):
                self._carry = self.policy.nothing(len(rows))
            rows = self.policy.go_on(rows, self._carry)
            self._carry = self.policy.remember(rows)
        noise = None if deterministic else self.policy.noise(self._rng, len(rows))
        actions = self.policy.to_env(self.policy.act(rows, noise))
        return actions[0] if single else actions


def _fitted(checkpoint: Checkpoint, recipe: Recipe) -> Fitted:
    """The recipe in the spaces that a checkpoint's policy observes and acts in.

    Raises:
        UnfitState: they are no spaces, not the recipe's algorithm's, or larger than what the checkpoint holds.
    """
    with taking_up(checkpoint.folder):
        spaces = Spaces(*(space_from_json(checkpoint.policy[f"{name}_space"]) for name in ("observation", "action")))
        sizes = [int(gymnasium.spaces.flatdim(space)) for space in (spaces.observation, spaces.action)]
    # A network has a weight for each number that it reads or gives, but where an encoder goes over a picture.
    most = max(SURELY, sum(tensor.numel() for tensor in checkpoint.parameters.values()))
    if sum(sizes) > most:
        raise UnfitState(
            f"{checkpoint.folder} cannot be taken up: its spaces have {sum(sizes):,} numbers, at most {most:,}"
        )
    fitted = Fitted(recipe, spaces)
    for problem in fitted.problems:
        raise UnfitState(f"{checkpoint.folder} cannot be taken up: {problem.message}")
    # Before they are built: a recipe may ask for more than this machine has.
    asked, there = fitted.parameters, sum(tensor.numel() for tensor in checkpoint.parameters.values())
    if asked > there:
        message = f"its recipe's networks have {asked:,} parameters, and it holds {there:,}"
        raise UnfitState(f"{checkpoint.folder} cannot be taken up: {message}")
    return fitted


def _restored(transform: Transform, name: str, checkpoint: Checkpoint) -> Transform:
    state = transform.state_dict()
    saved = {**state, "statistics": checkpoint.statistics(name)}
    if found := misfit(state, saved, name):
        raise UnfitState(f"{checkpoint.folder} cannot be taken up: {found}")
    transform.load_state_dict(saved)
    return transform


def load_policy(
    path: str | Path,
    *,
    best: bool = False,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
) -> LoadedPolicy:
    """The policy of a run directory or checkpoint. Needs no environment, unpickles nothing.

    Args:
        path: a run directory (its newest checkpoint) or a checkpoint.
        best: take the run's best checkpoint.
        imports: files or modules with the components that the run used.
        trust_imports: load those that the run itself declares.

    Raises:
        NoCheckpoint: there is none that can be used.
        RecipeError: the run's components are not there.
    """
    checkpoint = find_checkpoint(Path(path), best)
    return LoadedPolicy(checkpoint, recipe_of(checkpoint, imports, trust_imports))


def recipe_of(checkpoint: Checkpoint, imports: Sequence[str] = (), trust_imports: bool = False) -> Recipe:
    """The recipe that a checkpoint was written with, its components loaded with consent."""
    data: Mapping[str, Any] = checkpoint.fact("recipe")
    folder = checkpoint.folder.parent.parent
    declared = data.get("imports")
    if isinstance(declared, list):
        own = [str(folder / name) if isinstance(name, str) and is_file(name) else name for name in declared]
        data = {**data, "imports": own}
    given, known = consented(folder, imports), recorded(folder)
    held = Held(data, str(checkpoint.folder / "manifest.json"))
    return load(held, imports=given, trust_imports=trust_imports, recorded=known).recipe
