"""How a section of a recipe, or its options as keywords, becomes validated options.

What is wrong is told as a recipe would tell it, with the section's and the option's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias

from pydantic import ValidationError, create_model

from rlrecipe.recipe.checks import check_extras, refused_secrets
from rlrecipe.recipe.dump import to_yaml
from rlrecipe.recipe.errors import Problem, RecipeError
from rlrecipe.recipe.merge import EMPTY, without_nulls
from rlrecipe.recipe.messages import problems_of
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import CheckpointOptions, EvaluationOptions, Recipe, RuntimeOptions, TrainerOptions
from rlrecipe.recipe.shape import components, fields
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.tree import place
from rlrecipe.recipe.yaml import read as read_yaml

#: A component's name (an environment's id), a mapping of its options, or options that were read already.
Section: TypeAlias = str | Mapping[str, Any] | Options

#: What errors show in place of a file.
SOURCE = "<mapping>"


def read(section: str, given: Section | None, options: Mapping[str, Any] | None = None) -> Any:
    """Options of one section of a recipe.

    Args:
        section: "env", "collector", "replay_buffer", ...
        given: the section; None where the options say all.
        options: single options over it.

    Raises:
        RecipeError: something is wrong with them: all of it, with its place in the section as YAML.
    """
    if isinstance(given, Options) and not options:
        return slot_of(section).read(given)
    found = read_yaml(to_yaml({section: plain(slot_of(section), given, options)}), SOURCE)
    if found.problems or found.root is None:
        raise RecipeError(found.problems)
    root = without_nulls(found.root)
    problems = list(refused_secrets(root))
    try:
        result = getattr(_model(section).model_validate(root.data()), section)
        problems += check_extras(components(result, (section,)))
    except ValidationError as error:
        problems += problems_of(error, root)
    if problems:
        raise RecipeError(place(root, problem, SOURCE) for problem in problems)
    return result


def slot_of(section: str) -> Slot:
    """The slot of a section that holds one component."""
    slot = fields(Recipe)[section].slot
    assert slot is not None, f"{section} holds no component"
    return slot


def plain(slot: Slot, given: Section | None, options: Mapping[str, Any] | None = None) -> Any:
    """What stands in a slot as plain data, single options over it."""
    if isinstance(given, Options):
        given = slot.write(given)
    elif isinstance(given, str):
        given = {slot.bare: given}
    if given is not None and not isinstance(given, Mapping):
        # Told by the slot, like any other wrong value.
        return given
    return {**(given or {}), **(options or {})}


def check(**sections: Options | None) -> None:
    """Raise what sections that were given say of one another, such as frames that environments cannot share.

    Raises:
        RecipeError: they do not go together.
    """
    whole = Recipe.model_construct(**{**_without_components(), **sections})
    problems = [problem for problem in _misfits(whole) if problem.path[0] in sections]
    refuse(problems)


def refuse(problems: Iterable[Problem]) -> None:
    """Raise problems, if there are any.

    Raises:
        RecipeError: there are.
    """
    # No text holds what was built before: errors name the path alone.
    placed = [place(EMPTY, problem, SOURCE) for problem in problems]
    if placed:
        raise RecipeError(placed)


def _misfits(whole: Recipe) -> Iterator[Problem]:
    for _, options in components(whole):
        if options.component.check is not None:
            yield from options.component.check(whole)


def _without_components() -> dict[str, Any]:
    own = {
        "trainer": TrainerOptions(),
        "evaluation": EvaluationOptions(),
        "checkpoint": CheckpointOptions(),
        "runtime": RuntimeOptions(),
    }
    return {**dict.fromkeys(Recipe.model_fields), "networks": {}, "hooks": [], "loggers": [], **own}


@cache
def _model(section: str) -> type[Options]:
    """A recipe of this section alone."""
    annotations: Any = {section: (Recipe.model_fields[section].rebuild_annotation(), ...)}
    model: type[Options] = create_model(f"Only_{section}", __base__=Options, **annotations)
    return model
