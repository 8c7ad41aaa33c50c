"""A recipe from its file: read, merged, validated and checked, with every problem told at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path as File

from pydantic import ValidationError

from rlrecipe.recipe import secrets, tree
from rlrecipe.recipe.adapt import adapted
from rlrecipe.recipe.checks import broken, check_recipe, check_tree, refused_secrets, secret
from rlrecipe.recipe.errors import MOST_PROBLEMS, Path, Place, PlacedProblem, Problem, RecipeError
from rlrecipe.recipe.imports import Imported, Recorded, load_declared, load_given, name_first
from rlrecipe.recipe.layers import Held, Layers, Origin, read_layers
from rlrecipe.recipe.merge import EMPTY, merge
from rlrecipe.recipe.messages import problems_of, run_name
from rlrecipe.recipe.options import Component
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import RECIPE, at
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.recipe.tree import Node, unmarked


@dataclass(frozen=True)
class Loaded:
    """A valid recipe and where it comes from.

    Args:
        recipe: the recipe, every layer merged.
        text: the recipe as written; a mapping as YAML.
        file: its file, None for a mapping.
        name: how errors name the file.
        imported: the user's files and modules that were loaded for it.
        tree: the merged recipe before validation, each value with its place.
    """

    recipe: Recipe
    text: str
    file: File | None
    name: str
    imported: tuple[Imported, ...]
    tree: Node

    def place(self, problem: Problem) -> PlacedProblem:
        """A problem found later, with its place in the recipe's text."""
        return tree.place(self.tree, problem, self.name)

    def error(self, problems: Iterable[Problem]) -> RecipeError:
        """Problems found later, as the error to raise."""
        return RecipeError([self.place(problem) for problem in problems])


def load(
    source: Origin,
    overrides: Sequence[str] = (),
    *,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
    recorded: Recorded | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Loaded:
    """Load a recipe.

    Args:
        source: a path, ``-`` for standard input, the name of a bundled recipe, or the recipe as a mapping.
        overrides: ``key=value`` options, the last one strongest.
        imports: files or modules with components to load.
        trust_imports: whether to load what the recipe itself declares.
        recorded: of a run's recipe, the files that ``trust_imports`` means: others need consent of their own.
        environ: variables that set defaults: ``CKPT_BACKEND`` that of ``checkpoint.backend``.

    Raises:
        RecipeError: the recipe has problems; all of them, placed.
        RecipeNotFound: there is no such recipe.
        TypeError: a mapping holds something else than text, numbers, booleans, lists and mappings.
    """
    loaded, placed = load_given(imports)
    layers = read_layers(source, overrides)
    placed += layers.problems
    hidden = list(islice(_secrets(layers), MOST_PROBLEMS))
    declared, found = _imports(layers, imports, trust_imports, recorded)
    name_first((*loaded, *declared))
    root, component, wrong = _merged(layers)
    placed += wrong
    recipe, problems = _validated(root, component, environ.get("CKPT_BACKEND"))
    if found:
        # What an unloaded file would have registered cannot be told from a mistake.
        problems = [p for p in problems if p.code != "E201" and (p.code, p.path[:1]) != ("E401", ("env",))]
    if any(problem.code == "E105" or problem.path == "extends" for problem in layers.problems):
        # A layer that could not be read may hold what seems to be missing.
        problems = [problem for problem in problems if problem.code != "E103"]
    if found:
        # Nor can an environment of the user's own from one whose arguments need consent.
        problems = [problem for problem in problems if problem.code != "E403" or problem.path[0] != "env"]
    paths = [each.problem.path for each in hidden]
    told = (problem for problem in found + problems if not any(_touch(problem.path, path) for path in paths))
    placed += [*hidden, *(tree.place(root, problem, layers.name) for problem in told)]
    if isinstance(source, Held):
        # Its lines are those of a text that nobody has seen.
        placed = [replace(each, place=Place(each.place.file)) for each in placed]
    if placed or recipe is None:
        raise RecipeError(sorted(dict.fromkeys(placed), key=PlacedProblem.order)[:MOST_PROBLEMS])
    recipe._imported = (*loaded, *declared)
    return Loaded(recipe, layers.text, layers.file, layers.name, recipe.imported, root)


def _imports(
    layers: Layers, given: Sequence[str], trust: bool, recorded: Recorded | None
) -> tuple[list[Imported], list[Problem]]:
    top = layers.top("imports")
    if top is None:
        return [], []
    node, layer = top
    return load_declared(node, layer.folder, given, trust, recorded)


def _secrets(layers: Layers) -> Iterator[PlacedProblem]:
    """Secrets in any layer, merged away or not, and in comments: a run keeps the recipe as it was written."""
    told = set()
    for layer in layers.layers:
        for problem in refused_secrets(layer.root):
            placed = tree.place(layer.root, problem, layer.name)
            told.add((placed.place.file, placed.place.line))
            yield placed
    for number, line in enumerate(layers.text.split("\n"), 1):
        if "#" in line and (layers.name, number) not in told and secrets.holds_secret(line):
            yield PlacedProblem(secret(()), Place(layers.name, number, 1, line, len(line)))


def _merged(layers: Layers) -> tuple[Node, Component | None, list[PlacedProblem]]:
    """Every layer over the defaults of the algorithm that the highest of them names."""
    roots = [layer.root for layer in layers.layers]
    component = None
    shape = at(EMPTY, ("algorithm",)) or RECIPE.child(EMPTY, "algorithm")
    assert shape is not None
    for root in reversed(roots):
        node = root.get("algorithm")
        if node is not None and shape.name(node) is not None:
            component = shape.component(node)
            break
    defaults = AlgorithmTraits.of(component).defaults if component is not None else {}
    root, problems = merge(roots, unmarked(defaults))
    if layers.top("env") is None:
        # An algorithm may say how many environments there are, never which.
        root = _without(root, ("env",))
    return root, component, problems


def _validated(root: Node, component: Component | None, backend: str | None) -> tuple[Recipe | None, list[Problem]]:
    """The recipe, or what is wrong with it; combinations are checked as far as the rest is sound."""
    problems = list(islice(check_tree(root), MOST_PROBLEMS))
    recipe, found = _parsed(root, backend)
    if recipe is None and component is None:
        # These sections come from the algorithm, whose absence has been told.
        found = [p for p in found if p.code != "E103" or p.path not in (("optimizer",), ("collector",))]
    problems += found
    faults = [p.path for p in problems] + list(broken(root))
    if len(faults) >= MOST_PROBLEMS:
        return None, problems
    if faults:
        recipe = _sound_part(root, component, faults, backend)
    if recipe is not None:
        recipe = adapted(recipe, root)
        problems += [
            p for p in islice(check_recipe(recipe), MOST_PROBLEMS) if not any(_touch(p.path, fault) for fault in faults)
        ]
    return recipe, problems


def _parsed(root: Node, backend: str | None) -> tuple[Recipe | None, list[Problem]]:
    data = root.data()
    data.setdefault("trainer", {})
    data.setdefault("name", _default_name(root))
    if backend is not None and isinstance(checkpoint := data.setdefault("checkpoint", {}), dict):
        checkpoint.setdefault("backend", backend)
    try:
        return Recipe.model_validate(data), []
    except ValidationError as error:
        return None, problems_of(error, root)


def _sound_part(root: Node, component: Component | None, faults: Sequence[Path], backend: str | None) -> Recipe | None:
    """The recipe without what is wrong in it, so that the rest can be checked in the same go."""
    for fault in faults:
        root = _without(root, fault)
    defaults = AlgorithmTraits.of(component).defaults if component is not None else {}
    root, _ = merge([root], unmarked(defaults))
    return _parsed(root, backend)[0]


def _without(node: Node, path: Path) -> Node:
    if not path or not isinstance(node.value, dict) or path[0] not in node.value:
        return node
    inner = node.value[str(path[0])]
    rest = {key: value for key, value in node.value.items() if key != path[0]}
    # A component goes with its name, and a list with any of its items.
    whole = len(path) == 1 or path[1:] == ("name",) or not isinstance(inner.value, dict)
    return replace(node, value=rest if whole else {**rest, str(path[0]): _without(inner, path[1:])})


def _touch(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _default_name(root: Node) -> str:
    """``<algorithm>-<env id>``."""
    parts = []
    for key, option in (("algorithm", "name"), ("env", "env_name")):
        node, shape = root.get(key), RECIPE.child(root, key)
        if node is None or shape is None:
            continue
        given = node if isinstance(node.value, str) else node.child(option)
        name = given.value if given is not None else shape.name(node)
        parts.append(str(name))
    return run_name("-".join(parts))
