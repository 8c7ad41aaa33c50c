"""Every option that holds text says what its text means, and what could name something is refused."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import ValidationError, create_model

from rlrecipe.recipe import schema
from rlrecipe.recipe.names import CODES, Arguments, Meaning, Named, Words
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import KINDS, search
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.values import Duration

SECTIONS = (
    schema.Recipe,
    schema.TrainerOptions,
    schema.EvaluationOptions,
    schema.CheckpointOptions,
    schema.RuntimeOptions,
)
#: What a stranger would write to have something imported, run, read or written.
HOSTILE = ("os:system", "./evil.py", "/etc/passwd", "~/x", "../x", "file:///etc/passwd", "C:\\x", "a\0b", "x.y:Z")
EXPANDED = ("${HOME}", "$HOME/x", "~/x", "$(id)")


def leaves(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Meaning | None]]:
    """Every type in an annotation that could hold a text, with the meaning that is declared for it."""
    meaning = next((extra for extra in metadata if isinstance(extra, Meaning)), None)
    if meaning is not None:
        yield annotation, meaning
        return
    if any(isinstance(extra, Slot) or isinstance(getattr(extra, "slot", None), Slot) for extra in metadata):
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from leaves(arguments[0], (*arguments[1:], *metadata))
    elif origin in (Union, types.UnionType, list, tuple):
        for argument in arguments:
            yield from leaves(argument)
    elif origin is dict:
        yield from leaves(arguments[1])
    elif isinstance(annotation, type) and issubclass(annotation, Options):
        yield from texts(annotation)
    elif origin is not Literal and annotation not in (int, float, bool, type(None), Duration, Ellipsis):
        yield annotation, None


def texts(model: type[Options]) -> Iterator[tuple[Any, Meaning | None]]:
    for info in model.model_fields.values():
        yield from leaves(info.annotation, tuple(info.metadata))


MODELS = {
    **{f"recipe/{model.__name__}": model for model in SECTIONS},
    **{f"{kind}/{component.name}": component.options for kind in KINDS for component in search(kind)},
}


def test_every_text_has_a_meaning() -> None:
    undeclared = [
        f"{name}: {field}"
        for name, model in MODELS.items()
        for field, info in model.model_fields.items()
        if any(meaning is None for _, meaning in leaves(info.annotation, tuple(info.metadata)))
    ]
    assert undeclared == [], "declare what the text is by a meaning of rlrecipe.recipe.names"


def fields(kind: type[Meaning]) -> list[Any]:
    """Each option of a meaning, by component and name."""
    return [
        pytest.param(info, meaning, id=f"{name}.{field}")
        for name, model in MODELS.items()
        for field, info in model.model_fields.items()
        for _, meaning in leaves(info.annotation, tuple(info.metadata))
        if isinstance(meaning, kind) and info.annotation not in SECTIONS
    ]


def code(info: Any, value: Any) -> str:
    """The code of what is wrong with a value, or that of a type that does not fit."""
    try:
        create_model("One", __base__=Options, one=(info.rebuild_annotation(), ...)).model_validate({"one": value})
    except ValidationError as error:
        return CODES.get(error.errors()[0]["type"], "type")
    return "taken"


@pytest.mark.parametrize(("info", "meaning"), [*fields(Arguments), *fields(Words)])
def test_free_arguments_take_nothing_that_names_something(info: Any, meaning: Meaning) -> None:
    names = ["xml_file", "backend", "env_name", *getattr(meaning, "words", ()), *getattr(meaning, "ids", ())]
    for text in HOSTILE:
        for name in names:
            for value in ({name: text}, {name: [text]}, {name: {"deep": [text]}}, {name: {text: "os:system"}}):
                assert code(info, value) in ("E403", "type"), value
    assert code(info, {"number": 1, "truth": True, "many": [1, 2.5], "deep": {"number": 3}}) in ("taken", "type")


@pytest.mark.parametrize(("info", "meaning"), fields(Named))
def test_names_expand_nothing(info: Any, meaning: Meaning) -> None:
    for text in EXPANDED:
        assert {code(info, text), code(info, [text]), code(info, {"a": text})} <= {"E102", "type"}
        assert "E102" in (code(info, text), code(info, [text]), code(info, {"a": text}))
