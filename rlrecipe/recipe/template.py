"""A recipe to start from: every option with its default, commented with its meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from rlrecipe.recipe.dump import Dumper, data
from rlrecipe.recipe.load import load
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import find
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import AlgorithmTraits

#: Column at which comments start, where a line leaves room.
COLUMN = 44
#: Said at the top of each section rather than option by option.
_HEAD = """\
# A recipe: `rlrecipe run FILE` trains it, `rlrecipe validate FILE` checks it.
# Every line but env, algorithm and the length of the run may go: it says the default.
"""

#: The environment of a recipe to start from, by the kind of its actions.
_USUAL = {"Discrete": "CartPole-v1", "Box": "Pendulum-v1"}
LENGTH = {"total_frames": 100_000}


def usual(algorithm: str) -> dict[str, Any]:
    """The sections of a recipe to start from, in a small environment that an algorithm acts in.

    Raises:
        UnknownComponent: there is no such algorithm.
    """
    traits = AlgorithmTraits.of(find("algorithm", algorithm))
    kind = next((kind for kind in _USUAL if kind in traits.acts_in), "Discrete")
    own = traits.starts_with.get(kind, {})
    return {"env": _USUAL[kind], "algorithm": {"name": algorithm, **own}, "trainer": LENGTH}


def template(sections: Mapping[str, Any], imports: Sequence[str] = ()) -> str:
    """The text of a commented recipe with every option.

    Args:
        sections: the recipe, as short as it can be.
        imports: files or modules with components that are to be loaded.

    Raises:
        RecipeError: the recipe has problems.
    """
    recipe = load(sections, imports=imports).recipe
    return _HEAD + "\n".join(_lines(recipe, data(recipe), "")) + "\n"


def _lines(options: Options, plain: dict[str, Any], indent: str) -> Iterator[str]:
    """Lines for the options of a model, sections and components below them indented."""
    for key, info in type(options).model_fields.items():
        value, meaning = getattr(options, key), info.description or ""
        if isinstance(options, Recipe) and isinstance(value, Options):
            yield ""
        if isinstance(value, Options):
            yield _commented(f"{indent}{key}:", meaning)
            yield from _component(value, plain[key], indent + "  ")
        elif isinstance(value, dict) and any(isinstance(item, Options) for item in value.values()):
            yield _commented(f"{indent}{key}:", meaning)
            for name, item in value.items():
                yield f"{indent}  {name}:"
                yield from _component(item, plain[key][name], indent + "    ")
        else:
            yield _commented(f"{indent}{key}: {_inline(plain[key])}", meaning)


def _component(options: Options, plain: dict[str, Any], indent: str) -> Iterator[str]:
    if "name" in plain and "name" not in type(options).model_fields:
        component = options.component
        yield _commented(f"{indent}name: {plain['name']}", component.meaning)
    yield from _lines(options, plain, indent)


def _inline(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=Dumper, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _commented(line: str, meaning: str) -> str:
    return f"{line:<{COLUMN}}  # {meaning}" if meaning else line
