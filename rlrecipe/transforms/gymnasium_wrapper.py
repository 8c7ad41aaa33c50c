"""Any wrapper of gymnasium's by its name."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.names import NAMED, Arguments
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe

_FUNCTION = "it needs a function, which a recipe cannot hold; write a transform of your own and import it"
_STATISTICS = "its statistics would be each environment's own, and none in evaluation; use {}"
_ARRAYS = "environments speak numpy here"
_SHOWN = "rlrecipe evaluate --video records episodes"
#: Wrappers that have no place in a recipe, and why.
REFUSED = {
    "TransformObservation": _FUNCTION,
    "TransformAction": _FUNCTION,
    "TransformReward": _FUNCTION,
    "NormalizeObservation": _STATISTICS.format("observation_norm"),
    "NormalizeReward": _STATISTICS.format("reward_norm"),
    "ClipReward": "returns in the logs would be of clipped rewards; use clip_reward, which leaves them raw",
    "Autoreset": "finished episodes start anew without it",
    "RecordEpisodeStatistics": "episodes.jsonl holds every episode's return and length",
    "RenderCollection": _SHOWN,
    "RecordVideo": _SHOWN,
    "HumanRendering": _SHOWN,
    "ArrayConversion": _ARRAYS,
    "JaxToNumpy": _ARRAYS,
    "JaxToTorch": _ARRAYS,
    "NumpyToTorch": _ARRAYS,
}


@functools.cache
def wrappers() -> frozenset[str]:
    """Wrappers that can be named; read from gymnasium's source, which is not imported for it."""
    found = importlib.util.find_spec("gymnasium")
    assert found is not None, "gymnasium is installed with rlrecipe"
    source = Path(str(found.origin)).parent / "wrappers" / "__init__.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(name for name in ast.literal_eval(node.value) if name[0].isupper()) - REFUSED.keys()
    return frozenset()


#: Arguments of wrappers that are plain words.
WORDS = frozenset(
    ("filter_keys", "render_key", "obs_key", "dict_time_key", "stats_key", "padding_type", "dtype", "render_mode")
)


class GymnasiumWrapperOptions(TransformOptions):
    """Any wrapper of gymnasium.wrappers around each environment."""

    wrapper: Annotated[str, NAMED] = option(..., "Its class, such as TimeAwareObservation.")
    kwargs: Annotated[dict[str, Any], Arguments(WORDS)] = option({}, "What it takes besides the environment.")


def misfit(name: str) -> tuple[str, str | None] | None:
    """Why there is no such wrapper, and the nearest one that there is; None if there is."""
    if name in wrappers():
        return None
    if name in REFUSED:
        return f"gymnasium's {name} cannot be used: {REFUSED[name]}", None
    nearest = difflib.get_close_matches(name, wrappers(), 1)
    known = ", ".join(sorted(wrappers()))
    return f"gymnasium has no wrapper {name!r}; there are: {known}", nearest[0] if nearest else None


def check(recipe: Recipe) -> Iterable[Problem]:
    """The name has to be one of gymnasium's."""
    env: Any = recipe.env
    for i, options in enumerate(env.transforms):
        if isinstance(options, GymnasiumWrapperOptions) and (found := misfit(options.wrapper)):
            yield Problem("E302", ("env", "transforms", i, "wrapper"), *found)


def _argument(value: Any) -> Any:
    """A list of numbers as the tuple or array that wrappers take."""
    if isinstance(value, list) and value and all(isinstance(one, int) for one in value):
        return tuple(value)
    if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
        return np.array(value, np.float32)
    return value


@register("transform", "gymnasium_wrapper", check=check, traits=TransformTraits(wraps=True))
def make_gymnasium_wrapper(options: GymnasiumWrapperOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """The wrapper around ``env``.

    Raises:
        ValueError: gymnasium has no wrapper of this name, or none that can be used here.
    """
    found = misfit(options.wrapper)
    if found is not None:
        raise ValueError(found[0])
    from rlrecipe.stepping.wrappers.counting import StepCounter
    from rlrecipe.stepping.wrappers.life_loss import games_of

    if options.wrapper == "TimeLimit" and any(games_of(env)):
        # gymnasium's would count each life on its own, and go on in a game that it ended.
        return StepCounter(env, options.kwargs["max_episode_steps"], None)
    wrapped: gymnasium.Env[Any, Any] = getattr(gymnasium.wrappers, options.wrapper)(
        env, **{key: _argument(value) for key, value in options.kwargs.items()}
    )
    if isinstance(wrapped, gymnasium.wrappers.RescaleAction):
        wrapped.func = _inside(wrapped.func, env.action_space)
    return wrapped


def _inside(action: Callable[[Any], Any], space: Any) -> Callable[[Any], Any]:
    """``action`` inside the bounds of what takes it: scaling can end one rounding outside."""

    def clipped(given: Any) -> Any:
        return np.clip(np.asarray(action(given), space.dtype), space.low, space.high)

    return clipped
