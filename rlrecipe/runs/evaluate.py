"""Evaluating a trained policy on its environment, or on a variation of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from pydantic import ValidationError

from rlrecipe.acting.evaluation import Evaluation, Evaluator, Stage
from rlrecipe.assembly.environments import Spaces, environment_problem, make_env, spaces_of
from rlrecipe.assembly.fitted import differing
from rlrecipe.assembly.stage import evaluation_width
from rlrecipe.errors import Refusal, StoppedError
from rlrecipe.recipe.errors import Place, PlacedProblem, RecipeError
from rlrecipe.recipe.evaluation_env import evaluation_env, merged_env
from rlrecipe.recipe.messages import problems_of
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.tree import unmarked
from rlrecipe.recorders.mp4 import Filming, VideoUnavailable, check_target
from rlrecipe.runs.load_policy import LoadedPolicy
from rlrecipe.streams import Streams


def report(evaluation: Evaluation, checkpoint: str | None, seed: int) -> dict[str, Any]:
    """An evaluation as ``rlrecipe evaluate --json`` prints it."""
    return {
        "episodes": len(evaluation.returns),
        "return_mean": evaluation.mean,
        "return_std": evaluation.std,
        # One episode says nothing of how far the mean may be off.
        "return_ci95": list(evaluation.interval()) if len(evaluation.returns) > 1 else None,
        "length_mean": float(np.mean(evaluation.lengths)),
        "returns": evaluation.returns,
        "lengths": evaluation.lengths,
        "seed": seed,
        "checkpoint": checkpoint,
        "episodes_cut": evaluation.cut,
    }


def env_options(policy: LoadedPolicy, changes: Mapping[str, Any]) -> Options:
    """The evaluation environment's options with some of them changed.

    Raises:
        RecipeError: a change names what nobody consented to.
        Refusal: a change does not fit the options.
    """
    try:
        return evaluation_env(policy.recipe, changes)
    except ValidationError as error:
        found = problems_of(error, unmarked({"env": merged_env(policy.recipe, changes).data()}))
        unasked = [PlacedProblem(problem, Place("--env")) for problem in found if problem.code == "E403"]
        if unasked:
            raise RecipeError(unasked) from None
        lines = [f"{'.'.join(map(str, problem.path[1:]))}: {problem.message}" for problem in found]
        raise Refusal("the environment cannot be changed like that: " + "; ".join(lines)) from None


def package_missing(options: Options, error: Exception) -> RecipeError | None:
    """As validate and run tell of an environment whose package is missing (E401); None where that is not the cause."""
    problem = environment_problem(options, error, ("env",))
    return RecipeError([PlacedProblem(problem, Place("resolved.yaml"))]) if problem.code == "E401" else None


def evaluate(
    policy: LoadedPolicy,
    episodes: int = 10,
    *,
    seed: int | None = None,
    deterministic: bool = True,
    changes: Mapping[str, Any] | None = None,
    video: Path | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Run episodes with a loaded policy.

    Args:
        policy: from ``load_policy``.
        episodes: how many.
        seed: of the episodes; by default the run's, which gives the episodes of its own evaluations.
        deterministic: the most probable actions rather than drawn ones.
        changes: options of ``env`` that differ.
        video: where to write the first episode as mp4.
        interrupted: asked at every step.
        say: tells of episodes that did not end and were cut.

    Returns:
        What ``report`` describes.

    Raises:
        Refusal: the environment cannot be built, or is not one that the policy can act in; ``video`` is a folder, or
            does not end in ``.mp4``.
        RecipeError: a package that the environment needs is missing (E401).
        StoppedError: it was interrupted.
    """
    if video is not None:
        check_target(video)
    seed = policy.recipe.seed if seed is None else seed
    options = env_options(policy, changes or {})
    try:
        difference = differing(Spaces(policy.observation_space, policy.action_space), spaces_of(options, "eval"))
    except Exception as error:
        raise package_missing(options, error) or Refusal(
            environment_problem(options, error, ("env",)).message
        ) from None
    if difference is not None:
        raise Refusal(difference)
    stage = Stage(
        partial(make_env, options, "eval"),
        policy.policy,
        policy.transforms,
        width=evaluation_width(policy.recipe.env),
        max_steps=policy.recipe.evaluation.max_steps,
    )
    evaluator = Evaluator(stage, Streams(seed), interrupted, say=say)
    if video is None:
        evaluation = evaluator.run(episodes, deterministic)
    else:
        evaluation = filmed(evaluator, episodes, deterministic, video)
    if evaluation is None:
        raise StoppedError("stopped in the middle of an evaluation")
    return report(evaluation, policy.checkpoint, seed)


def filmed(evaluator: Evaluator, episodes: int, deterministic: bool, path: Path) -> Evaluation | None:
    """An evaluation whose first episode is written to an mp4 file.

    Raises:
        VideoUnavailable: it could not be written.
    """

    def refuse(line: str) -> NoReturn:
        raise VideoUnavailable(line)

    evaluator.camera = filming = Filming(refuse)
    filming.start(path)
    try:
        evaluation = evaluator.run(episodes, deterministic)
    except BaseException:
        # Whatever ended it: half an episode is no film of the first one.
        filming.discard()
        raise
    if evaluation is None:
        filming.discard()
    else:
        filming.finish()
    return evaluation
